# SPDX-License-Identifier: MIT
"""`meterstick read`: meters from configuration and command line, its formats, and what it says in trouble."""

import csv
import fcntl
import json
import os
import re
import signal
import socket
import struct
import subprocess
import threading
import time
import unittest

import harness
from registers import registers, server

IEM2150 = {
    "meter_name": "Energy meter", "meter_model": "iEM2150", "manufacturer": "Schneider Electric", "serial_number": 4711,
    "voltage": 239.59, "current": 0.025, "power_active": 0.042, "power_reactive": -5.389, "power_apparent": 1234.5,
    "power_factor": 0.5, "frequency": 49.987, "energy_active_import": 172.843,
}

DIRECT = ("--model", "schneider-iem2150", "--port")

# FlexPower's names (FX-09), each with its own value, in base units
FX = {
    "current_phase_a": 1.5, "current_phase_b": 2.5, "current_phase_c": 3.5,
    "voltage_phase_a": 230.5, "voltage_phase_b": 231.5, "voltage_phase_c": 232.5,
    "active_power_phase_a": 1000.5, "active_power_phase_b": 1001.5, "active_power_phase_c": 1002.5,
    "active_power_total": 3004.5,
    "reactive_power_phase_a": 10.5, "reactive_power_phase_b": 11.5, "reactive_power_phase_c": 12.5,
    "reactive_power_total": 34.5,
    "apparent_power_phase_a": 1100.5, "apparent_power_phase_b": 1101.5, "apparent_power_phase_c": 1102.5,
    "apparent_power_total": 3304.5,
    "frequency": 50.25,
    "active_energy_import": 123456789012, "active_energy_export": 223456789012,
    "reactive_energy_import": 323456789012, "reactive_energy_export": 423456789012,
    "apparent_energy_import": 523456789012, "apparent_energy_export": 623456789012,
}

PHASES = {"a": "l1", "b": "l2", "c": "l3"}


def our_name(name):
    """What one of FlexPower's names means, by its words."""
    match = re.fullmatch(r"(current|voltage)_phase_([abc])", name)
    if match:
        return f"{match[1]}_{PHASES[match[2]]}" + ("_n" if match[1] == "voltage" else "")
    match = re.fullmatch(r"(active|reactive|apparent)_power_(?:phase_)?(a|b|c|total)", name)
    if match:
        return f"power_{match[1]}_{PHASES.get(match[2], match[2])}"
    match = re.fullmatch(r"(active|reactive|apparent)_energy_(import|export)", name)
    if match:
        return f"energy_{match[1]}_{match[2]}"
    return name


class Reading(harness.Case):
    def liar(self, tables, transport="tcp", **options):
        liar = harness.Liar(transport, server(tables, transport, **options))
        self.addCleanup(liar.close)
        return liar

    def iem2150(self, transport="tcp"):
        return self.liar(registers("schneider-iem2150", IEM2150), transport).where

    def write_config(self, text):
        path = self.directory / "meterstick.conf"
        path.write_text(text)
        return ("--config", path, "--state-dir", self.directory)


