# SPDX-License-Identifier: MIT
"""
`stick` without --dir where no stick is plugged in: what it says, and how it ends. With sticks: tests/vm/test_vm_sticks.py.
"""

import json
import os
import pathlib
import signal
import subprocess
import time
import unittest

import harness


def has_usb_disk():
    """Whatever is plugged in here is nobody's to write to."""
    return any("/usb" in os.path.realpath(path) for path in pathlib.Path("/sys/class/block").glob("*"))


@unittest.skipIf(has_usb_disk(), "a disk is plugged in")
class NoStick(harness.Case):
    def setUp(self):
        super().setUp()
        self.state, self.run_dir = self.directory / "state", self.directory / "run"
        self.state.mkdir()
        self.command = [harness.BIN / "meterstick-stick", "--state-dir", self.state, "--run-dir", self.run_dir]

    def status(self):
        return json.loads((self.run_dir / "stick.json").read_text())

    def serve(self):
        process = self.start(*self.command)
        harness.wait_until(lambda: (self.run_dir / "stick.json").exists())
        return process

    def test_without_a_stick_once_fails_as_the_seed_said_it(self):  # ES-17
        result = subprocess.run([*self.command, "--once"], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn("Error writing the log file.", result.stderr)
        self.assertEqual((self.status()["state"], self.status()["sticks"]), ("stopped", []))

    def test_it_runs_without_a_stick_and_ends_at_once(self):
        process = self.serve()
        status = self.status()
        self.assertEqual((status["program"], status["state"], status["error"], status["sticks"]),
                         ("stick", "running", None, []))
        self.assertEqual((self.run_dir / "sticks").stat().st_mode & 0o777, 0o700)
        begin = time.monotonic()
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(20), 0)
        self.assertLess(time.monotonic() - begin, 4)
        self.assertEqual(self.status()["state"], "stopped")

    def test_the_status_is_written_at_least_every_2_seconds(self):
        self.serve()
        times = set()
        harness.wait_until(lambda: times.add(self.status()["boot_ms"]) or len(times) == 4, 30)
        times = sorted(times)
        self.assertLess(max(b - a for a, b in zip(times, times[1:])), 2500)

    def test_one_program_a_run_directory(self):
        self.serve()
        for more in ([], ["--once"], ["--dir", self.directory]):
            second = subprocess.run([*self.command, *more], capture_output=True, text=True, timeout=20, check=False)
            self.assertEqual(second.returncode, 74)
            self.assertIn("another", second.stderr)


if __name__ == "__main__":
    unittest.main()
