# SPDX-License-Identifier: MIT
"""
One port and everybody who may want it at once: acquire, read, a script that only waits and posts, a program in C. What
they do to one another is judged by the line that they talk on (sharedline), which knows of no semaphore.
"""

import json
import mmap
import os
import pathlib
import re
import resource
import signal
import struct
import subprocess
import threading
import time
import unittest

import harness
import test_acquire
from sharedline import SharedLine

SCRIPT = harness.SOURCE / "tests" / "lock" / "meter_client.py"
DOCUMENT = harness.SOURCE / "docs" / "port-sharing.md"

MODEL = """
[model]
id        = shared
title     = A meter that several programs ask
addresses = from 0
serial    = 9600 8N1
source    = tests/io/test_port_sharing.py
verified  = document
log       = voltage, current
gaps      = read

[points]
voltage  holding 0    u16  0.1 V
current  holding 1    u16  0.01 A
"""

LIVE, DEAD, READ, SCRIPTS, PROGRAM = (20, 21), 22, 23, 24, 25  # units of who asks them
VALUES = {unit: {"voltage": 10.0 * unit, "current": unit + 0.01} for unit in range(20, 26)}


class Case(test_acquire.Case):
    def setUp(self):
        super().setUp()
        self.name = f"/meterstick-test-{os.getpid()}-{time.monotonic_ns()}"
        self.file = pathlib.Path(f"/dev/shm/sem.{self.name[1:]}")
        self.addCleanup(self.file.unlink, missing_ok=True)
        self.model = self.directory / "shared.meter"
        self.model.write_text(MODEL)
        (self.directory / "locks").mkdir()
        self.environment = dict(os.environ, METERSTICK_MODELS=str(harness.MODELS),
                                METERSTICK_LOCK_DIR=str(self.directory / "locks"))

    def plant(self, line, *units, interval="500 ms", more=""):
        """A configuration with these meters on the line, and acquire running on it."""
        text = f"[bus wire]\nport = {line.where}\nlock = {self.name}\n{more}"
        for unit in units:
            text += f"[meter m{unit}]\nbus = wire\nmodel = {self.model}\naddress = {unit}\n"
        self.config = self.configure(text, interval=interval)
        self.acquire(self.config, environment=self.environment)
        for unit in units:
            if unit != DEAD:
                self.wait_rows(1, f"m{unit}", 30)

    def script(self, line, *how, unit=SCRIPTS):
        """The script, and the list of what it says."""
        process = self.start("/usr/bin/python3", SCRIPT, self.name, line.where, unit, *how, stdout=subprocess.PIPE,
                             stderr=None, text=True)
        said = []

        def listen():
            try:
                said.extend(map(json.loads, iter(process.stdout.readline, "")))
            except ValueError:
                pass  # closed: the test is over
        threading.Thread(target=listen, daemon=True).start()
        return process, said

    def program(self):
        """The program in C of docs/port-sharing.md."""
        source, path = self.directory / "turn.c", self.directory / "turn"
        source.write_text(re.search(r"^```c\n(.*?)^```$", DOCUMENT.read_text(), re.M | re.S).group(1))
        subprocess.run(["cc", "-O1", "-Wall", "-Wextra", "-Werror", "-o", path, source], check=True)
        return path

    def ask(self, line, **options):
        """`read` of a meter that acquire does not know, on the port that it knows."""
        return self.read("--model", self.model, "--port", line.where, "--address", READ, "--state-dir", self.state,
                         env=self.environment, **options)

    def value(self):
        """Of the semaphore; glibc has it in the first word of the file."""
        return struct.unpack("i", self.file.read_bytes()[:4])[0]

    def end_all(self, *processes):
        for process in processes:
            process.send_signal(signal.SIGTERM)
            process.wait(10)

    def check_rows(self, *units):
        for unit in units:
            rows = self.rows(f"m{unit}")
            self.assertTrue(rows)
            for _, _, quality, values in rows:
                if "m" not in quality:
                    self.assertEqual(values, VALUES[unit])  # an answer to somebody else would be another's

    def check_line(self, line):
        self.assertEqual(line.overlaps(), [])
        # the script posts at once, without a silence of its own: then it is ours to keep it
        self.assertEqual([frame for frame in line.from_units(*LIVE, DEAD, READ) if frame["close"]], [])


class Together(Case):
    def again_and_again(self, seconds, once):
        """Until then, in a thread. Returns (thread, results)."""
        results, end = [], time.monotonic() + seconds

        def run():
            while time.monotonic() < end:
                results.append(once())
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread, results

    def test_all_get_their_answers_and_nobody_talks_over_another(self):
        line = SharedLine(self, [*LIVE, READ, SCRIPTS, PROGRAM])
        self.plant(line, *LIVE, DEAD)
        program = self.program()
        script, said = self.script(line)
        inode = self.file.stat().st_ino
        began, before = time.monotonic(), len(self.rows("m20"))
        reads, got_read = self.again_and_again(6, lambda: self.ask(line))
        turns, got_turn = self.again_and_again(6, lambda: subprocess.run(
            [program, self.name, line.where, str(PROGRAM)], capture_output=True, text=True, timeout=20, check=False))
        reads.join(60)
        turns.join(60)
        seconds = time.monotonic() - began
        self.wait_rows(before + seconds // 0.5 - 2, "m20")

        self.check_line(line)
        self.check_rows(*LIVE)
        self.assertGreater(len(got_read), 3)
        for answer in got_read:
            self.assertEqual(answer["values"], VALUES[READ])
        self.assertGreater(len(got_turn), 10)
        self.assertEqual({(turn.returncode, turn.stdout, turn.stderr) for turn in got_turn}, {(0, "2500\n", "")})
        self.assertGreater(len(said), 10)
        self.assertEqual({turn.get("value") for turn in said}, {2400}, "it never found the port busy for 2 s")
        self.assertLess(max(turn["waited"] for turn in said), 2)
        self.assertIsNone(script.poll())
        self.assertEqual(self.file.stat().st_ino, inode)
        self.assertNotIn("cannot be used", self.log.read_text())
        harness.figure(f"port shared by acquire, read, a script and a program: {len(line.heard())} requests in "
                       f"{seconds:.0f} s, {len(said)} turns of the script, which waited "
                       f"{1000 * max(turn['waited'] for turn in said):.0f} ms at most")


if __name__ == "__main__":
    unittest.main()
