# SPDX-License-Identifier: MIT
"""
Fault 60: every call that `acquire` makes for memory, to a file, for a descriptor, a thread or a program fails once
(tests/shim/fail.c); and memory and descriptors that are short for as long as it runs.

$METERSTICK_ONLY="kind errno fresh|again life|stop n" repeats one.
"""

import errno
import os
import resource
import shutil
import signal
import struct
import subprocess
import unittest

import crashbed
import harness

SHIM = harness.SHIMS / "shim_fail.so"
ERRORS = {  # of each kind, in the shim's order
    "malloc": [errno.ENOMEM], "open": [errno.EIO, errno.EMFILE, errno.EACCES], "read": [errno.EIO],
    "write": [errno.EIO, errno.ENOSPC, errno.EROFS], "sync": [errno.EIO, errno.ENOSPC], "mmap": [errno.ENOMEM],
    "thread": [errno.EAGAIN], "socket": [errno.EMFILE, errno.ENOBUFS], "descriptor": [errno.EMFILE],
    "name": [errno.EIO, errno.ENOSPC], "lock": [errno.ENOLCK], "poll": [errno.ENOMEM, errno.EINTR],
    "clone": [errno.EAGAIN]}
AT = len(ERRORS) + 1  # where in the shim's numbers the call stands that fails
PROGRAM = "[meter x]\ndriver = exec\ncommand = echo 5.12\ncolumns = current A\n"  # as crashbed.VALUES begin
REFUSED = (69, 74, 78)  # what it may exit with when it cannot begin
LOOKS = "name", errno.EIO, "again", "life"  # what it could not look at it once took for missing: all, each time
NEW_ROWS_S = 60         # an unlocking that fails keeps SQLite busy with itself, as long as a commit waits, 20 s
WORKERS = 24            # they wait most of the time


class Case(harness.Case):
    def setUp(self):
        super().setUp()
        self.slave = crashbed.Slave(self)

    def begins_again(self, plant):
        """Without a fault it logs at once, whatever the one before it left. Returns all rows."""
        plant.start()
        self.assertTrue(plant.wait(plant.committed, 20, "a status with rows"), plant.said())
        top = plant.committed()
        self.assertTrue(plant.wait(lambda: plant.committed() > top, 20, "new rows"), plant.said())
        if self.ends(plant, (0, 74)):  # the disk of this machine itself may be busy for the 2 s that are waited at the end
            self.assertIn("the card hangs", plant.said().splitlines()[-1])
        return plant.check()

    def ends(self, plant, codes):
        """At SIGTERM, within 5 s (DESIGN section 2), or by itself, with one of the exit codes. Returns the code."""
        code, took_s = plant.end()
        self.assertIn(code, codes, plant.said())
        self.assertLess(took_s, 5.5, plant.said())
        return code


