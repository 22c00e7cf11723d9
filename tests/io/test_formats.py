# SPDX-License-Identifier: MIT
"""What other programs printed, from the real `read`: energy-scribe's lines and powermeter's JSON."""

import csv
import json
import os
import threading
import time
import unittest

import harness
from registers import registers, server

IEM2150 = {"voltage": 239.59, "current": 0.025, "power_active": 0.042, "power_reactive": -5.389, "power_factor": 1.75,
           "frequency": 49.987, "energy_active_import": 172.843}
DDS238 = {"voltage": 230.1, "current": 1.23, "power_active": -250, "power_reactive": -12, "power_factor": 0.999,
          "frequency": 50.01, "energy_active_import": 1234560}
TIME = r'^"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d",'

# ES-32, in order
PM5100_FIELDS = """
    manufacturer_label product_label serial_number_label firmware_version_status
    line1_neutral_voltage_sensor line2_neutral_voltage_sensor line3_neutral_voltage_sensor
    average_neutral_voltage_sensor
    line1_line2_voltage_sensor line2_line3_voltage_sensor line3_line1_voltage_sensor average_line_voltage_sensor
    line1_current_sensor line2_current_sensor line3_current_sensor neutral_current_sensor average_line_current_sensor
    line1_neutral_power_sensor line2_neutral_power_sensor line3_neutral_power_sensor total_power_sensor
    line1_neutral_apparent_power_sensor line2_neutral_apparent_power_sensor line3_neutral_apparent_power_sensor
    total_apparent_power_sensor line1_neutral_reactive_power_sensor line2_neutral_reactive_power_sensor
    line3_neutral_reactive_power_sensor total_reactive_power_sensor total_power_factor_sensor total_energy_accumulator
    total_reactive_energy_accumulator frequency_sensor line1_neutral_harmonic_distortion_voltage_sensor
    line2_neutral_harmonic_distortion_voltage_sensor line3_neutral_harmonic_distortion_voltage_sensor
    average_line_neutral_harmonic_distortion_voltage_sensor line1_harmonic_distortion_current_sensor
    line2_harmonic_distortion_current_sensor line3_harmonic_distortion_current_sensor
    neutral_harmonic_distortion_current_sensor timestamp""".split()


class Formats(harness.Case):
    def serve(self, model_id, values, transport="rtu"):
        liar = harness.Liar(transport, server(registers(model_id, values), transport))
        self.addCleanup(liar.close)
        return liar.where

    def scribe(self, model_id, where, *arguments, status=0):
        return self.meterstick("read", "--model", model_id, "--port", where, "--format", "energy-scribe", *arguments,
                               status=status).stdout


