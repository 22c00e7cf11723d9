# SPDX-License-Identifier: MIT
"""docs/adding-a-meter.md, tried: the file is taken out of the page and read from a slave that we did not write."""

import json
import re
import struct
import unittest

import harness

PAGE = (harness.SOURCE / "docs" / "adding-a-meter.md").read_text(encoding="utf-8")

# The table of the page: what the invented meter measures now, as its registers hold it.
VALUES = {"voltage_l1_n": 230.1, "current_l1": 4.22, "power_active_total": -1500, "frequency": 49.98,
          "energy_active_import": 65536070, "temperature": 21.5}


def registers():
    """What the meter holds: wire address to word. The page counts from 1."""
    words = {}
    for number, packed in ((1, struct.pack(">H", 2301)), (2, struct.pack(">H", 422)), (7, struct.pack(">i", -1500)),
                           (9, struct.pack(">H", 4998)), (11, struct.pack(">HH", 6553607 % 65536, 6553607 // 65536)),
                           (21, struct.pack(">f", 21.5)), (101, b"EX3P0042")):
        for index in range(0, len(packed), 2):
            words[number - 1 + index // 2] = int.from_bytes(packed[index:index + 2], "big")
    return words


class AddingAMeter(harness.Case):
    def setUp(self):
        super().setUp()
        name, text = re.search(r"^`([a-z0-9-]+\.meter)`:\n\n```ini\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL).groups()
        self.file = self.directory / name
        self.file.write_text(text, encoding="utf-8")

    def run_meterstick(self, verb, *arguments):
        return self.meterstick(verb, *arguments, cwd=self.directory)

    def test_the_file_of_the_page_is_accepted_and_a_slip_is_named_with_its_line(self):
        result = self.run_meterstick("models", "--check", self.file.name)
        self.assertEqual(result.returncode, 0, result.stderr + result.stdout)
        text = self.file.read_text(encoding="utf-8").replace("u32.cdab", "u32.cdba")
        line = 1 + text[:text.index("u32.cdba")].count("\n")
        self.file.write_text(text, encoding="utf-8")
        result = self.run_meterstick("models", "--check", self.file.name)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn(f"{self.file.name}:{line}:", result.stderr + result.stdout)

    def test_the_first_reading_is_that_of_the_meter(self):
        where = self.pymodbus_slave("tcp", {5: {"input": registers()}})
        result = self.run_meterstick("read", "--model", f"./{self.file.name}", "--port", where, "--address", "5",
                                     "--format", "json")
        self.assertEqual(result.returncode, 0, result.stderr)
        reading = json.loads(result.stdout)
        self.assertEqual(reading["values"], VALUES)
        self.assertEqual(reading["identity"], {"serial_number": "EX3P0042"})

    def test_one_register_is_tried_without_a_file(self):
        register = re.search(r'--register "(.*?)"', PAGE).group(1)
        where = self.pymodbus_slave("rtu", {5: {"input": registers()}})
        result = self.run_meterstick("read", "--port", where, "--address", "5", "--serial", "9600 8N1", "--register",
                                     register)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("2301", result.stdout)

    def test_the_configuration_of_the_page_holds_together(self):
        config = re.findall(r"```ini\n(\[bus.*?)```", PAGE, re.DOTALL)[0]
        path = self.directory / "meterstick.conf"
        path.write_text(config.replace("model   = example-ex3p", f"model = {self.file}"), encoding="utf-8")
        result = self.run_meterstick("check", str(path))
        self.assertEqual(result.returncode, 0, result.stderr + result.stdout)

    def test_the_doubt_of_the_page_is_shown(self):
        result = self.run_meterstick("models", f"./{self.file.name}")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("page 30 says 10", result.stdout)


if __name__ == "__main__":
    unittest.main()
