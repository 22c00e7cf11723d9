# SPDX-License-Identifier: MIT
"""The front program: its verbs, and what `models` and `ports` print."""

import os
import re
import subprocess
import unittest

import harness
import meterfile

MODELS = sorted(path.stem for path in harness.MODELS.glob("*.meter"))


class Front(harness.Case):
    def run_meterstick(self, *arguments, path=harness.BIN / "meterstick"):
        return subprocess.run([str(path), *arguments], capture_output=True, text=True, check=False, timeout=20,
                              env=dict(os.environ, METERSTICK_MODELS=str(harness.MODELS)))

    def test_help_has_one_line_a_verb(self):
        result = self.run_meterstick("--help")
        self.assertEqual(result.returncode, 0)
        for verb in ("acquire", "check", "demo", "export", "ip", "led", "leds", "models", "ports", "read", "simulate",
                     "status", "stick"):
            self.assertEqual(len(re.findall(rf"^  {verb} +\S", result.stdout, re.MULTILINE)), 1, verb)
        self.assertRegex(self.run_meterstick("--version").stdout, r"^meterstick \d+\.\d+\.\d+\n$")
        self.assertEqual(self.run_meterstick().returncode, 64)

    def test_services_are_the_programs_beside_it(self):
        (self.directory / "bin").mkdir()
        (self.directory / "libexec" / "meterstick").mkdir(parents=True)
        front = self.directory / "bin" / "meterstick"
        front.write_bytes((harness.BIN / "meterstick").read_bytes())
        front.chmod(0o755)
        result = self.run_meterstick("stick", path=front)
        self.assertEqual(result.returncode, 74)
        self.assertIn("meterstick-stick", result.stderr)
        for place in (self.directory / "libexec" / "meterstick", self.directory / "bin"):
            program = place / "meterstick-stick"
            program.write_text(f'#!/bin/sh\necho "{place.name} $@"\nexit 7\n')
            program.chmod(0o755)
            result = self.run_meterstick("stick", "--once", "a b", path=front)
            self.assertEqual((result.returncode, result.stdout), (7, f"{place.name} --once a b\n"))

    def test_it_loads_neither_sqlite_nor_systemd(self):
        needed = subprocess.run(["ldd", str(harness.BIN / "meterstick")], capture_output=True, text=True,
                                check=True).stdout
        self.assertNotRegex(needed, "sqlite|systemd|modbus")


class Models(harness.Case):
    def test_the_list_begins_each_line_with_an_id(self):
        lines = self.meterstick("models", status=0).stdout.splitlines()
        self.assertEqual([line.split()[0] for line in lines], MODELS)

    def test_every_point_with_its_number_and_its_address_on_the_wire(self):
        for model_id in MODELS:
            model = meterfile.Model(harness.MODELS / f"{model_id}.meter")
            text = self.meterstick("models", model_id, status=0).stdout
            for point in model.points:
                with self.subTest(model=model_id, point=point.name):
                    self.assertRegex(text, rf"(?m)^{re.escape(point.name)} +{point.table} +\d+ +0x{point.address:04X} "
                                           rf"+{re.escape(point.codec)} ")

    def test_doubts_and_what_is_logged_are_marked(self):
        text = self.meterstick("models", "hiking-dds238-2-zn-s", status=0).stdout
        self.assertRegex(text, r"(?m)^energy_active_export .* log +DOUBTFUL: \S")
        self.assertRegex(text, r"(?m)^relay .*1 +$")
        self.assertIn("source ", text)

    def test_the_plan_adds_up(self):
        text = self.meterstick("models", "circutor-cvm-nrg96", "--plan", "--serial", "9600 8N1", status=0).stdout
        rows = [line.split() for line in text.splitlines()[2:]]
        blocks, total = rows[:-1], rows[-1]
        self.assertEqual(len(blocks), 7)  # 110 points, 40 registers a request
        self.assertEqual(total[2], "110")
        for _, _, _, _, registers, _, characters, ms in blocks:
            self.assertLessEqual(int(registers), 40)
            self.assertEqual(int(characters), 13 + 2 * int(registers))
            self.assertAlmostEqual(float(ms), int(characters) * 10 / 9.6 + 2 * 35 / 9.6 + 10, delta=0.02)
        self.assertAlmostEqual(float(total[-1]), sum(float(block[-1]) for block in blocks), delta=0.1)

    def test_a_plan_of_chosen_points_on_tcp(self):
        text = self.meterstick("models", "schneider-pm8000", "--plan", "--points", "voltage_l1_n", status=0).stdout
        self.assertIn("Modbus TCP", text)
        self.assertEqual(len(text.splitlines()), 4)


class Ports(harness.Case):
    def test_a_list_or_what_was_looked_for(self):
        result = self.meterstick("ports")
        if result.returncode == 69:
            self.assertIn("/dev/ttyUSB", result.stderr)
        else:
            self.assertEqual(result.returncode, 0)
            self.assertTrue(all(line.startswith("/dev/") for line in result.stdout.splitlines()), result.stdout)


if __name__ == "__main__":
    unittest.main()
