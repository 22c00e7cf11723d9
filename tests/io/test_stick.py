# SPDX-License-Identifier: MIT
"""
`stick --dir` and `export`, as programs, on a journal that was written here with Python's sqlite3 from what the design says
of its format: so the format is what is documented, and any SQLite tool can read (and here even write) it.
"""

import csv
import json
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import time
import unittest

import harness

JOURNAL_ID = "01234567-89ab-4cde-8f01-23456789abcd"
BOOT = "aaaaaaaa-0000-4000-8000-000000000001"
WALL = 1795168800000  # 2026-11-20T10:00:00Z: 11:00 in Berlin
LAYOUT = [{"quantity": "voltage", "unit": "V"}, {"quantity": "power_active", "unit": "W"}]


class Journal:
    """The newest segment, being written."""

    def __init__(self, state):
        directory = state / "journal"
        directory.mkdir(parents=True)
        (directory / "id").write_text(JOURNAL_ID + "\n")
        self.db = sqlite3.connect(directory / "0000000000000001.db", isolation_level=None)
        self.db.executescript("""
            PRAGMA journal_mode=WAL;
            BEGIN;
            CREATE TABLE journal(id TEXT);
            CREATE TABLE epoch(n INTEGER PRIMARY KEY, boot_id TEXT, wall_ms INTEGER, source TEXT, error_ms INTEGER);
            CREATE TABLE meter(id INTEGER PRIMARY KEY, name TEXT, model TEXT, layout TEXT);
            CREATE TABLE sample(seq INTEGER PRIMARY KEY, epoch INTEGER, boot_ms INTEGER, meter INTEGER, quality TEXT,
                                vals TEXT);
            CREATE TABLE event(id INTEGER PRIMARY KEY, epoch INTEGER, boot_ms INTEGER, code TEXT, text TEXT);
            PRAGMA user_version=1;""")
        self.db.execute("INSERT INTO journal VALUES(?)", (JOURNAL_ID,))
        self.db.execute("INSERT INTO epoch VALUES(1,?,?,'N',0)", (BOOT, WALL))
        self.db.execute("INSERT INTO meter VALUES(1,'kitchen','schneider-iem2150',?)", (json.dumps(LAYOUT),))
        self.db.execute("COMMIT")
        self.seq = 0

    def add(self, *values, boot_ms=None, meter=1):
        self.seq += 1
        self.db.execute("INSERT INTO sample VALUES(?,1,?,?,?,?)",
                        (self.seq, self.seq * 1000 if boot_ms is None else boot_ms, meter,
                         "Nm" if None in values else "N", json.dumps(values)))
        return self.seq


