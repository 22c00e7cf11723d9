# SPDX-License-Identifier: MIT
"""`meterstick scan`: what is on a line is found, as the model that it is and no other; what is not is not."""

import configparser
import os
import time
import unittest

import harness
import registers

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
        process = self.start(harness.BIN / "meterstick", "scan", port, "--state-dir", self.directory, *DEFAULTS,
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
        result = self.scan(port, "--serial", "9600 8N1", "--addresses", "1-3", "--timeout", "30ms", status=0)
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
        port = self.line("schneider-iem2150:1-2", options=("--fault", "crc=7%,drop=3%"))
        result = self.scan(port, "--serial", "9600 8N1", "--addresses", "1-2", "--timeout", "50ms")
        models = found(result.stdout)
        self.assertTrue(set(models.values()) <= {("schneider-iem2150", "9600 8N1")}, result.stdout)
        self.assertGreaterEqual(len(models), 1, result.stdout + result.stderr)

    def test_an_independent_slave_whose_other_registers_mean_nothing(self):
        phases = {f"{name}_l{phase}{end}": value for phase in (1, 2, 3) for name, end, value in
                  (("voltage", "_n", 230.5), ("current", "", 2.0), ("power_active", "", 400.0))}
        units = {1: registers.registers("schneider-iem2150", {
                     "meter_model": "iEM2150", "manufacturer": "Schneider Electric", "voltage": 230.1, "current": 5.0,
                     "power_active": 1100.0, "power_reactive": 300.0, "power_factor": 0.96, "frequency": 49.98,
                     "energy_active_import": 123456.0}),
                 2: registers.registers("hiking-dds238-2-zn-s", {
                     "voltage": 231.0, "current": 1.0, "power_active": 230.0, "frequency": 50.0, "power_factor": 0.99,
                     "energy_active_total": 5000.0, "energy_active_import": 4000.0, "energy_active_export": 1000.0,
                     "settings": 0x0201}),
                 5: registers.registers("schneider-em6400", {
                     **phases, "power_active_total": 1200.0, "power_apparent_total": 1250.0,
                     "power_reactive_total": 350.0, "power_factor_avg": 0.96, "frequency": 50.1,
                     "energy_active_import": 7e6})}
        port = self.pymodbus_slave("rtu", units)
        result = self.scan(port, "--serial", "9600 8N1", "--addresses", "1-6", "--timeout", "200ms", status=0,
                           timeout=120)
        self.assertEqual({address: model for address, (model, _) in found(result.stdout).items()},
                         {1: "schneider-iem2150", 2: "hiking-dds238-2-zn-s", 5: "schneider-em6400"}, result.stdout)

    def test_a_meter_on_the_network(self):
        port = self.pymodbus_slave("tcp", {1: registers.registers("schneider-pm8000", {
            "meter_model": "PM8240", "power_active_total": 900.0, "power_active_l1": 300.0, "power_active_l2": 300.0,
            "power_active_l3": 300.0, "power_apparent_total": 950.0, "power_reactive_total": 304.0, "frequency": 50.0,
            "voltage_l1_n": 230.0, "voltage_l2_n": 230.0, "voltage_l3_n": 230.0})})
        result = self.scan(port, "--addresses", "1-3", "--timeout", "200ms", status=0)
        self.assertIn("model   = schneider-pm8000\naddress = 1\n", result.stdout)
        self.assertNotIn("serial", result.stdout)

    def test_it_never_writes(self):
        source = (harness.SOURCE / "drivers" / "modbus_frame.h").read_text()
        self.assertIn("enum modbus_table { MODBUS_HOLDING = 3, MODBUS_INPUT = 4 };", source)

    def test_wrong_use_is_told(self):
        self.scan("--addresses", "0-5", "/dev/null", status=64)
        self.scan("--serial", "fast", "/dev/null", status=64)
        self.scan("tcp:", status=64)


if __name__ == "__main__":
    unittest.main()