class FailedCalls(Case):
    def setUp(self):
        super().setUp()
        template = self.directory / "template"
        template.mkdir()
        plant = crashbed.Plant(template, self.slave.where)
        plant.start()
        plant.wait(lambda: plant.committed() > 20, 20, "rows")
        plant.kill()
        self.killed = plant.state
        self.before = {"fresh": {}, "again": plant.rows()}

    def start(self, directory, state, **environment):
        """`acquire` with the shim and an empty state directory ("fresh"), or one that was killed ("again")."""
        plant = crashbed.Plant(directory, self.slave.where, more=PROGRAM)
        if state == "again":
            shutil.copytree(self.killed, plant.state)
        plant.start(LD_PRELOAD=SHIM, FAIL_COUNTS=plant.directory / "counts", **environment)
        return plant

    @staticmethod
    def counts(plant):
        """{kind: calls so far}"""
        try:
            numbers = struct.unpack("16Q", (plant.directory / "counts").read_bytes())
        except (FileNotFoundError, struct.error):
            numbers = [0] * 16  # it has not begun
        return dict(zip(ERRORS, numbers))

    def jobs(self):
        """Every call of a short life, and of its end."""
        result = []
        for state, before in self.before.items():
            with crashbed.directory() as directory:
                plant = self.start(directory, state)
                top = max(before, default=0)
                self.assertTrue(plant.wait(lambda: plant.committed() > top + 25, 20, "rows"), plant.said())
                life = self.counts(plant)
                self.ends(plant, (0,))
                stop = {kind: count - life[kind] for kind, count in self.counts(plant).items()}
                for phase, counts in (("life", life), ("stop", stop)):
                    result += [(kind, error, state, phase, n) for kind, count in counts.items()
                               for n in range(1, count + 1) for error in ERRORS[kind]]
        return result

    def test_each_call_fails_once(self):
        random = harness.random_source()
        jobs = self.jobs()
        count = harness.share(len(jobs))
        chosen = [jobs[i * len(jobs) // count + random.randrange(len(jobs) // count)] for i in range(count)]
        chosen = sorted({*chosen, *(job for job in jobs if job[:4] == LOOKS)})
        if os.environ.get("METERSTICK_ONLY"):
            kind, error, state, phase, n = os.environ["METERSTICK_ONLY"].split()
            chosen = [(kind, int(error), state, phase, int(n))]
        began = crashbed.in_parallel(chosen, WORKERS, self.fail_once)
        harness.figure(f"calls of acquire that failed once: {len(chosen)} of {len(jobs)}, 0 crashes, 0 wrong rows; "
                       f"it did not begin {began.count(False)} times, each with a reason")

    def fail_once(self, job):
        kind, error, state, phase, n = job
        with crashbed.directory() as directory:
            plant = self.start(directory, state, FAIL_KIND=kind, FAIL_AT=n if phase == "life" else 0, FAIL_ERRNO=error)
            try:
                return self.goes_on(plant, job)
            finally:
                plant.kill()

    def goes_on(self, plant, job):
        kind, _, state, phase, n = job
        before = self.before[state]
        tops = [max(before, default=0)]  # what is said to be committed
        if phase == "life":
            alive = plant.wait(lambda: self.counts(plant)[kind] >= n, 20, "the call")
            tops.append(max(tops[0], plant.committed()))  # and it goes on: this much, and then more
            alive = alive and plant.wait(lambda: plant.committed() > tops[1], NEW_ROWS_S, "new rows")
        else:
            alive = plant.wait(lambda: plant.committed() > tops[0], NEW_ROWS_S, "new rows")
            with open(plant.directory / "counts", "r+b", buffering=0) as file:
                os.pwrite(file.fileno(), struct.pack("Q", self.counts(plant)[kind] + n), AT * 8)
        tops.append(plant.committed())
        code = self.ends(plant, (0, 74) if alive else REFUSED)
        self.assertNotIn("Assertion", plant.said())
        plant.check_log()
        if code:
            self.assertTrue(plant.said().strip(), f"it exits with {code} and says nothing")
        tops = [top for top in tops if (top + 1) % crashbed.BOOT_ROWS > 1]  # in memory none is committed yet
        rows = plant.check(tops)                                            # before each of them there is no hole
        self.assertEqual({seq: rows.get(seq) for seq in before}, before)
        after = self.begins_again(plant)
        for kept in plant.state.glob("journal-*"):  # it could not see the card's journal and had one of its own
            after = {**after, **plant.rows_in(kept)}
        self.assertEqual({seq: after.get(seq) for seq in rows}, rows)
        return alive


class Short(Case):
    """Limits that last as long as it runs."""

    def each(self, values, function):
        def call(value):
            with crashbed.directory() as directory:
                plant = crashbed.Plant(directory, self.slave.where, more=PROGRAM)
                function(plant, value)
                self.begins_again(plant)
        crashbed.in_parallel(values, WORKERS, call)

    @staticmethod
    def allow_descriptors(plant, count):
        hard = resource.prlimit(plant.process.pid, resource.RLIMIT_NOFILE)[1]
        resource.prlimit(plant.process.pid, resource.RLIMIT_NOFILE, (min(count, hard), hard))

    def live(self, plant, seconds):
        """For so long, or until it ends by itself: then it says why."""
        try:
            plant.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return True
        self.assertIn(plant.process.returncode, (*REFUSED, 127), plant.said())  # 127: the loader
        self.assertTrue(plant.said().strip())
        return False

    def test_no_descriptors_are_left(self):
        def short(plant, spare):
            plant.start()
            plant.wait(lambda: plant.committed() > 4, 20, "rows")
            used = max(int(name) for name in os.listdir(f"/proc/{plant.process.pid}/fd"))
            self.allow_descriptors(plant, used + 1 + spare)
            self.assertTrue(self.live(plant, 2.5), plant.said())
            self.allow_descriptors(plant, 1024)
            top = plant.committed()
            self.assertTrue(plant.wait(lambda: plant.committed() > top, 20, "it goes on"))
            self.ends(plant, (0, 74))
            plant.check([top])

        self.each((0, 1, 2, 4, 8), short)

    def test_few_descriptors_from_the_start(self):
        def short(plant, limit):
            plant.start()
            self.allow_descriptors(plant, limit)
            self.live(plant, 1.5)
            self.ends(plant, (0, *REFUSED, 127))
            plant.check()

        self.each(range(4, 40, 3), short)

    def test_little_memory(self):
        def short(plant, megabytes):
            program = plant.program
            plant.program = plant.directory / "limited"
            plant.program.write_text(f'#!/bin/sh\nexec prlimit --as={megabytes << 20} {program} "$@"\n')
            plant.program.chmod(0o755)
            plant.start()
            self.live(plant, 1.5)
            self.ends(plant, (0, -signal.SIGTERM, *REFUSED, 127))
            plant.check()
            plant.program = program

        self.each(range(8, 200, 16), short)


if __name__ == "__main__":
    unittest.main()
