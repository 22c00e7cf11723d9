# SPDX-License-Identifier: MIT
"""
One port and everybody who may want it at once: acquire, read, a script that only waits and posts, a program in C. What
they do to one another is judged by the line that they talk on (sharedline), which knows of no semaphore.
"""

import itertools
import json
import mmap
import os
import pathlib
import re
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
NUMBERS = itertools.count()
VALUES = {unit: {"voltage": 10.0 * unit, "current": unit + 0.01} for unit in range(20, 26)}


class Case(test_acquire.Case):
    def setUp(self):
        super().setUp()
        self.name = f"/meterstick-{os.getpid()}-{next(NUMBERS)}"
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
        self.acquired = self.acquire(self.config, environment=self.environment)
        for unit in units:
            if unit != DEAD:
                self.wait_rows(1, f"m{unit}", 30)

    def script(self, line, *how, unit=SCRIPTS):
        """The script, and a function that gives what it has said."""
        path = self.directory / f"script-{time.monotonic_ns()}"
        with open(path, "wb") as log:
            process = self.start("/usr/bin/python3", SCRIPT, self.name, line.where, unit, *how, stdout=log, stderr=None)
        return process, lambda: [json.loads(text) for text in path.read_text().splitlines(keepends=True)
                                 if text.endswith("\n")]

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

    def check_rows(self, *units):
        for unit in units:
            rows = self.rows(f"m{unit}")
            self.assertTrue(rows)
            for _, _, quality, values in rows:
                if "m" not in quality:
                    self.assertEqual(values, VALUES[unit])  # an answer to somebody else would be another's

    def check_line(self, line):
        self.assertEqual(line.overlaps(ours=(*LIVE, DEAD)), [])


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
        # the script posts at once, without a silence of its own: then it is ours to keep it
        close = line.overlaps("close", (*LIVE, DEAD))
        self.assertEqual([frame for frame in close if frame["unit"] in (*LIVE, DEAD, READ)], [])
        self.check_rows(*LIVE)
        self.assertGreater(len(got_read), 3)
        for answer in got_read:
            self.assertEqual(answer["values"], VALUES[READ])
        self.assertGreater(len(got_turn), 10)
        self.assertEqual({(turn.returncode, turn.stdout, turn.stderr) for turn in got_turn}, {(0, "2500\n", "")})
        said = said()
        self.assertGreater(len(said), 10)
        self.assertEqual({turn.get("value") for turn in said}, {2400}, "it never found the port busy for 2 s")
        self.assertLess(max(turn["waited"] for turn in said), 2)
        self.assertIsNone(script.poll())
        self.assertEqual(self.file.stat().st_ino, inode)
        self.assertNotIn("cannot be used", self.log.read_text())
        harness.figure(f"port shared by acquire, read, a script and a program: {len(line.heard())} requests in "
                       f"{seconds:.0f} s, {len(said)} turns of the script, which waited "
                       f"{1000 * max(turn['waited'] for turn in said):.0f} ms at most")


class Holds(Case):
    """How long somebody else has to wait. DESIGN section 2: a hold is 1 s at most."""

    def turns(self):
        """How long the semaphore was 0, a few times; seen from outside, and not counted where nobody looked."""
        found, since, looked = [], None, time.monotonic()
        end = looked + 30
        with open(self.file, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as memory:
            whole = False
            while (len(found) < 2 or max(found) < 0.3) and looked < end:
                now = time.monotonic()
                whole = whole and now - looked < 0.0045  # less than they stay away
                looked = now
                if struct.unpack("i", memory[:4])[0] > 0:
                    if since is not None and whole:
                        found.append(now - since)
                    since, whole = None, True
                elif since is None:
                    since = now
                time.sleep(0.0005)
        return found

    def test_no_turn_is_longer_than_a_second(self):
        """A slow line, long answers, and a meter that never answers: it is all split"""
        line = SharedLine(self, LIVE, baud=1200, latency=0.05)
        names = [f"energy_{kind}_{way}{phase}" for kind in ("active", "reactive") for way in ("import", "export")
                 for phase in ("", "_l1", "_l2")]
        points = "".join(f"{name}  holding {10 + 4 * n}  i64.abcd  1 {'varh' if 'reactive' in name else 'Wh'}\n"
                         for n, name in enumerate(names))  # 48 registers: 1 s at 1200 Bd
        self.model.write_text(MODEL.replace("9600", "1200").replace("voltage, current", ", ".join(names)) + points)
        self.plant(line, *LIVE, DEAD, interval="1 s", more="timeout = 2 s\n")
        turns = self.turns()
        if not turns:
            self.skipTest("this machine is too busy to look each millisecond")
        harness.figure(f"turns of ours on a line of 1200 Bd: {1000 * max(turns):.0f} ms at most")
        self.assertLessEqual(max(turns), 1.005)
        self.check_line(line)

    def test_a_script_waits_for_a_turn_and_never_for_two_seconds(self):
        line = SharedLine(self, [*LIVE, SCRIPTS], baud=1200, latency=0.05)
        self.model.write_text(MODEL.replace("9600", "1200"))
        self.plant(line, *LIVE, DEAD, interval="1 s", more="timeout = 2 s\n")
        script, said = self.script(line)
        harness.wait_until(lambda: len(said()) >= 8, 60, "its turns")
        said = said()
        self.assertIsNone(script.poll())
        self.assertNotIn({"busy": True}, said)
        self.assertLess(max(turn["waited"] for turn in said), 2)
        if {turn["value"] for turn in said} == {2400}:  # who gives up waiting for its answer is talked over by it
            self.check_line(line)


@unittest.skipUnless(os.geteuid() == 0, "only root can be two users")
class Users(Case):
    def test_a_semaphore_of_another_user_is_named_with_its_remedy(self):
        """Hazard h5, fault 20"""
        line = SharedLine(self, LIVE)
        os.chmod(line.where, 0o666)
        self.file.write_bytes(struct.pack("iiQQQ", 1, 0, 0, 0, 0))
        os.chmod(self.file, 0o600)
        for path in (self.directory, self.directory / "locks"):
            os.chmod(path, 0o777)
        text = f"[bus wire]\nport = {line.where}\nlock = {self.name}\n[meter m20]\nmodel = {self.model}\naddress = 20\n"
        nobody = harness.as_nobody()
        nobody["environment"].update(self.environment)
        self.acquire(self.configure(text), **nobody)
        remedy = f"chmod 0660 {self.file}"
        harness.wait_until(lambda: remedy in self.log.read_text(), 30, "it is named")
        harness.wait_until(lambda: remedy in str(self.status()), 20, "and in the status")
        self.assertEqual(line.heard(), [])
        os.chmod(self.file, 0o666)
        self.wait_rows(2, "m20", 30)
        self.assertEqual(line.overlaps(), [])


if __name__ == "__main__":
    unittest.main()
