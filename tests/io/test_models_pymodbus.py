# SPDX-License-Identifier: MIT
"""
Every point of every Modbus model, with values drawn anew, from a slave that is not ours: out of `read` come the very
numbers, in base units, unrounded; what is not available is null; texts are in the identity.
"""

import importlib.util
import sys
import unittest

import harness
import meterfile

ROUNDS = 2  # draws of each model and transport


class EveryPoint(harness.Case):
    def setUp(self):
        super().setUp()
        self.rng = harness.random_source()
        self.models = [model for model in map(meterfile.Model, sorted(harness.MODELS.glob("*.meter"))) if model.modbus]
        self.assertGreaterEqual(len(self.models), 11)

    def check(self, model, drawn, read):
        _, values, texts = drawn
        self.assertEqual(set(read["values"]), set(values), model.id)
        for name, value in values.items():
            got = read["values"][name]
            self.assertEqual(got, value, f"{model.id} {name}: {got!r}, not {value!r}")
            if value is None:
                self.assertIn(name, read["errors"], f"{model.id} {name} is null without a reason")
        self.assertEqual(set(read["errors"]), {name for name, value in values.items() if value is None}, model.id)
        for name, text in texts.items():
            self.assertEqual(read["identity"].get(name) or "", text, f"{model.id} {name}")

    def every_point(self, transport):
        for _ in range(ROUNDS):
            drawn = {unit: model.draw(self.rng) for unit, model in enumerate(self.models, 1)}
            port = self.pymodbus_slave(transport, {unit: tables for unit, (tables, _, _) in drawn.items()})
            for unit, model in enumerate(self.models, 1):
                with self.subTest(model=model.id, transport=transport):
                    serial = ("--serial", "115200 8N1") if transport == "rtu" else ()
                    read = self.read("--model", model.id, "--port", port, "--address", unit, "--timeout", "3 s", *serial)
                    self.assertEqual(read["model"], model.id)
                    self.check(model, drawn[unit], read)

    def test_over_a_serial_line(self):
        self.every_point("rtu")

    def test_over_modbus_tcp(self):
        self.every_point("tcp")

    def test_over_rtu_over_tcp(self):
        self.every_point("rtu-tcp")


if importlib.util.find_spec("pymodbus") is None:
    print("python3-pymodbus is not there: skipped", file=sys.stderr)
    sys.exit(harness.SKIPPED)

if __name__ == "__main__":
    unittest.main()
