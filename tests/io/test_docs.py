# SPDX-License-Identifier: MIT
"""Every block of code of docs/from-other-programs.md, run against meters that answer."""

import json
import os
import re
import shutil
import subprocess
import unittest

import harness
from registers import registers, server

DOCUMENT = harness.SOURCE / "docs" / "from-other-programs.md"

SETUP = "com1\nDatos.csv\n0,1\n15\ninstant\n1.0\n0.2\n"
POWERMETER = [{"id": 1, "port": None, "timeout": 1, "stopbits": 1, "bytesize": 8, "parity": "N", "baudrate": "9600",
               "inputs": [{"input": "a", "ratio": 0.01, "name": "Rack 1"}]}]

# A wrapper in the PATH: the programs of this build, and a configuration where /etc/meterstick would be
WRAPPER = """#!/bin/sh
case "$1 $*" in
read*--config*|read*--model*|read*--register*) exec {meterstick} "$@" ;;
read*) verb=$1; shift; exec {meterstick} "$verb" "$@" --config {config} --state-dir {directory} ;;
*) exec {meterstick} "$@" --state-dir {directory} ;;
esac
"""


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)


class Document(harness.Case):
    def setUp(self):
        super().setUp()
        self.ports = {}
        for name, model, values in (("/dev/ttyUSB0", "schneider-iem2150", {"voltage": 239.59}),
                                    ("/dev/ttyUSB1", "circutor-cvm-nrg96",
                                     {"voltage_l2_n": 230.1, "current_l2.max": 12.5}),
                                    ("hdhk", "hdhk-hdxxaxxa16gk", {"current_a": 12.34})):
            self.ports[name] = self.serve(model, values, "rtu")
        self.tcp = self.serve("schneider-pm8000", {"voltage_l1_n": 239.59, "power_active_total": 3004.5}, "tcp")
        self.config = self.directory / "test.conf"
        self.config.write_text(f"[bus a]\nport = {self.ports['/dev/ttyUSB0']}\n"
                               "[meter workshop]\nmodel = schneider-iem2150\n")
        wrapper = self.directory / "meterstick"
        wrapper.write_text(WRAPPER.format(meterstick=harness.BIN / "meterstick", config=self.config,
                                          directory=self.directory))
        wrapper.chmod(0o755)
        (self.directory / "setup.dat").write_text(SETUP)
        POWERMETER[0]["port"] = self.ports["hdhk"]
        (self.directory / "powermeter.json").write_text(json.dumps(POWERMETER))
        self.environment = dict(os.environ, METERSTICK_MODELS=str(harness.MODELS),
                                PATH=f"{self.directory}:{os.environ['PATH']}")

    def serve(self, model, values, transport):
        liar = harness.Liar(transport, server(registers(model, values), transport))
        self.addCleanup(liar.close)
        return liar.where

    def run_in(self, *command, status=0):
        result = subprocess.run(command, cwd=self.directory, env=self.environment, capture_output=True, text=True,
                                timeout=60, check=False)
        self.assertEqual(result.returncode, status, f"{command}: {result.stdout}{result.stderr}")
        return result.stdout

    def test_shell(self):
        outputs = []
        for block in blocks("sh"):
            text = block.replace("192.0.2.10 --port 502", f"127.0.0.1 --port {self.tcp.rsplit(':', 1)[1]}")
            for name, port in self.ports.items():
                text = text.replace(name, port)
            with self.subTest(block=block):
                outputs.append(self.run_in("sh", "-e", "-c", text))
                self.assertNotEqual(outputs[-1], "")
        scribe, cvm, points, fx, register, plant, powermeter, ours, get_value = outputs
        self.assertTrue(scribe.startswith('"Time","Voltage"'))
        self.assertIn('"voltage": {"present_value": 239.59}', scribe)
        self.assertIn("log = voltage_l1_n,current_l1,voltage_l2_n", cvm)
        self.assertRegex(points, r"voltage_l2_n +230\.1 V")
        self.assertEqual([json.loads(line)["values"] for line in fx.splitlines()],
                         [{"voltage_l1_n": 239.59, "power_active_total": 3004.5}] * 2)
        self.assertRegex(register, r"voltage +239\.59 V")
        self.assertIn("2 meters on 1 bus", plant)
        self.assertEqual(json.loads(powermeter)[0]["current"], 12.34)
        self.assertIn("input.a = Rack 1, 1", ours)
        self.assertEqual(get_value, "239.59 V\n")

    def test_python(self):
        powermeter, own = blocks("python")
        self.assertEqual(self.run_in("/usr/bin/python3", "-c", powermeter), "Rack 1 12.34\n")
        self.assertEqual(self.run_in("/usr/bin/python3", "-c", own), "239.59\n")

    def test_c(self):
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        (self.directory / "values.c").write_text(blocks("c")[0])
        self.run_in(compiler, "-Wall", "-Wextra", "-Werror", "-o", "values", "values.c", "-ljansson")
        self.assertEqual(self.run_in("./values"), "239.59\n")
        self.config.write_text(self.config.read_text().replace(self.ports["/dev/ttyUSB0"], "/dev/ttyNONE"))
        self.run_in("./values", status=1)

    def test_configurations(self):
        for block in blocks("conf"):
            with self.subTest(block=block):
                path = self.directory / "block.conf"
                path.write_text(block)
                self.meterstick("check", path, "--state-dir", self.directory, status=0)

    def test_a_reader_of_ones_own(self):
        line = '"2023/11/14 22:13:20",239.59,0.025,0.000042,-0.005389,0.25,"leading",49.987,172.843'
        reader = self.directory / "reader"
        reader.write_text(f"#!/bin/sh\necho '{line}'\n")
        reader.chmod(0o755)
        block = next(block for block in blocks("conf") if "exec" in block)
        path = self.directory / "block.conf"
        path.write_text(re.sub("command = .*", f"command = {reader}", block))
        self.assertEqual(self.read("--config", path, "--state-dir", self.directory)["values"], {
            "voltage": 239.59, "current": 0.025, "power_active": 0.042, "power_reactive": -5.389, "power_factor": 0.25,
            "power_factor_direction": -1, "frequency": 49.987, "energy_active_import": 172.843})

    def test_commands_in_tables_are_right_ones(self):
        for command in re.findall(r"`meterstick ([^`]*)`", DOCUMENT.read_text()):
            words = re.findall(r'"[^"]*"|\S+', command)
            if words[0] in ("read", "models", "ports", "status", "check") and "--format" not in words[-1:]:
                words = [word.strip('"') for word in words]
                result = self.meterstick(words[0], *words[1:], "--help", status=0)
                self.assertIn("Usage", result.stdout)


if __name__ == "__main__":
    unittest.main()
