# SPDX-License-Identifier: MIT
"""
What the journal has of the other programs: the real stick and the real lights come, go and are killed beside the real
logger, and a stick fills up in a status file.
"""

import json
import os
import pathlib
import time
import unittest

import harness
import test_acquire


class Others(test_acquire.Case):
    def begin(self):
        self.process = self.acquire(self.configure("[meter x]\ndriver = exec\ncommand = echo 1\ncolumns = voltage V\n"))
        self.wait_rows(1)

    def all_events(self):
        """[code: text] of what the other programs did."""
        return [f"{code}: {text}" for code, text in self.query("SELECT code, text FROM event ORDER BY id")
                if code in ("program", "stick")]

    def wait_for(self, event, seconds=20):
        return harness.wait_until(lambda: event in self.all_events(), seconds, f"{event}: {self.log.read_text()}")

    def test_the_real_stick_and_lights_are_told_of_when_they_come_go_and_are_killed(self):
        self.begin()
        drive = self.directory / "drive"
        drive.mkdir()
        arguments = ("--run-dir", self.run_dir, "--state-dir", self.state)
        stick = self.start(harness.BIN / "meterstick-stick", "--dir", drive, *arguments)
        leds = self.start(harness.BIN / "meterstick-leds", "--record", self.directory / "frames", *arguments)
        self.wait_for(f"stick: {drive}: in")
        self.wait_for("program: stick: running")
        self.wait_for("program: leds: running")

        drive.rename(self.directory / "pulled")
        self.wait_for(f"stick: {drive}: out")
        (self.directory / "pulled").rename(drive)
        harness.wait_until(lambda: self.all_events().count(f"stick: {drive}: in") == 2, 20, "in again")

        stick.kill()
        harness.stop(leds)
        self.wait_for("program: leds: stopped")
        self.wait_for("program: stick: not alive")
        self.assertEqual(len([text for text in self.all_events() if text.startswith("stick:")]), 3)
        self.end(self.process)

    def test_troubles_of_a_stick_are_told_and_its_work_is_not(self):
        boot_id = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()

        def say(state):
            status = {"program": "stick", "pid": os.getpid(), "boot_id": boot_id, "state": "running", "error": None,
                      "boot_ms": int(time.clock_gettime(time.CLOCK_BOOTTIME) * 1000),
                      "sticks": [{"id": "1A2B-3C4D", "state": state}] if state else []}
            path = self.run_dir / "stick.tmp"
            path.write_text(json.dumps(status))
            path.rename(self.run_dir / "stick.json")

        self.begin()
        told = []
        for state, event in ((None, "program: stick: running"), ("idle", "stick: 1A2B-3C4D: in"), ("writing", None),
                             ("full", "stick: 1A2B-3C4D: full"), ("full", None), (None, "stick: 1A2B-3C4D: out"),
                             ("checking", "stick: 1A2B-3C4D: in"), ("idle", None)):
            say(state)
            told += [event] if event else []
            harness.wait_until(lambda: len(self.all_events()) >= len(told), 20, f"{told}: {self.log.read_text()}")
        self.end(self.process)
        self.assertEqual(self.all_events(), told)


if __name__ == "__main__":
    unittest.main()
