# SPDX-License-Identifier: MIT
"""
The main job: meters on ptys, sockets and pipes, rows in the journal. The journal is read here with Python's own sqlite3,
as anybody could; the meters are python3-pymodbus, or a slave that can be told to fall silent.
"""

import json
import os
import pathlib
import resource
import signal
import sqlite3
import statistics
import struct
import subprocess
import threading
import time
import unittest

import harness
import registers
import timedate

MODEL = "schneider-iem2150"
LOGGED = {"current": 5.12, "voltage": 230.1, "power_active": 1178.3, "power_reactive": 0.25, "power_factor": 0.97,
          "frequency": 49.98, "energy_active_import": 7918565}


class Line:
    """Meters of one model on a line of their own, each of which can be taken away and given back."""

    def __init__(self, case, units, model=MODEL, transport="rtu", values=None):
        self.tables = {unit: registers.registers(model, values or LOGGED) for unit in units}
        self.alive = set(units)
        self.unheard = 0  # requests to those that are taken away
        self.transport = transport
        self.liar = harness.Liar(transport, self.answer)
        self.where = self.liar.where
        case.addCleanup(self.liar.close)

    def answer(self, request):
        unit = request[0 if self.transport == "rtu" else 6]
        if unit not in self.alive:
            self.unheard += 1
            return []
        return registers.server(self.tables[unit], self.transport)(request)


class Case(harness.Case):
    def setUp(self):
        super().setUp()
        self.state, self.run_dir = self.directory / "state", self.directory / "run"
        self.log = self.directory / "log"

    def configure(self, text, interval="500 ms", commit="1 s"):
        path = self.directory / "meterstick.conf"
        path.write_text(f"[appliance]\ninterval = {interval}\nclock = trusted\n[journal]\ncommit = {commit}\n{text}")
        return path

    def acquire(self, config, programs=harness.BIN, **options):
        """Start it; its log is in self.log."""
        environment = {**os.environ, "METERSTICK_MODELS": str(harness.MODELS), **options.pop("environment", {})}
        log = open(self.log, "ab")
        self.addCleanup(log.close)
        return self.start(programs / "meterstick-acquire", "--config", config, "--state-dir", self.state, "--run-dir",
                          self.run_dir, env=environment, stderr=log, **options)

    def refused(self, *arguments):
        """Run it to its end: (exit code, what it said)."""
        result = subprocess.run([str(harness.BIN / "meterstick-acquire"), *map(str, arguments)], capture_output=True,
                                text=True, timeout=20, check=False,
                                env=dict(os.environ, METERSTICK_MODELS=str(harness.MODELS)))
        return result.returncode, result.stderr

    def query(self, sql):
        rows = []
        for path in sorted((self.state / "journal").glob("*.db")):
            database = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
            try:
                rows += database.execute(sql).fetchall()
            except sqlite3.OperationalError:
                pass  # a segment that is just being made
            finally:
                database.close()
        return rows

    def rows(self, meter=None):
        """[(seq, boot_ms, quality, {name: value})] of a meter."""
        result = []
        for seq, boot_ms, name, quality, layout, values in self.query(
                "SELECT seq, boot_ms, name, quality, layout, vals FROM sample JOIN meter ON meter.id = sample.meter "
                "ORDER BY seq"):
            if meter in (None, name):
                names = [column["quantity"] for column in json.loads(layout)]
                result.append((seq, boot_ms, quality, dict(zip(names, json.loads(values)))))
        return result

    def events(self, code):
        return [text for text, in self.query(f"SELECT text FROM event WHERE code = '{code}' ORDER BY id")]

    def status(self):
        try:
            return json.loads((self.run_dir / "acquire.json").read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return {"meters": [], "state": "", "journal": {}}

    def meter(self, name):
        return next((meter for meter in self.status()["meters"] if meter["name"] == name), {"state": None})

    def wait_rows(self, count, meter=None, seconds=15):
        return harness.wait_until(lambda: len(rows := self.rows(meter)) >= count and rows, seconds,
                                  f"{count} rows of {meter}: {self.log.read_text()}")

    def end(self, process, within=5):
        begin = time.monotonic()
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(10), 0, self.log.read_text())
        self.assertLess(time.monotonic() - begin, within)