class Formats(Reading):
    def test_json_has_every_point_and_nothing_else(self):
        read = self.read(*DIRECT, self.iem2150())
        self.assertEqual(list(read), ["meter", "model", "time", "quality", "values", "identity", "errors"])
        self.assertEqual((read["meter"], read["model"]), ("schneider-iem2150", "schneider-iem2150"))
        self.assertRegex(read["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertRegex(read["quality"], r"^[NE]$")
        self.assertEqual(read["values"], {
            "serial_number": 4711, "voltage": 239.59, "current": 0.025, "power_active": 0.042,
            "power_reactive": -5.389, "power_apparent": 1234.5, "power_factor": 0.5, "power_factor_direction": 1,
            "frequency": 49.987, "energy_active_import": 172.843, "energy_active_export": 0,
            "energy_reactive_import": 0, "energy_reactive_export": 0})
        self.assertEqual(read["identity"]["manufacturer"], "Schneider Electric")
        self.assertEqual(read["errors"], {})

    def test_a_missing_value_is_null_with_its_reason(self):
        where = self.liar(registers("schneider-iem2150", dict(IEM2150, power_active=None))).where
        read = self.read(*DIRECT, where)
        self.assertIsNone(read["values"]["power_active"])
        self.assertEqual(read["errors"], {"power_active": "not available"})
        self.assertRegex(read["quality"], r"^[NE]m$")

    def test_text_is_one_value_and_unit_a_line(self):
        result = self.meterstick("read", *DIRECT, self.iem2150("rtu"), status=0)
        lines = [re.split(r"\s{2,}", line.strip(), maxsplit=1) for line in result.stdout.splitlines()[1:]]
        found = dict(lines)
        self.assertEqual(found["voltage"], "239.59 V")
        self.assertEqual(found["power_active"], "0.042 W")
        self.assertEqual(found["power_apparent"], "1.2345 kVA")
        self.assertEqual(found["power_factor_direction"], "lagging")
        self.assertEqual(found["manufacturer"], "Schneider Electric")

    def test_csv_has_the_columns_of_a_day_file(self):
        where = self.iem2150()
        bare = self.meterstick("read", *DIRECT, where, "--format", "csv", status=0).stdout
        self.assertEqual(len(bare.splitlines()), 1)
        result = self.meterstick("read", *DIRECT, where, "--csv", "--header", status=0).stdout
        header, row = csv.reader(result.splitlines())
        self.assertEqual(header, ["utc", "local", "quality", "current_a", "voltage_v", "power_active_w",
                                  "power_reactive_var", "power_factor", "power_factor_direction", "frequency_hz",
                                  "energy_active_import_wh", "seq"])
        self.assertEqual(row[3:], ["0.025", "239.59", "0.042", "-5.389", "0.5", "1", "49.987", "172.843", ""])
        self.assertRegex(row[1], r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$")

    def test_chosen_points_come_in_the_order_asked_for(self):
        read = self.read(*DIRECT, self.iem2150(), "--points", "power_factor,voltage")
        self.assertEqual(list(read["values"]), ["power_factor", "power_factor_direction", "voltage"])
        read = self.read(*DIRECT, self.iem2150(), "--points", "power_a*")
        self.assertEqual(list(read["values"]), ["power_active", "power_apparent"])
        result = self.meterstick("read", *DIRECT, "auto", "--points", "voltge", status=64)
        self.assertIn("did you mean 'voltage'", result.stderr)


class Configured(Reading):
    def two(self, dead="tcp:127.0.0.1:1"):
        return self.write_config(f"""
[bus a]
port = {self.iem2150()}
[bus b]
port = {dead}
[meter kitchen]
bus = a
model = schneider-iem2150
[meter cellar]
bus = a
model = schneider-iem2150
address = 2
[meter garage]
bus = b
model = schneider-iem2150
""")

    def test_all_meters_or_those_named(self):
        config = self.two(self.iem2150("rtu"))
        result = self.meterstick("read", *config, "--format", "json", status=0)
        read = [json.loads(line) for line in result.stdout.splitlines()]
        self.assertEqual([one["meter"] for one in read], ["kitchen", "cellar", "garage"])
        self.assertEqual({one["values"]["voltage"] for one in read}, {239.59})
        self.assertEqual(self.read(*config, "cellar")["meter"], "cellar")
        result = self.meterstick("read", *config, "celar", status=64)
        self.assertIn("did you mean 'cellar'", result.stderr)

    def test_a_dead_meter_costs_74_and_the_others_are_printed(self):
        result = self.meterstick("read", *self.two(), "--format", "json", status=74)
        read = {one["meter"]: one for one in map(json.loads, result.stdout.splitlines())}
        self.assertEqual(read["kitchen"]["values"]["voltage"], 239.59)
        self.assertEqual(read["cellar"]["errors"], {})
        self.assertEqual(set(read["garage"]["values"].values()), {None})
        self.assertIn("'garage'", result.stderr)
        self.assertIn("refused", result.stderr)
        result = self.meterstick("read", *self.two(), "--csv", "--header", status=74)
        rows = list(csv.reader(result.stdout.splitlines()))
        self.assertEqual([row[0] for row in rows], ["meter", "kitchen", "cellar"])

    def test_no_port_at_all_is_69(self):
        self.meterstick("read", *self.two(), "garage", status=69)

    def test_a_program_is_a_meter(self):
        config = self.write_config("""
[meter shed]
driver = exec
command = echo 230.1,4.2
columns = voltage V, power_active kW
""")
        read = self.read(*config)
        self.assertEqual((read["meter"], read["model"]), ("shed", "exec"))
        self.assertEqual(read["values"], {"voltage": 230.1, "power_active": 4200})

    def test_without_configuration_it_says_how(self):
        result = self.meterstick("read", "--config", self.directory / "none.conf", status=78)
        self.assertIn("none.conf", result.stderr)


class CommandLine(Reading):
    def test_every_name_of_flexpower(self):
        tables = registers("schneider-pm8000", {our_name(name): value for name, value in FX.items()})
        read = self.read("--model", "schneider-pm8000", "--port", self.liar(tables).where, "--points", ",".join(FX))
        self.assertEqual(read["values"], {our_name(name): value for name, value in FX.items()})
        self.assertEqual(len(FX), 25)

    def test_orders_of_words_and_bytes(self):
        big = struct.unpack(">2H", struct.pack(">f", 239.59))
        for word_order, byte_order in [(w, b) for w in ("BIG", "LITTLE") for b in ("BIG", "LITTLE")]:
            words = big[::-1] if word_order == "LITTLE" else big
            if byte_order == "LITTLE":
                words = [word >> 8 | (word & 0xFF) << 8 for word in words]
            where = self.liar({"holding": {3027: words[0], 3028: words[1]}}).where
            with self.subTest(word_order=word_order, byte_order=byte_order):
                read = self.read(*DIRECT, where, "--points", "voltage", "--word-order", word_order,
                                 "--byte-order", byte_order)
                self.assertEqual(read["values"], {"voltage": 239.59})
                read = self.read("--register", "holding 3028 f32.dcba", "--port", where, "--wordorder", word_order,
                                 "--byteorder", byte_order.lower())
                self.assertEqual(read["values"], {"value": 239.59})
        result = self.meterstick("read", *DIRECT, "auto", "--word-order", "AUTO", status=64)
        self.assertIn("the order of this computer", result.stderr)

    def test_register_of_an_unknown_meter(self):
        tables = {"holding": {3027: 0x436F, 3028: 0x970A, 99: 13800}, "input": {7: 0xFFFF}}
        where = self.liar(tables).where
        for register, expected in (("holding 3028 f32.abcd", {"value": 239.59}),
                                   ("holding 3028 f32.abcd 1 V", {"voltage": 239.59}),
                                   ("holding 100 u16 1 V", {"voltage": 13800}),   # nobody knows its bounds
                                   ("input 8 i16 0.1 kW", {"power_active": -100}),
                                   ("current holding 100 u16 0.01 A", {"current": 138}),
                                   ("holding 3028 u16, holding 100 u16", {"value_a": 0x436F, "value_b": 13800})):
            with self.subTest(register=register):
                self.assertEqual(self.read("--register", register, "--port", where)["values"], expected)
        self.assertEqual(self.read("--register", "holding 99 u16", "--first-number", 0, "--port", where)["values"],
                         {"value": 13800})

    def test_registers_that_make_no_sense(self):
        for register, words in (("holding 3028 f33", "f33"), ("hold 3028 u16", "hold"), ("holding 70000 u16", "70000"),
                                ("holding x u16", "x"), ("", ""), ("holding 3028 u16 1 parsec", "parsec")):
            with self.subTest(register=register):
                result = self.meterstick("read", "--register", register, "--port", "auto", status=64)
                self.assertIn(words, result.stderr)

    def test_no_request_is_longer_than_the_message_size(self):
        liar = self.liar(registers("schneider-iem2150", IEM2150))
        self.read(*DIRECT, liar.where, "--points", "log", "--message_size", 8)
        counts = [struct.unpack_from(">H", request, 10)[0] for request in liar.requests]
        self.assertLessEqual(max(counts), 8)
        result = self.meterstick("read", *DIRECT, liar.where, "--message-size", 8, status=64)  # names take 20
        self.assertIn("--message-size", result.stderr)

    def test_the_timeout_is_kept(self):
        liar = harness.Liar("rtu", lambda request: [])
        self.addCleanup(liar.close)
        begin = time.monotonic()
        result = self.meterstick("read", *DIRECT, liar.where, "--timeout", "50 ms", status=74)
        self.assertLess(time.monotonic() - begin, 3)
        self.assertIn("did not answer: timed out", result.stderr)

    def test_address_and_unit_go_out(self):
        liar = self.liar(registers("schneider-iem2150", IEM2150))
        self.read(*DIRECT, liar.where, "--device_address", 42, "--points", "voltage")
        self.assertEqual(liar.requests[0][6], 42)
        number = liar.where.rsplit(":", 1)[1]
        self.read("--model", "schneider-iem2150", "--host", "127.0.0.1", "--port", number, "--address", 10, "--points",
                  "voltage")
        self.assertEqual(liar.requests[-1][6], 10)

    def test_a_model_file_of_ones_own(self):
        path = self.directory / "mine.meter"
        path.write_text("[model]\nid = mine\ntitle = Mine\naddresses = from 0\nserial = 9600 8N1\nsource = me\n"
                        "verified = document\nlog = voltage\n[points]\nvoltage holding 99 u16 0.1 V\n")
        read = self.read("--model", path, "--port", self.liar({"holding": {99: 2301}}).where)
        self.assertEqual((read["model"], read["values"]), ("mine", {"voltage": 230.1}))


class Trouble(Reading):
    def test_ports_that_cannot_be_opened_are_named(self):
        with socket.socket() as silent:  # bound, not listening
            silent.bind(("127.0.0.1", 0))
            for port, words in (("/dev/ttyNONE7", "/dev/ttyNONE7"),
                                (f"tcp:127.0.0.1:{silent.getsockname()[1]}", "refused"),
                                ("tcp:no-such-name.invalid", "no-such-name.invalid"),
                                ("/dev/null", "/dev/null")):
                with self.subTest(port=port):
                    result = self.meterstick("read", *DIRECT, port, status=69)
                    self.assertIn(words, result.stderr)
                    self.assertEqual(result.stdout, "")

    def test_a_busy_port_is_said_to_be_busy(self):
        ours, path, keep = harness.raw_pty()
        try:
            fcntl.flock(keep, fcntl.LOCK_EX)
            result = self.meterstick("read", *DIRECT, path, status=69)
            self.assertRegex(result.stderr, "in use|busy|holds")
        finally:
            os.close(ours)
            os.close(keep)

    def test_a_port_without_permission_says_what_to_do(self):
        ours, path, keep = harness.raw_pty()
        try:
            os.chmod(path, 0)
            nobody = harness.as_nobody()
            programs, environment = nobody.pop("programs"), {**os.environ, **nobody.pop("environment")}
            result = subprocess.run([programs / "meterstick", "read", *DIRECT, path], capture_output=True, text=True,
                                    timeout=20, check=False, cwd="/", env=environment,
                                    **(nobody if os.geteuid() == 0 else {}))
            self.assertEqual(result.returncode, 69, result.stderr)
            self.assertRegex(result.stderr, "permission|dialout")
        finally:
            os.close(ours)
            os.close(keep)

    def test_an_exception_is_no_value(self):
        def refuse(request):
            pdu = bytes((request[0], request[1] | 0x80, 2))
            return [(0, pdu + harness.crc16(pdu))]
        liar = harness.Liar("rtu", refuse)
        self.addCleanup(liar.close)
        result = self.meterstick("read", *DIRECT, liar.where, "--points", "voltage", "--format", "json", status=74)
        read = json.loads(result.stdout)
        self.assertEqual(read["values"], {"voltage": None})
        self.assertIn("exception 2", read["errors"]["voltage"])


class Repeating(Reading):
    def test_the_interval_does_not_drift(self):
        where = self.liar(registers("schneider-iem2150", IEM2150), delay=0.03).where
        process = self.start(harness.BIN / "meterstick", "read", *DIRECT, where, "--points", "voltage", "--json",
                             "--interval", "0.2", "--count", 8, stdout=subprocess.PIPE, text=True,
                             env=dict(os.environ, METERSTICK_MODELS=str(harness.MODELS)))
        times = []
        for line in process.stdout:
            times.append(time.monotonic())
            json.loads(line)
        self.assertEqual(process.wait(), 0)
        self.assertEqual(len(times), 8)
        for i, when in enumerate(times):  # sleeping 0.2 s after each poll would be 0.2 s late at the end
            self.assertLess(abs(when - times[0] - i * 0.2), 0.1, times)

    def test_count_alone_is_5_s_apart_and_one_is_at_once(self):
        begin = time.monotonic()
        result = self.meterstick("read", *DIRECT, self.iem2150(), "--points", "voltage", "--csv", "--quantity", 1,
                                 status=0)
        self.assertLess(time.monotonic() - begin, 3)
        self.assertEqual(len(result.stdout.splitlines()), 1)

    def interrupt(self, where, seconds):
        process = self.start(harness.BIN / "meterstick", "read", *DIRECT, where, "--points", "voltage", "--json",
                             "--interval", "0.1", "--timeout", "20 s", stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True, env=dict(os.environ, METERSTICK_MODELS=str(harness.MODELS)))
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        begin = time.monotonic()
        out, err = process.communicate(timeout=10)
        self.assertLess(time.monotonic() - begin, 2)
        self.assertEqual(process.returncode, 0, err)
        self.assertIn("Polling stopped by user.", err)
        return out

    def test_ctrl_c_ends_polling_cleanly(self):
        out = self.interrupt(self.iem2150(), 1)
        self.assertGreater(len(out.splitlines()), 2)
        self.assertEqual({json.loads(line)["values"]["voltage"] for line in out.splitlines()}, {239.59})

    def test_ctrl_c_does_not_wait_for_a_silent_meter(self):
        liar = harness.Liar("tcp", lambda request: [])
        self.addCleanup(liar.close)
        self.assertEqual(self.interrupt(liar.where, 0.7), "")

    def test_a_lost_and_returned_meter_is_told_once_each(self):
        alive = threading.Event()
        serve = server(registers("schneider-iem2150", IEM2150), "tcp")
        liar = harness.Liar("tcp", lambda request: serve(request) if alive.is_set() else [])
        self.addCleanup(liar.close)
        process = self.start(harness.BIN / "meterstick", "read", *DIRECT, liar.where, "--points", "voltage", "--csv",
                             "--interval", "0.2", "--timeout", "50 ms", stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True, env=dict(os.environ, METERSTICK_MODELS=str(harness.MODELS)))
        time.sleep(2)
        alive.set()
        self.assertIn("239.59", process.stdout.readline())
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)
        self.assertEqual(err.count("did not answer"), 1, err)
        self.assertEqual(err.count("answers again"), 1, err)


if __name__ == "__main__":
    unittest.main()