class EnergyScribe(Formats):
    def test_iem2150_row(self):
        where = self.serve("schneider-iem2150", IEM2150)
        row = self.scribe("schneider-iem2150", where)
        self.assertRegex(row, TIME + r'239\.59,0\.025,0\.000042,-0\.005389,0\.25,"leading",49\.987,172\.843\n$')
        header, again = self.scribe("schneider-iem2150", where, "--header").splitlines()
        self.assertEqual(header, '"Time","Voltage","Current","Power","Reactive power","Power factor",'
                                 '"Power factor direction","Frequency","Cumulative energy"')
        self.assertEqual(again.split(",")[1:], row.strip().split(",")[1:])

    def test_iem2150_other_shapes(self):
        where = self.serve("schneider-iem2150", dict(IEM2150, power_factor=None))
        read = json.loads(self.scribe("schneider-iem2150", where, "--json"))
        self.assertEqual(read["version"], 1)
        self.assertEqual({key: value["present_value"] for key, value in read["points"].items()}, {
            "voltage": 239.59, "current": 0.025, "power": 0.000042, "reactive_power": -0.005389, "power_factor": None,
            "power_factor_direction": None, "frequency": 49.987, "energy": 172.843})
        lines = self.scribe("schneider-iem2150", where, "--text").splitlines()
        self.assertEqual(lines[1:], ["239.59 V", "0.025 A", "0.000042 kW", "-0.005389 kvar", "49.987 Hz",
                                     "172.843 Wh"])

    def test_dds238_row(self):
        where = self.serve("hiking-dds238-2-zn-s", DDS238)
        self.assertRegex(self.scribe("hiking-dds238-2-zn-s", where),
                         TIME + r"230\.1,1\.23,-250,-12,0\.999,50\.01,1234\.56\n$")

    def test_pm5100_has_all_fields_in_order(self):
        where = self.serve("schneider-pm5100", {
            "manufacturer": "Schneider Electric", "meter_model": "PM5110", "firmware_x": 1, "firmware_y": 22,
            "firmware_z": 3, "voltage_l1_n": 230.5, "voltage_l2_n": None, "voltage_ln_avg": 231.25,
            "power_active_total": 1500, "energy_active_import": 900719925474001}, "tcp")
        header, row = csv.reader(self.scribe("schneider-pm5100", where, "--csv").splitlines())
        self.assertEqual(header, PM5100_FIELDS)
        fields = dict(zip(header, row))
        self.assertEqual(len(row), len(header))
        self.assertEqual((fields["product_label"], fields["firmware_version_status"]), ("PM5110", "1.22.3"))
        self.assertEqual(fields["line2_neutral_voltage_sensor"], "")
        self.assertEqual(fields["average_neutral_voltage_sensor"], "231.25")
        self.assertEqual(fields["total_power_sensor"], "1.5")
        self.assertEqual(fields["total_energy_accumulator"], "900719925474001")

        text = self.scribe("schneider-pm5100", where, "--json")
        self.assertTrue(text.startswith('{\n    "manufacturer_label": "Schneider Electric",\n'))
        read = json.loads(text)
        self.assertEqual(list(read), [name for name in PM5100_FIELDS if name != "line2_neutral_voltage_sensor"])
        self.assertRegex(read["timestamp"], r"^\d{4}-\d\d-\d\dT.*Z$")
        for text in (self.scribe("schneider-pm5100", where), self.scribe("schneider-pm5100", where, "--text")):
            self.assertIn("line1_neutral_voltage_sensor".ljust(60) + ": 230.5\n", text)
            self.assertNotIn("line2_neutral_voltage_sensor", text)

    def test_rows_go_on_with_one_header(self):
        where = self.serve("schneider-pm5100", {}, "tcp")
        lines = self.scribe("schneider-pm5100", where, "--csv", "--quantity", 3, "--interval", "0.1").splitlines()
        self.assertEqual([line.startswith("manufacturer_label") for line in lines], [True, False, False, False])

    def test_current_cost_row(self):
        ours, path, keep = harness.raw_pty()
        self.addCleanup(os.close, keep)
        message = ("<msg><src>CC128-v0.11</src><dsb>00089</dsb><time>13:02:39</time><tmpr>18.7</tmpr>"
                   "<sensor>{}</sensor><id>01234</id><type>1</type><ch1><watts>{:05}</watts></ch1></msg>\r\n")
        done = threading.Event()

        def talk():
            while not done.is_set():
                for sensor, watts in ((0, 345), (1, 12), (9, 999)):
                    os.write(ours, message.format(sensor, watts).encode())
                    done.wait(0.2)
        thread = threading.Thread(target=talk)
        thread.start()
        try:
            row = self.scribe("currentcost-cc128", path)
        finally:
            done.set()
            thread.join()
            os.close(ours)
        self.assertRegex(row, TIME + r"12,,,,,,,,999,345\n$")

    def test_a_silent_meter_prints_nothing(self):
        liar = harness.Liar("rtu", lambda request: [])
        self.addCleanup(liar.close)
        self.assertEqual(self.scribe("schneider-iem2150", liar.where, "--timeout", "50 ms", "--header", status=74), "")

    def test_other_models_are_refused(self):
        result = self.meterstick("read", "--model", "schneider-pm8000", "--port", "tcp:127.0.0.1", "--format",
                                 "energy-scribe", status=64)
        self.assertIn("schneider-iem2150", result.stderr)


def device(number, port, inputs):
    return {"id": number, "port": port, "timeout": 1, "stopbits": 1, "bytesize": 8, "parity": "N", "baudrate": "9600",
            "inputs": [{"input": letter, "ratio": ratio, "name": name} for letter, ratio, name in inputs]}