class Rows(Case):
    def test_rows_have_the_exact_values_of_independent_slaves(self):
        random = harness.random_source()
        drawn = {"current": round(random.uniform(0, 60), 3), "voltage": round(random.uniform(200, 250), 2),
                 "power_active": round(random.uniform(1, 9000), 2), "frequency": round(random.uniform(49, 51), 3)}
        rtu = self.pymodbus_slave("rtu", {3: registers.registers(MODEL, drawn)})
        tcp = self.pymodbus_slave("tcp", {1: registers.registers("schneider-pm8000", {"current_l1": 12.75})})
        self.acquire(self.configure(f"""
            [bus wire]
            port = {rtu}
            serial = 115200 8N1
            [bus net]
            port = {tcp}
            [meter kitchen]
            bus = wire
            model = {MODEL}
            address = 3
            log = current, voltage, power_active, frequency
            [meter plant]
            bus = net
            model = schneider-pm8000
            log = current_l1, current_l2
            """))
        for seq, _, quality, values in self.wait_rows(4, "kitchen"):
            self.assertEqual(quality, "N")
            self.assertEqual({name: float(struct.unpack("f", struct.pack("f", value))[0]) for name, value in drawn.items()},
                             {name: float(struct.unpack("f", struct.pack("f", value))[0]) for name, value in values.items()})
            self.assertEqual(drawn, values)
        self.assertEqual(self.wait_rows(4, "plant")[0][3], {"current_l1": 12.75, "current_l2": 0})
        sequence = [row[0] for row in self.rows()]
        self.assertEqual(sequence, list(range(sequence[0], sequence[0] + len(sequence))))

    def test_missing_values_are_null_with_m_and_never_zero(self):
        line = Line(self, [1], values=dict(LOGGED, voltage=None))
        self.acquire(self.configure(f"[bus b]\nport = {line.where}\nserial = 115200 8N1\n"
                                    f"[meter kitchen]\nbus = b\nmodel = {MODEL}\nlog = current, voltage\n"))
        for _, _, quality, values in self.wait_rows(3):
            self.assertEqual((quality, values), ("Nm", {"current": 5.12, "voltage": None}))
        self.assertIsNone(self.meter("kitchen")["values"]["voltage"])

    def test_slices_are_aligned_and_do_not_drift(self):
        line = Line(self, [1])
        self.acquire(self.configure(f"[bus b]\nport = {line.where}\nserial = 115200 8N1\n"
                                    f"[meter kitchen]\nbus = b\nmodel = {MODEL}\n", interval="1 s"))
        boot = [row[1] for row in self.wait_rows(16, seconds=45)][2:]
        origin = boot[0] - 1000 + statistics.median((ms - boot[0] + 500) % 1000 for ms in boot)
        phases = [(ms - origin) % 1000 - 500 for ms in boot]  # a busy machine is late now and then, not ever later
        self.assertLess(abs(statistics.median(phases[7:]) - statistics.median(phases[:7])), 70, phases)
        self.assertEqual([(ms - origin) // 1000 for ms in boot], list(range(len(boot))), phases)  # one a slice

    def test_log_every_averages_gauges_and_keeps_the_last_counter(self):
        script = self.directory / "count.sh"
        script.write_text(f'n=$(cat {self.directory}/n 2>/dev/null || echo 0); echo $((n+1)) > {self.directory}/n\n'
                          'echo "$((n%2*10)),$n"\n')
        self.acquire(self.configure(f"[meter x]\ndriver = exec\ncommand = sh {script}\n"
                                    "columns = voltage V, energy_active_import Wh\nlog_every = 1 s\n", interval="250 ms"))
        rows = self.wait_rows(5)[1:]
        for (_, _, _, before), (_, _, _, row) in zip(rows, rows[1:]):
            self.assertEqual(row["voltage"], 5)
            self.assertEqual(row["energy_active_import"] - before["energy_active_import"], 4)

    def test_a_program_is_a_meter(self):
        self.acquire(self.configure("[meter x]\ndriver = exec\ncommand = echo 1.5,,7\n"
                                    "columns = power_active kW, voltage V, energy_active_import Wh\n"))
        for _, _, quality, values in self.wait_rows(3):
            self.assertEqual((quality, values),
                             ("Nm", {"power_active": 1500, "voltage": None, "energy_active_import": 7}))

    def test_a_program_that_hangs_does_not_outlive_us(self):
        pid_file = self.directory / "pid"
        process = self.acquire(self.configure(f"[meter x]\ndriver = exec\ncommand = echo $$ > {pid_file}; sleep 60\n"
                                              "columns = voltage V\n"))
        harness.wait_until(lambda: pid_file.exists() and pid_file.read_text().strip(), 10, "it runs")
        pid = int(pid_file.read_text())
        self.end(process)
        harness.wait_until(lambda: not os.path.exists(f"/proc/{pid}"), 3, "the program has ended")

    def test_a_current_cost_display_is_heard(self):
        display, path, keep = harness.raw_pty()
        self.addCleanup(os.close, keep)
        self.addCleanup(os.close, display)
        stop = threading.Event()
        message = (b"<msg><src>CC128-v0.11</src><dsb>00089</dsb><time>13:02:39</time><tmpr>18.7</tmpr><sensor>0</sensor>"
                   b"<id>01234</id><type>1</type><ch1><watts>00345</watts></ch1></msg>\r\n")

        def talk():
            while not stop.wait(0.3):
                os.write(display, message)
        talker = threading.Thread(target=talk)
        talker.start()
        self.addCleanup(talker.join)
        self.addCleanup(stop.set)
        self.acquire(self.configure(f"[bus cc]\nport = {path}\n[meter house]\nbus = cc\nmodel = currentcost-cc128\n",
                                    interval="1 s"))
        values = self.wait_rows(3, "house")[-1][3]
        self.assertIn(345, values.values())
        self.assertIn(18.7, values.values())


class Silence(Case):
    def config(self, line, units, **options):
        text = f"[bus b]\nport = {line.where}\nserial = 115200 8N1\n"
        return self.configure(text + "".join(f"[meter m{unit}]\nbus = b\nmodel = {MODEL}\naddress = {unit}\n"
                                             "log = voltage, current\n" for unit in units), **options)

    def test_a_dead_meter_costs_the_others_no_slice(self):
        line = Line(self, [1, 2, 3])
        self.acquire(self.config(line, [1, 2, 3, 9], interval="1 s"))
        self.wait_rows(36, seconds=20)
        for name in ("m1", "m2", "m3"):
            boot = [row[1] for row in self.rows(name)]
            gaps = [b - a for a, b in zip(boot, boot[1:])]
            self.assertLess(max(gaps), 1700, gaps)  # a probe may delay it, a slice is never left out
        self.assertEqual(self.rows("m9"), [])
        self.assertEqual(len(self.events("lost")), 1)
        self.assertEqual(self.meter("m9")["state"], "silent")
        self.assertIn("timed out", self.meter("m9")["last_error"])

    def test_a_meter_that_returns_is_back_with_events_and_words(self):
        line = Line(self, [1, 2])
        self.acquire(self.config(line, [1, 2]))
        self.wait_rows(3, "m2")
        line.alive.remove(2)
        harness.wait_until(lambda: self.meter("m2")["state"] == "silent", 20, "silent")
        harness.wait_until(lambda: self.events("lost"), 2, "a lost meter is committed at once")
        count = len(self.rows("m2"))
        line.alive.add(2)
        self.wait_rows(count + 2, "m2", seconds=30)
        harness.wait_until(lambda: self.meter("m2")["state"] == "live", 3, "live")
        self.assertEqual([text.split(":")[0] for text in self.events("missed")], ["m2"])
        self.assertRegex(self.events("back")[0], r"m2: answers again, \d+ slices without a row")
        log = self.log.read_text()
        self.assertEqual(log.count("stopped answering"), 1)
        self.assertEqual(log.count("is back after"), 1)

    def test_one_missed_slice_is_an_event_and_no_loss(self):
        line = Line(self, [1])
        self.acquire(self.config(line, [1], interval="5 s"))
        self.wait_rows(1)
        line.alive.clear()
        # a whole poll unheard: from its first request on, longer than its attempts take, and less than to the next slice
        harness.wait_until(lambda: line.unheard > 0, 10, "a request")
        time.sleep(2.5)
        line.alive.add(1)
        harness.wait_until(lambda: self.events("back"), 15, "back")
        self.assertEqual(self.events("lost"), [])
        self.assertEqual(len(self.events("missed")), 1)
        self.assertNotIn("stopped answering", self.log.read_text())

    def test_all_come_back_at_once_when_the_wire_does(self):
        units = list(range(1, 11))
        line = Line(self, units)
        self.acquire(self.config(line, units, interval="1 s"))
        self.wait_rows(20)
        line.alive.clear()
        harness.wait_until(lambda: all(meter["state"] == "silent" for meter in self.status()["meters"]), 30, "all silent")
        self.assertEqual(harness.wait_until(lambda: self.status()["state"] == "failed" and "failed", 5), "failed")
        line.alive.update(units)
        harness.wait_until(lambda: all(meter["state"] == "live" for meter in self.status()["meters"]), 12, "all live")

    def test_a_port_that_comes_later_is_used(self):
        line = Line(self, [1, 2])
        port = self.directory / "adapter"
        self.acquire(self.configure(f"[bus b]\nport = {port}\nserial = 115200 8N1\n" +
                                    "".join(f"[meter m{n}]\nbus = b\nmodel = {MODEL}\naddress = {n}\n" for n in (1, 2))))
        harness.wait_until(lambda: "adapter" in (self.status().get("error") or ""), 5, "an error that names it")
        time.sleep(3)
        port.symlink_to(line.where)
        self.wait_rows(4, seconds=10)
        harness.wait_until(lambda: self.status()["error"] is None, 5, "no error")
        log = self.log.read_text()
        self.assertEqual(log.count("cannot be used"), 1, log)
        self.assertNotIn("does not answer", log)


class End(Case):
    def one(self, **options):
        self.line = Line(self, [1])
        return self.configure(f"[bus b]\nport = {self.line.where}\nserial = 115200 8N1\n"
                              f"[meter kitchen]\nbus = b\nmodel = {MODEL}\nlog = voltage\n", **options)

    def test_sigterm_commits_what_it_has(self):
        process = self.acquire(self.one(commit="60 s"))
        self.wait_rows(1)  # the first at once
        time.sleep(3)
        self.assertLess(len(self.rows()), 3)
        self.end(process)
        self.assertGreaterEqual(len(self.rows()), 6)
        self.assertEqual(self.status()["state"], "stopped")

    def test_sigterm_ends_it_while_all_meters_are_silent(self):
        config = self.one()
        self.line.alive.clear()
        process = self.acquire(config)
        harness.wait_until(lambda: self.status()["state"] == "failed", 10, "silent")
        self.end(process)

    def test_kill_loses_no_committed_row_and_gives_no_seq_twice(self):
        config = self.one(interval="100 ms")
        seen, top = {}, 0
        for _ in range(4):
            process = self.acquire(config)
            harness.wait_until(lambda: self.status().get("pid") == process.pid
                               and self.status()["journal"].get("seq", 0) > top, 15, "rows are committed")
            time.sleep(1.2)
            top = self.status()["journal"]["seq"]
            process.kill()
            process.wait()
            rows = {row[0]: row for row in self.rows()}
            self.assertIn(top, rows)
            self.assertEqual({seq: rows.get(seq) for seq in seen}, seen)
            seen = rows

    def test_a_second_acquire_on_the_same_journal_is_refused(self):
        config = self.one()
        process = self.acquire(config)
        self.wait_rows(2)
        code, said = self.refused("--config", config, "--state-dir", self.state, "--run-dir", self.directory / "other")
        self.assertEqual(code, 74)
        self.assertIn("another acquire has the journal", said)
        self.wait_rows(len(self.rows()) + 2)
        self.end(process)

    def test_a_card_that_is_full_for_a_while_loses_nothing(self):
        process = self.acquire(self.one())
        self.wait_rows(3)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
        harness.wait_until(lambda: self.status()["journal"].get("state") not in ("ok", None), 10, "it is told")
        time.sleep(2)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        harness.wait_until(lambda: self.status()["journal"].get("state") == "ok", 15, "it is well again")
        self.assertEqual(self.status()["journal"]["lost"], 0)
        rows = self.rows()
        self.assertEqual([row[0] for row in rows], list(range(rows[0][0], rows[0][0] + len(rows))))
        boot = [row[1] for row in rows]
        self.assertLess(max(b - a for a, b in zip(boot, boot[1:])), 900, boot)
        self.assertEqual(self.log.read_text().count("cannot be written"), 1)


class Configuration(Case):
    def test_a_bad_configuration_uses_the_last_good_one(self):
        line = Line(self, [1])
        config = self.configure(f"[bus b]\nport = {line.where}\nserial = 115200 8N1\n"
                                f"[meter kitchen]\nbus = b\nmodel = {MODEL}\n")
        self.end_after_rows(config)
        config.write_text("[meter kitchen]\nmodell = nonsense\n")
        process = self.acquire(config)
        self.wait_rows(len(self.rows()) + 2)
        self.assertIn("last good one", self.status()["error"])
        log = self.log.read_text()
        self.assertIn(f"{config}:2", log)
        self.assertIn("good.conf", log)
        self.end(process)

    def end_after_rows(self, config):
        process = self.acquire(config)
        self.wait_rows(2)
        self.end(process)
        self.assertIn("kitchen", (self.state / "good.conf").read_text())

    def test_without_any_it_says_what_to_write(self):
        code, said = self.refused("--config", self.directory / "none.conf", "--state-dir", self.state, "--run-dir",
                                  self.run_dir)
        self.assertEqual(code, 78)
        self.assertIn("none.conf", said)

    def test_one_without_a_meter_says_what_to_write(self):
        code, said = self.refused("--config", self.configure(""), "--state-dir", self.state, "--run-dir", self.run_dir)
        self.assertEqual(code, 78)
        self.assertIn("[meter house]", said)

    def test_a_bad_one_without_a_good_one_is_refused(self):
        config = self.directory / "meterstick.conf"
        config.write_text("[meter kitchen]\nmodel = schneider-iem2151\n")
        code, said = self.refused("--config", config, "--state-dir", self.state, "--run-dir", self.run_dir)
        self.assertEqual(code, 78)
        self.assertIn("schneider-iem2150", said)
        self.assertFalse((self.state / "good.conf").exists())

    def test_a_state_directory_that_is_a_file_is_refused(self):
        self.state.write_text("")
        code, said = self.refused("--config", self.configure(""), "--state-dir", self.state, "--run-dir", self.run_dir)
        self.assertEqual(code, 74)
        self.assertIn(str(self.state), said)


class Clock(Case):
    def letters(self, synchronised):
        """The letters of the epochs, with a timedate1 that says so ("yes", "no") or none (None)."""
        address = f"unix:path={self.directory}/bus"
        if synchronised:
            answer = self.directory / "synchronised"
            answer.write_text(synchronised)
            timedate.serve(self, address, answer)
        config = self.configure("[meter x]\ndriver = exec\ncommand = echo 1\ncolumns = voltage V\n")
        config.write_text(config.read_text().replace("clock = trusted\n", ""))
        self.acquire(config, environment={"DBUS_SYSTEM_BUS_ADDRESS": address})
        self.wait_rows(6)
        return [letter for letter, in self.query("SELECT source FROM epoch ORDER BY n")]

    @unittest.skipIf(timedate.missing(), timedate.missing())
    def test_timedate_says_that_ntp_keeps_the_clock(self):
        self.assertEqual(self.letters("yes")[-1], "N")
        self.assertEqual(self.status()["clock"], {"known": True, "quality": "N"})
        self.assertEqual(self.rows()[-1][2], "N")

    @unittest.skipIf(timedate.missing(), timedate.missing())
    def test_timedate_says_that_nobody_does(self):
        self.assertNotIn("N", self.letters("no"))

    def test_without_anybody_to_ask_the_time_is_not_known(self):
        self.assertNotIn("N", self.letters(None))
        self.assertEqual(self.rows()[-1][2], self.status()["clock"]["quality"])


class Memory(Case):
    def test_79_meters_on_4_buses_fit_into_7_mib(self):
        text = ""
        for bus in range(4):
            units = range(1, 20 if bus == 3 else 21)
            line = Line(self, units)
            text += f"[bus b{bus}]\nport = {line.where}\nserial = 115200 8N1\n"
            text += "".join(f"[meter m{bus}-{unit}]\nbus = b{bus}\nmodel = {MODEL}\naddress = {unit}\n" for unit in units)
        process = self.acquire(self.configure(text, interval="1 s"))
        self.wait_rows(79 * 3, seconds=30)
        proc = pathlib.Path(f"/proc/{process.pid}")
        rollup = dict(line.split(":") for line in (proc / "smaps_rollup").read_text().splitlines() if line.endswith("kB"))
        total, dirty = (int(rollup[key].split()[0]) for key in ("Rss", "Private_Dirty"))
        print(f"79 meters: {total} KiB, {dirty} KiB private dirty")
        if not any(name in (proc / "maps").read_text() for name in ("asan", "tsan")):
            self.assertLessEqual(total, 7 * 1024)
            self.assertLessEqual(dirty, 2560)


if __name__ == "__main__":
    unittest.main()
