# SPDX-License-Identifier: MIT
"""`meterstick scan`: what is on a line is found, as the model that it is and no other; what is not is not."""

import configparser
import os
import time
import unittest

import harness

# As each is delivered; 30 meters on one line
METERS = (("schneider-iem2150", "1-4", "9600 8N1"), ("schneider-pm5100", "5-7", "9600 8N1"),
          ("hiking-dds238-2-zn-s", "8-10", "9600 8N1"), ("hiking-dds238-2-zn-s-b", "11-12", "9600 8N1"),
          ("circutor-cvm-nrg96", "13-14", "9600 8N1"), ("hdhk-hdxxaxxa16gk", "15-17", "9600 8N1"),
          ("schneider-em6400", "18-20", "9600 8E1"), ("schneider-em6400ng", "21-23", "9600 8E1"),
          ("schneider-em1200h", "24-25", "9600 8E1"), ("schneider-em1200", "26-28", "19200 8E1"),
          ("schneider-iem3000", "29-30", "19200 8E1"))

DEFAULTS = ("--serial", "9600 8N1", "--serial", "9600 8E1", "--serial", "19200 8E1")


def found(text):
    """{address: (model, serial)} of a configuration."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text)
    return {int(parser[name]["address"]): (parser[name]["model"], parser[name]["serial"])
            for name in parser.sections() if name.startswith("meter ") and "address" in parser[name]}


class Scan(harness.Case):
    def scan(self, *arguments, **options):
        return self.meterstick("scan", *arguments, "--state-dir", self.directory, **options)

    def line(self, *meters, options=()):
        seed = harness.random_source().randrange(1000000)
        arguments = [part for meter in meters for part in ("--model", meter)]
        self.simulator, port = self.simulate(*arguments, "--pty", self.directory / "line", "--seed", seed, *options)
        return port

    def test_thirty_meters_with_three_settings_are_found_as_what_they_are(self):
        port = self.line(*(f"{model}:{addresses}@{serial}" for model, addresses, serial in METERS))
        result = self.scan(port, *DEFAULTS, "--addresses", "1-32", "--timeout", "40ms", status=0, timeout=120)
        expected = {address: (model, serial) for model, addresses, serial in METERS
                    for address in range(int(addresses.split("-")[0]), int(addresses.split("-")[1]) + 1)}
        self.assertEqual(len(expected), 30)
        self.assertEqual(found(result.stdout), expected, result.stderr)
        # and acquire could begin with it
        configuration = self.directory / "found.conf"
        configuration.write_text(result.stdout)
        self.meterstick("check", configuration, status=0)

    def test_the_likely_comes_first(self):
        port = self.line("schneider-em1200:1@19200 8E1")
        began = time.monotonic()
        process = self.start(harness.BIN / "meterstick", "scan", port, "--state-dir", self.directory,
                             stdout=harness.subprocess.PIPE, stderr=harness.subprocess.PIPE, text=True,
                             env=dict(os.environ, METERSTICK_MODELS=str(harness.MODELS)))
        line = process.stderr.readline()
        harness.figure(f"scan: a meter with its default at address 1 was found after {time.monotonic() - began:.1f} s")
        self.assertEqual(line.strip(), "address 1, 19200 8E1: schneider-em1200")
        self.assertLess(time.monotonic() - began, 50)
        process.terminate()  # what was found until then is printed
        self.assertEqual(found(process.communicate(timeout=30)[0]), {1: ("schneider-em1200", "19200 8E1")})
        self.assertEqual(process.returncode, 0)

    def test_two_meters_at_one_address_are_told_and_not_taken(self):
        port = self.line("schneider-iem2150:1", "schneider-iem2150:3", "schneider-em6400:3", options=("--collide",))
        result = self.scan(port, "--serial", "9600 8N1", "--addresses", "1-4", "--timeout", "30ms", status=0)
        self.assertEqual(found(result.stdout), {1: ("schneider-iem2150", "9600 8N1")})
        self.assertIn("address 3, 9600 8N1: two meters at one address?", result.stdout)

    def test_what_is_no_known_model_is_told_and_not_taken(self):
        port = self.line("schneider-iem2150:1", "schneider-em1200:2")
        harness.wait_until(lambda: self.command(self.simulator, "set 1 voltage 1e30") == "ok")
        self.command(self.simulator, "exception 2 any 2")
        result = self.scan(port, "--serial", "9600 8N1", "--addresses", "1-2", "--timeout", "30ms", status=1)
        self.assertEqual(found(result.stdout), {})
        self.assertIn("address 1, 9600 8N1: something answers", result.stdout)
        self.assertIn("no schneider-iem2150: voltage would be 1e+30 V", result.stdout)
        self.assertIn("address 2, 9600 8N1: something answers", result.stdout)

    def test_where_nothing_is_nothing_is_found(self):
        port = self.line("schneider-iem2150:100")
        result = self.scan(port, *DEFAULTS, "--addresses", "1-8", "--timeout", "20ms", status=1)
        self.assertEqual(result.stdout, "")
        self.assertIn("no meter was found", result.stderr)
        self.scan(self.directory / "nothing", status=69)

    def test_a_display_is_heard(self):
        port = self.line("currentcost-cc128", options=("--period", "500ms"))
        result = self.scan(port, "--serial", "57600 8N1", "--timeout", "20ms", "--addresses", "1-1", status=0)
        self.assertIn("model   = currentcost-cc128", result.stdout)
        configuration = self.directory / "found.conf"
        configuration.write_text(result.stdout)
        self.meterstick("check", configuration, status=0)

    def test_damaged_answers_cost_no_meter(self):
        port = self.line("schneider-iem2150:1-3", options=("--fault", "crc=10%,drop=5%"))
        result = self.scan(port, "--serial", "9600 8N1", "--addresses", "1-4", "--timeout", "50ms")
        models = found(result.stdout)
        self.assertTrue(set(models.values()) <= {("schneider-iem2150", "9600 8N1")}, result.stdout)
        self.assertGreaterEqual(len(models), 2, result.stdout + result.stderr)

    def test_it_never_writes(self):
        source = (harness.SOURCE / "drivers" / "modbus_frame.h").read_text()
        self.assertIn("enum modbus_table { MODBUS_HOLDING = 3, MODBUS_INPUT = 4 };", source)

    def test_wrong_use_is_told(self):
        self.scan("--addresses", "0-5", "/dev/null", status=64)
        self.scan("--serial", "fast", "/dev/null", status=64)
        self.scan("tcp:", status=64)


if __name__ == "__main__":
    unittest.main()
