# SPDX-License-Identifier: MIT
"""
Who reads the journal may not write it: `export` and `stick` as another user, with the group's right to read, while
`acquire` runs, is stopped, was killed, never ran, found damage (faults 48, 49), and while its rows are in memory.

As root the other user is nobody. Else the right to write is taken from us where they look, while acquire does not run.
"""

import csv
import grp
import io
import json
import os
import pwd
import subprocess
import time
import unittest

import crashbed
import harness

ROOT = os.geteuid() == 0
BAD_ROWS = crashbed.BAD_ROWS


class Readers(harness.Case):
    def setUp(self):
        super().setUp()
        self.slave = crashbed.Slave(self)
        self.plant = crashbed.Plant(self.directory, self.slave.where)
        self.addCleanup(lambda: self.plant.process and self.plant.process.poll() is None and self.plant.kill())
        self.stick = self.directory / "stick"
        for directory in (self.plant.state, self.plant.run, self.stick):
            directory.mkdir()
        self.user = {}
        if ROOT:
            nobody = pwd.getpwnam("nobody")
            group = grp.getgrgid(nobody.pw_gid).gr_gid
            self.user = {"user": nobody.pw_uid, "group": group, "extra_groups": []}
            self.directory.chmod(0o755)
            for directory in (self.plant.state, self.plant.run):
                os.chown(directory, -1, group)
                directory.chmod(0o2750)
            self.plant.run.chmod(0o2770)  # where all put their status
            os.chown(self.stick, nobody.pw_uid, group)

    def read_only(self):
        """Without root: nobody may write now."""
        if not ROOT:
            for path in (self.plant.state / "journal").iterdir():
                path.chmod(0o440)
            (self.plant.state / "journal").chmod(0o550)
            self.addCleanup((self.plant.state / "journal").chmod, 0o750)

    def writable(self):
        if not ROOT:
            (self.plant.state / "journal").chmod(0o750)
            for path in (self.plant.state / "journal").iterdir():
                path.chmod(0o640)

    def run_as_other(self, program, *arguments):
        programs = harness.open_programs() if ROOT else harness.BIN
        return subprocess.run([programs / f"meterstick-{program}", "--state-dir", self.plant.state, "--run-dir",
                               self.plant.run, *arguments], capture_output=True, text=True, timeout=120,
                              check=False, cwd="/", **self.user)

    def export(self, meter="m1"):
        """The seqs of a meter."""
        result = self.run_as_other("export", "--meter", meter)
        self.assertEqual(result.returncode, 0, result.stderr)
        return [int(row["seq"]) for row in csv.DictReader(io.StringIO(result.stdout))]

    def exported(self):
        """The seqs of all meters, each once."""
        seqs = sorted(seq for meter in self.plant.meters for seq in self.export(meter))
        self.assertEqual(len(seqs), len(set(seqs)))
        return seqs

    def once(self):
        """A burst of the other user's stick. Returns all seqs that are on it, each once."""
        result = self.run_as_other("stick", "--once", "--dir", self.stick)
        self.assertEqual(result.returncode, 0, result.stderr)
        return self.on_stick()

    def on_stick(self):
        seqs = []
        for path in self.stick.rglob("*.csv"):
            with open(path, newline="", encoding="utf-8") as file:
                seqs += [int(row["seq"]) for row in csv.DictReader(file)]
        self.assertEqual(len(seqs), len(set(seqs)), "twice on the stick")
        return sorted(seqs)

    def wait_for_rows(self, more=20):
        begin = self.plant.committed()
        self.assertTrue(self.plant.wait(lambda: self.plant.committed() >= begin + more, 40, "rows"), self.plant.said())
        return self.plant.committed()

    def check_without_gaps(self, seqs, committed):
        self.assertEqual(seqs, list(range(1, len(seqs) + 1)))
        self.assertGreaterEqual(len(seqs), committed)

    def test_before_the_first_row_there_is_no_journal(self):
        result = self.run_as_other("export", "--meter", "m1")
        self.assertEqual(result.returncode, 74)
        self.assertIn("no journal", result.stderr)
        self.plant.start()
        self.wait_for_rows(1)

    @unittest.skipUnless(ROOT, "needs another user, hence root: SKIPPED")
    def test_while_it_runs(self):
        self.plant.start()
        for _ in range(5):
            committed = self.wait_for_rows()
            self.check_without_gaps(self.exported_up_to(committed), committed)
            committed = self.plant.committed()
            self.check_without_gaps(self.once(), committed)
        self.assertEqual(self.plant.end()[0], 0)

    def exported_up_to(self, committed):
        """All meters' are exported one after the other: what has come since the first is left out."""
        return [seq for seq in self.exported() if seq <= committed]

    def test_after_it_was_stopped_and_after_it_was_killed(self):
        for kill in (False, True, True, False):
            self.plant.start()
            committed = self.wait_for_rows()
            if kill:
                self.plant.kill()
            else:
                self.assertEqual(self.plant.end()[0], 0)
            self.read_only()
            self.check_without_gaps(self.exported(), committed)
            self.check_without_gaps(self.once(), committed)
            self.writable()

    def test_damage_is_a_gap_and_nobody_is_stuck(self):
        journal = self.plant.state / "journal"
        self.plant.start()
        committed = self.wait_for_rows()
        self.plant.kill()
        self.read_only()
        before = self.once()
        self.check_without_gaps(before, committed)
        self.writable()
        with open(journal / "0000000000000001.db", "r+b") as file:
            file.write(bytes(100))
        begin = time.monotonic()
        self.plant.start()
        self.plant.wait(lambda: self.plant.committed() > BAD_ROWS, 20, "a row after the damage")
        self.assertLess(time.monotonic() - begin, 5)
        self.wait_for_rows()
        self.assertTrue((journal / "0000000000000001.db.bad").exists())
        self.assertEqual(self.plant.end()[0], 0)

        self.read_only()
        self.check_events()
        seqs = self.exported()
        self.assertEqual(seqs, list(range(1 + BAD_ROWS, 1 + BAD_ROWS + len(seqs))))
        self.assertEqual(self.once(), before + seqs)
        self.writable()

    def check_events(self):
        """What happened is told, in both formats, with its time."""
        result = self.run_as_other("export", "--events")
        self.assertEqual(result.returncode, 0, result.stderr)
        rows = list(csv.DictReader(io.StringIO(result.stdout)))
        damaged = [row for row in rows if row["event"] == "damaged"]
        self.assertEqual(len(damaged), 1, result.stdout)
        self.assertIn("0000000000000001.db", damaged[0]["text"])
        self.assertRegex(damaged[0]["utc"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        result = self.run_as_other("export", "--events", "--format", "json")
        lines = [json.loads(line) for line in result.stdout.splitlines()]
        self.assertEqual([line["text"] for line in lines], [row["text"] for row in rows])
        self.assertEqual([line["time"] for line in lines], [row["utc"] for row in rows])
        result = self.run_as_other("export", "--events", "--to", "2020-01-01", "--format", "json")
        self.assertEqual((result.returncode, result.stdout), (0, ""))
        self.assertEqual(self.run_as_other("export", "--events", "--meter", "m1").returncode, 64)

    @unittest.skipUnless(ROOT, "needs another user, hence root: SKIPPED")
    def test_rows_in_memory_are_read_and_come_back_once(self):
        control = self.directory / "control"
        control.write_text("0")
        self.plant.start(LD_PRELOAD=harness.SHIMS / "shim_card.so", CARD_CONTROL=control, CARD_DIR=self.plant.state)
        committed = self.wait_for_rows()
        self.check_without_gaps(self.once(), committed)

        control.write_text("r")
        harness.wait_until(lambda: list(self.plant.run.glob("journal/*.db")), 40, "segments in memory")
        for _ in range(2):
            committed = self.wait_for_rows()
            self.check_without_gaps(self.exported_up_to(committed), committed)
            committed = self.plant.committed()
            self.check_without_gaps(self.once(), committed)

        # Nothing is missed at any moment of the return.
        control.write_text("0")
        end = time.monotonic() + 60
        while list(self.plant.run.glob("journal/*.db")):
            committed = self.plant.committed()
            self.check_without_gaps(self.exported_up_to(committed), committed)
            self.assertLess(time.monotonic(), end, self.plant.status())
        self.check_without_gaps(self.once(), committed)
        self.wait_for_rows()
        self.assertEqual(self.plant.end()[0], 0)
        seqs = self.exported()
        self.check_without_gaps(seqs, committed)
        self.assertEqual(self.once(), seqs)


if __name__ == "__main__":
    unittest.main()