class StickCase(harness.Case):
    def setUp(self):
        super().setUp()
        self.state = self.directory / "state"
        self.run_dir = self.directory / "run"
        self.stick = self.directory / "stick"
        self.stick.mkdir()
        self.journal = Journal(self.state)
        self.addCleanup(self.journal.db.close)
        (self.state / "appliance").write_text("here\n")
        self.day = self.stick / "kwhmeter" / "here" / "kitchen" / "2026-11-20.csv"
        self.command = [harness.BIN / "meterstick-stick", "--dir", self.stick, "--state-dir", self.state,
                        "--run-dir", self.run_dir]

    def settings(self, text):
        (self.state / "good.conf").write_text(text)

    def once(self, status=0):
        result = subprocess.run([*self.command, "--once"], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(result.returncode, status, result.stderr)
        return result

    def rows(self, path=None):
        with open(path or self.day, newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def seqs(self, path=None):
        return [int(row["seq"]) for row in self.rows(path)]

    def status(self):
        return json.loads((self.run_dir / "stick.json").read_text())


class Once(StickCase):
    def test_the_table_opens_in_any_program(self):
        self.journal.add(230.1, -1250)
        self.journal.add(None, 0.042)
        self.once()
        self.assertEqual(self.day.read_bytes(),
                         b"utc,local,quality,voltage_v,power_active_w,seq\r\n"
                         b"2026-11-20T10:00:01.000Z,2026-11-20 11:00:01,N,230.1,-1250,1\r\n"
                         b"2026-11-20T10:00:02.000Z,2026-11-20 11:00:02,Nm,,0.042,2\r\n")
        table = sqlite3.connect(":memory:")
        table.execute("CREATE TABLE t(utc, local, quality, voltage_v, power_active_w, seq)")
        table.executemany("INSERT INTO t VALUES(:utc,:local,:quality,:voltage_v,:power_active_w,:seq)", self.rows())
        self.assertEqual(table.execute("SELECT sum(power_active_w) FROM t WHERE voltage_v<>''").fetchone(), (-1250.0,))
        table.close()

    def test_a_second_run_adds_only_what_is_new(self):
        self.journal.add(1, 1)
        self.once()
        self.journal.add(2, 2)
        self.once()
        self.once()
        self.assertEqual(self.seqs(), [1, 2])

    def test_no_stick_is_said_as_the_seed_said_it(self):  # ES-17
        shutil.rmtree(self.stick)
        self.assertIn("Error writing the log file.", self.once(1).stderr)
        self.assertFalse(self.stick.exists())

    def test_no_journal_is_an_error(self):
        self.journal.db.close()
        shutil.rmtree(self.state / "journal")
        self.assertIn("Error writing the log file.", self.once(1).stderr)

    def test_energy_scribe_files(self):  # ES-14, ES-20, ES-23
        self.settings("[stick]\ncsv = energy-scribe\n")
        self.journal.add(230.1, 1250)
        self.once()
        file = self.stick / "kwhmeter/here/kitchen/20261120-10.00.01.csv"
        self.assertEqual(file.read_text(),
                         '"Time","Voltage","Current","Power","Reactive power","Power factor",'
                         '"Power factor direction","Frequency","Cumulative energy"\n'
                         '"2026/11/20 10:00:01",230.1,,1.25,,,,,\n')

    def test_the_name_comes_from_the_settings_or_is_made_once(self):
        self.journal.add(1, 1)
        self.settings("[appliance]\nname = cellar\n")
        self.once()
        self.assertTrue((self.stick / "kwhmeter/cellar/kitchen/2026-11-20.csv").exists())
        (self.state / "good.conf").unlink()
        (self.state / "appliance").unlink()
        self.once()
        name = (self.state / "appliance").read_text().strip()
        self.assertRegex(name, "^meterstick-[0-9a-f]{4}$")
        self.assertTrue((self.stick / "kwhmeter" / name / "kitchen/2026-11-20.csv").exists())

    def test_wrong_use(self):
        result = subprocess.run([self.command[0], "--directory", self.stick, "--run-dir", self.run_dir],
                                capture_output=True, text=True, timeout=20, check=False)
        self.assertEqual(result.returncode, 64)
        self.assertIn("--dir", result.stderr)

    def test_a_directory_that_may_not_be_written(self):
        if os.geteuid() == 0:
            self.stick.rmdir()
            os.symlink("/proc/sys", self.stick)  # read-only even for root
        else:
            self.stick.chmod(0o555)
        self.journal.add(1, 1)
        self.assertIn("Error writing the log file.", self.once(1).stderr)


class Service(StickCase):
    def setUp(self):
        super().setUp()
        self.settings("[stick]\nburst = 5 s\n")

    def serve(self):
        return self.start(*self.command)

    def wait_for_seqs(self, expect, seconds=20):
        harness.wait_until(lambda: self.day.exists() and self.seqs() == expect, seconds, f"seqs {expect}")

    def test_rows_arrive_and_the_last_ones_at_the_stop(self):
        self.journal.add(1, 1)
        process = self.serve()
        self.wait_for_seqs([1])
        status = harness.wait_until(lambda: self.status() if self.status()["sticks"][0]["state"] == "idle" else None)
        self.assertEqual(status["program"], "stick")
        self.assertEqual(status["pid"], process.pid)
        self.assertEqual(status["state"], "running")
        self.assertIsNone(status["error"])
        self.assertEqual(status["sticks"], [{"id": str(self.stick), "state": "idle", "percent": None, "eta_s": None,
                                             "backlog": 0, "gap": False, "error": None}])
        self.journal.add(2, 2)
        begin = time.monotonic()
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(10), 0)
        self.assertLess(time.monotonic() - begin, 5)
        self.assertEqual(self.seqs(), [1, 2])
        self.assertEqual(self.status()["state"], "stopped")

    def test_the_stick_goes_and_comes_back(self):
        away = self.directory / "away"
        self.journal.add(1, 1)
        self.serve()
        self.wait_for_seqs([1])
        self.stick.rename(away)
        harness.wait_until(lambda: self.status()["sticks"] == [], 5, "the stick is seen to be gone")
        self.journal.add(2, 2)
        time.sleep(1.5)
        self.assertFalse(self.stick.exists())
        away.rename(self.stick)
        self.wait_for_seqs([1, 2], 5)  # a burst at once, not after the interval

    def test_the_status_is_written_at_least_every_2_seconds(self):
        self.serve()
        harness.wait_until(lambda: (self.run_dir / "stick.json").exists())
        last, worst = time.monotonic(), 0
        seen = self.status()["boot_ms"]
        end = last + 8
        while time.monotonic() < end:
            now = self.status()["boot_ms"]
            if now != seen:
                worst = max(worst, time.monotonic() - last)
                seen, last = now, time.monotonic()
            time.sleep(0.02)
        self.assertLess(worst, 2.5)

    def test_acquisition_has_the_processor_first(self):
        process = self.serve()
        mine = os.getpriority(os.PRIO_PROCESS, 0)
        harness.wait_until(lambda: os.getpriority(os.PRIO_PROCESS, process.pid) == min(mine + 10, 19), what="nice")

    def test_one_program_a_run_directory(self):
        self.serve()
        harness.wait_until(lambda: (self.run_dir / "stick.json").exists())
        second = subprocess.run(self.command, capture_output=True, text=True, timeout=20, check=False)
        self.assertEqual(second.returncode, 74)
        self.assertIn("another", second.stderr)

    def test_new_settings_are_taken_without_a_restart(self):
        self.journal.add(1, 1)
        self.serve()
        self.wait_for_seqs([1])
        self.settings("[appliance]\nname = cellar\n[stick]\nburst = 5 s\n")
        cellar = self.stick / "kwhmeter/cellar/kitchen/2026-11-20.csv"
        harness.wait_until(cellar.exists, 10, "the new folder")

    def test_a_journal_that_begins_later_is_found_under_the_name_it_begins_with(self):
        self.journal.add(1, 1)
        self.journal.db.close()
        (self.state / "journal").rename(self.directory / "later")
        (self.state / "good.conf").unlink()
        self.serve()
        harness.wait_until(lambda: (self.run_dir / "stick.json").exists())
        harness.wait_until(lambda: self.status()["error"] == "no journal yet")
        self.settings("[appliance]\nname = cellar\n")
        (self.directory / "later").rename(self.state / "journal")
        cellar = self.stick / "kwhmeter/cellar/kitchen/2026-11-20.csv"
        harness.wait_until(lambda: cellar.exists() and self.seqs(cellar) == [1], 10, "the row")
        self.assertEqual(os.listdir(self.stick / "kwhmeter"), ["cellar"])

    def test_kill_9_again_and_again(self):
        random = harness.random_source()
        for _ in range(12):
            self.journal.db.execute("BEGIN")
            for _ in range(random.randrange(1, 2000)):
                self.journal.add(230.1, self.journal.seq)
            self.journal.db.execute("COMMIT")
            process = self.serve()
            time.sleep(random.random() * 0.5)
            process.kill()
            process.wait()
        self.once()
        self.assertEqual(self.seqs(), list(range(1, self.journal.seq + 1)))
        self.assertEqual(self.day.read_bytes().count(b"utc,"), 1)


class Export(StickCase):
    def export(self, *arguments, status=0):
        result = subprocess.run([harness.BIN / "meterstick-export", "--state-dir", self.state, *arguments],
                                capture_output=True, timeout=60, check=False)
        self.assertEqual(result.returncode, status, result.stderr)
        return result

    def test_csv_and_json_say_the_same(self):
        self.journal.add(230.1, -1250)
        self.journal.add(None, 0.042)
        text = self.export("--meter", "kitchen", "--format", "csv").stdout.decode()
        rows = list(csv.DictReader(text.splitlines()))
        lines = [json.loads(line) for line in self.export("--meter", "kitchen", "--format", "json").stdout.splitlines()]
        self.assertEqual([row["seq"] for row in rows], ["1", "2"])
        self.assertEqual(rows[1]["voltage_v"], "")
        self.assertEqual(lines[0], {"meter": "kitchen", "model": "schneider-iem2150", "time": "2026-11-20T10:00:01.000Z",
                                    "quality": "N", "seq": 1, "values": {"voltage": 230.1, "power_active": -1250}})
        self.assertEqual(lines[1]["values"], {"voltage": None, "power_active": 0.042})

    def test_from_is_within_and_to_is_not(self):
        for value in range(1, 6):
            self.journal.add(value, value)
        out = self.export("--meter", "kitchen", "--from", "2026-11-20 11:00:02", "--to", "2026-11-20T10:00:04Z").stdout
        self.assertEqual([row["seq"] for row in csv.DictReader(out.decode().splitlines())], ["2", "3"])

    def test_columns_of_all_layouts_stand_side_by_side(self):
        self.journal.add(1, 2)
        self.journal.db.execute("INSERT INTO meter VALUES(2,'kitchen','schneider-iem2150',?)",
                                (json.dumps([{"quantity": "frequency", "unit": "Hz"}, LAYOUT[0]]),))
        self.journal.add(50, 3, meter=2)
        rows = list(csv.DictReader(self.export("--meter", "kitchen").stdout.decode().splitlines()))
        self.assertEqual(list(rows[0]), ["utc", "local", "quality", "frequency_hz", "voltage_v", "power_active_w", "seq"])
        self.assertEqual([row["voltage_v"] for row in rows], ["1", "3"])
        self.assertEqual([row["power_active_w"] for row in rows], ["2", ""])

    def test_wrong_use(self):
        self.assertIn(b"kitchen", self.export("--meter", "kitchn", status=64).stderr)
        self.export(status=64)
        self.export("--meter", "kitchen", "--format", "xml", status=64)
        self.export("--meter", "kitchen", "--from", "yesterday", status=64)
        self.export("--meter", "kitchen", "--state-dir", self.directory / "nowhere", status=74)

    def test_a_closed_pipe_is_an_end_not_a_crash(self):
        self.journal.db.execute("BEGIN")
        for value in range(20000):
            self.journal.add(value, value)
        self.journal.db.execute("COMMIT")
        process = self.start(harness.BIN / "meterstick-export", "--state-dir", self.state, "--meter", "kitchen",
                             stdout=subprocess.PIPE)
        process.stdout.readline()
        process.stdout.close()
        self.assertIn(process.wait(20), (74, -signal.SIGPIPE))


if __name__ == "__main__":
    unittest.main()