class Powermeter(Formats):
    FIRST = {"current_a": 12.34, "current_b": 0.5, "current_p": 655.35}
    SECOND = {"current_a": 1, "current_c": 3.21}

    def write(self, *devices):
        path = self.directory / "powermeter.json"
        path.write_text(json.dumps(devices))
        return path

    def run_format(self, path, status=0, *arguments):
        return self.meterstick("read", *arguments, "--config", path, "--state-dir", self.directory, "--format",
                               "powermeter", status=status)

    def test_its_configuration_gives_its_output(self):
        path = self.write(device(1, self.serve("hdhk-hdxxaxxa16gk", self.FIRST),
                                 [("b", 0.01, "Rack #3, left"), ("a", 0.1, "times ten"), ("p", 0.01, "Größe")]),
                          device("UPS", self.serve("hdhk-hdxxaxxa16gk", self.SECOND),
                                 [("c", 0.07, "C"), ("a", 0.01, "A")]))
        result = self.run_format(path)
        self.assertEqual(json.loads(result.stdout), [
            {"id": 0, "device_id": 1, "input": "b", "name": "Rack #3, left", "current": 0.5},
            {"id": 1, "device_id": 1, "input": "a", "name": "times ten", "current": 123.4},
            {"id": 2, "device_id": 1, "input": "p", "name": "Größe", "current": 655.35},
            {"id": 3, "device_id": "UPS", "input": "c", "name": "C", "current": 22.47},
            {"id": 4, "device_id": "UPS", "input": "a", "name": "A", "current": 1.0}])
        self.assertTrue(result.stdout.startswith('[\n    {\n        "id": 0,\n        "device_id": 1,\n'))
        self.assertIn('"current": 1.0\n', result.stdout)
        self.assertEqual(result.stderr, "")

    def test_ids_stay_when_a_device_fails(self):
        dead = harness.Liar("rtu", lambda request: [])
        self.addCleanup(dead.close)
        alive = device(2, self.serve("hdhk-hdxxaxxa16gk", self.SECOND), [("a", 0.01, "A")])
        inputs = [("a", 0.01, "A"), ("b", 0.01, "B")]
        result = self.run_format(self.write(device(1, dead.where, inputs), alive), 74)
        self.assertEqual(json.loads(result.stdout),
                         [{"id": 2, "device_id": 2, "input": "a", "name": "A", "current": 1.0}])
        self.assertIn("Device ID 1 - Modbus read error!", result.stderr)
        result = self.run_format(self.write(device(1, "/dev/ttyNONE", inputs), alive), 74)
        self.assertEqual([one["id"] for one in json.loads(result.stdout)], [2])
        self.assertIn("Device ID 1 on port /dev/ttyNONE - connection failed!", result.stderr)
        result = self.run_format(self.write(alive, device(1, "/dev/ttyNONE", inputs)), 0, "device-2")
        self.assertEqual([one["id"] for one in json.loads(result.stdout)], [0])

    def test_nobody_answers_is_an_empty_list(self):
        result = self.run_format(self.write(device(1, "/dev/ttyNONE", [("a", 0.01, "A")])), 69)
        self.assertEqual(json.loads(result.stdout), [])

    def test_two_adapters_are_read_side_by_side(self):
        serve = server(registers("hdhk-hdxxaxxa16gk", self.FIRST), "rtu", delay=0.4)
        slow = [harness.Liar("rtu", serve) for _ in range(2)]
        for liar in slow:
            self.addCleanup(liar.close)
        path = self.write(*(device(i, liar.where, [("a", 0.01, "A")]) for i, liar in enumerate(slow)))
        begin = time.monotonic()
        self.assertEqual(len(json.loads(self.run_format(path).stdout)), 2)
        self.assertLess(time.monotonic() - begin, 0.75)

    def test_a_meter_without_configuration(self):
        where = self.serve("hdhk-hdxxaxxa16gk", self.FIRST)
        result = self.meterstick("read", "--model", "hdhk-hdxxaxxa16gk", "--port", where, "--format", "powermeter",
                                 status=0)
        read = json.loads(result.stdout)
        self.assertEqual([one["input"] for one in read], list("abcdefghijklmnop"))
        self.assertEqual(read[0], {"id": 0, "device_id": 1, "input": "a", "name": "Input a", "current": 12.34})

    def test_check_turns_it_into_our_configuration(self):
        where = self.serve("hdhk-hdxxaxxa16gk", self.FIRST)
        theirs = self.write(device(1, where, [("a", 0.01, "A")]))
        made = self.meterstick("check", "--from-powermeter", theirs, status=0).stdout
        path = self.directory / "meterstick.conf"
        path.write_text(made)
        self.assertEqual(self.read("--config", path, "--state-dir", self.directory)["values"]["current_a"], 12.34)


class Cvm(Formats):
    def test_check_turns_its_setup_into_our_configuration(self):
        where = self.serve("circutor-cvm-nrg96", {"voltage_l1_n": 230.1, "current_l1": 1.5, "power_active_l1": -250})
        setup = self.directory / "setup_02.dat"
        setup.write_bytes(b"# Periodos\r\npuerto %s\r\narchivo Datos.csv\r\nlista_por_linea 0,1,2\r\n"
                          b"lista_trifasicas 0\r\ncual instant\r\nperiodo_muestreo 1.0\r\n"
                          b"periodo_registro 0.2\r\n" % where.encode())
        made = self.meterstick("check", "--from-cvm", setup, status=0).stdout
        self.assertIn("log_every = 12000 ms", made)
        path = self.directory / "meterstick.conf"
        path.write_text(made)
        self.meterstick("check", path, status=0)
        result = self.meterstick("read", "--config", path, "--state-dir", self.directory, "--csv", "--header", status=0)
        header, row = csv.reader(result.stdout.splitlines())
        self.assertEqual(header[3:6], ["voltage_l1_n_v", "current_l1_a", "power_active_l1_w"])
        self.assertEqual(row[3:6], ["230.1", "1.5", "-250"])
        setup.write_text("puerto com1\ncual maximo\n")
        result = self.meterstick("check", "--from-cvm", setup, status=78)
        self.assertIn("archivo is missing", result.stderr)


if __name__ == "__main__":
    unittest.main()
