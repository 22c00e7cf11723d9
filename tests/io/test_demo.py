# SPDX-License-Identifier: MIT
"""meterstick demo as a newcomer starts it: rows reach the CSV, two do not disturb each other, nothing is left behind."""

import csv
import fcntl
import os
import pathlib
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
import unittest

import harness
from harness import BIN

METERS = {"kitchen", "heat-pump", "workshop", "main", "house"}


def processes_of(directory):
    """Processes whose command line names the directory."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and str(directory).encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue  # it ended while we looked
    return found


def children_of(pid):
    """Processes whose parent that is."""
    found = set()
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1]) == pid:
                found.add(int(entry.name))
        except OSError:
            continue
    return found


def alive(pids):
    """Those that still run, zombies not counted."""
    found = set()
    for pid in pids:
        try:
            if pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX":
                found.add(pid)
        except OSError:
            continue
    return found


def rows(directory):
    """Rows of each meter on the stick."""
    found = {}
    for path in sorted((directory / "stick").glob("kwhmeter/*/*/*.csv")):
        with path.open(newline="") as file:
            found.setdefault(path.parent.name, []).extend(csv.DictReader(file))
    return found


class Demo(harness.Case):
    def start_demo(self, name, *more):
        return self.start(BIN / "meterstick", "demo", "--dir", self.directory / name, *more, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def assert_nothing_runs(self, name):
        end = time.monotonic() + 10
        while processes_of(self.directory / name) and time.monotonic() < end:
            time.sleep(0.1)
        self.assertEqual(processes_of(self.directory / name), [], "nothing may be left behind")

    def test_two_at_once_bring_rows_of_every_meter_to_their_sticks(self):
        demos = {name: self.start_demo(name, "--seconds", "25") for name in ("one", "two")}
        for name, demo in demos.items():
            output, _ = demo.communicate(timeout=90)
            self.assertEqual(demo.returncode, 0, output)
            self.assertIn(str(self.directory / name), output)
            found = rows(self.directory / name)
            self.assertEqual(set(found), METERS)
            for meter in METERS - {"house"}:
                self.assertGreaterEqual(len(found[meter]), 5, f"{meter}: a row every 2 s\n{output}")
            voltages = [float(row["voltage_v"]) for row in found["kitchen"] if row["voltage_v"]]
            self.assertTrue(voltages and all(180 < voltage < 280 for voltage in voltages), voltages)
            self.assert_nothing_runs(name)

    def test_kill_9_leaves_no_orphans(self):
        demo = self.start_demo("killed", "--seconds", "60")
        children = harness.wait_until(lambda: (found := children_of(demo.pid)) and len(found) == 6 and found, 20,
                                      "six children")
        time.sleep(1)
        self.assertEqual(alive(children), children)
        demo.kill()
        demo.wait()
        harness.wait_until(lambda: not alive(children), 10, "no orphans")
        self.assert_nothing_runs("killed")

    def test_sigterm_stops_it_cleanly(self):
        demo = self.start_demo("ended", "--seconds", "60")
        time.sleep(15)
        demo.send_signal(signal.SIGTERM)
        output, _ = demo.communicate(timeout=45)
        self.assertEqual(demo.returncode, 0, output)
        self.assertIn("Everything is in", output)
        self.assert_nothing_runs("ended")


class Screen(harness.Case):
    """In a terminal of 100 x 30."""

    def setUp(self):
        super().setUp()
        self.master, slave = pty.openpty()
        self.addCleanup(os.close, self.master)
        self.attributes = termios.tcgetattr(slave)
        self.addCleanup(os.close, slave)
        self.slave = slave
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self.demo = self.start(BIN / "meterstick", "demo", "--dir", self.directory / "demo", stdin=slave, stdout=slave,
                               stderr=slave, env=dict(os.environ, TERM="xterm-256color"))
        self.output = ""

    def read(self, seconds):
        end = time.monotonic() + seconds
        while (rest := end - time.monotonic()) > 0:
            if select.select([self.master], [], [], min(rest, 0.2))[0]:
                self.output += os.read(self.master, 65536).decode(errors="replace")

    def wait_for(self, pattern, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.read(0.3)
            picture = self.output.rsplit("\x1b[H", 1)[-1]
            if re.search(pattern, picture):
                return
        self.fail(f"no {pattern!r} within {seconds} s in {picture!r}")

    def press(self, key):
        os.write(self.master, key.encode())

    def test_keys_kill_a_meter_pull_the_stick_and_quit(self):
        self.wait_for(r"kitchen .*live .* W ", 20)
        self.wait_for(r"utc,local,quality,", 20)
        self.assertIn("\x1b[48;2;200;0;200m", self.output, "the program light is purple")
        self.press("k")
        self.wait_for(r"heat-pump .*silent", 20)
        self.wait_for(r"kitchen .*live", 5)
        self.press("k")
        self.wait_for(r"heat-pump .*live", 30)
        self.press("s")
        self.wait_for(r"The stick is pulled", 5)
        self.assertFalse((self.directory / "demo" / "stick").exists())
        self.press("s")
        self.wait_for(r"put back|pull.* the stick", 5)
        self.read(1)
        self.assertTrue((self.directory / "demo" / "stick").exists())
        self.press("q")
        self.output = ""
        end = time.monotonic() + 40
        while self.demo.poll() is None and time.monotonic() < end:
            self.read(0.2)
        self.read(0.3)
        self.assertEqual(self.demo.returncode, 0, self.output)
        self.assertIn("Everything is in", self.output)
        self.assertEqual(termios.tcgetattr(self.slave), self.attributes, "the terminal is as it was")
        self.assertEqual(processes_of(self.directory), [])


if __name__ == "__main__":
    unittest.main()
