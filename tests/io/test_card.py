# SPDX-License-Identifier: MIT
"""
The card is full, read-only, gone, slow or dead, at the start or later: rows go to memory and come back. Faults 46, 50
and 51, and what DESIGN section 4 promises: every slice is a row, under one seq, whatever the card did meanwhile.

tests/shim/card.c makes the system calls below the state directory fail; where the test may mount, the same is tried
with file systems that really are full or read-only. Most of each case is waiting, so all run side by side.
"""

import concurrent.futures
import functools
import pathlib
import subprocess
import time
import types
import unittest

import crashbed
import harness

INTERVAL_MS = 500
ROWS_S = 2 * 1000 // INTERVAL_MS  # of two meters
RETRY_S = 5          # how often the card is tried
HUNG_S = 25          # when a call of the card that does not return is a dead card: DESIGN section 2
BACK_S = 40          # generous: the machine is shared, and HUNG_S may be in it


class Card:
    """A plant whose state directory is on a card that does what do() says."""

    def __init__(self, where, directory):
        self.control = pathlib.Path(directory) / "control"
        self.control.write_text("0" + " " * 63)
        # a meter that does not answer in time because the machine is slow would be asked less often
        self.plant = crashbed.Plant(directory, where, interval=f"{INTERVAL_MS} ms", more="[bus b]\ntimeout = 1 s\n")
        self.state, self.memory = self.plant.state / "journal", self.plant.run / "journal"

    def do(self, mode):
        with open(self.control, "r+", encoding="ascii") as control:
            control.write(mode)

    def start(self, mode="0", below=None):
        self.do(mode)
        return self.plant.start(LD_PRELOAD=harness.SHIMS / "shim_card.so", CARD_CONTROL=self.control,
                                CARD_DIR=below or self.plant.state)

    def status(self):
        return self.plant.status().get("journal", {})

    def wait_state(self, state, seconds=BACK_S):
        self.must(self.plant.wait(lambda: self.status().get("state") == state, seconds, f"journal {state}"))

    def wait_rows(self, more):
        target = self.plant.committed() + more
        self.must(self.plant.wait(lambda: self.plant.committed() >= target, BACK_S, f"{more} rows"))

    def must(self, lives):
        if not lives:
            raise AssertionError(f"acquire ended: {self.plant.said()}")

    def wait_ms(self, duration_ms):
        """That long, while it writes its status."""
        until = self.plant.status()["boot_ms"] + duration_ms
        self.must(self.plant.wait(lambda: self.plant.status().get("boot_ms", 0) > until, BACK_S, "time passes"))

    def stall(self, seconds):
        """It hangs for so long, from now on."""
        until = time.monotonic() + seconds
        self.do("h")
        self.must(self.plant.wait(lambda: time.monotonic() > until, seconds + 1, "time passes"))

    def in_memory(self):
        return sorted(self.memory.glob("*.db"))

    def end(self, code=0):
        got, seconds = self.plant.end()
        if got != code:
            raise AssertionError(f"exit code {got}, not {code}: {self.plant.said()}")
        return seconds

    def skipped(self):
        """Slices that the buses themselves left out: the machine was slow."""
        return sum(meter.get("skipped", 0) for meter in self.plant.status().get("meters", []))

    def check(self, skipped, starts=1, lost=0, boots=False):
        """All rows are on the card, every slice is one, and no seq is left out or given twice."""
        if self.in_memory():
            raise AssertionError(f"left in memory: {self.in_memory()}")
        rows = self.plant.check()
        for meter in self.plant.meters:
            times = [row[1] for row in rows.values() if row[0] == meter]
            if not times:
                raise AssertionError(f"no row of {meter}: {self.plant.said()}")
            slices = round((max(times) - min(times)) / INTERVAL_MS) + 1
            # between two runs some slices pass
            missing = slices - len(times)
            if starts == 1 and missing > skipped + lost + 1:
                raise AssertionError(f"{meter}: {len(times)} rows of {slices} slices, {skipped} skipped")
        seqs = sorted(rows)
        holes = [(a, b) for a, b in zip(seqs, seqs[1:]) if b != a + 1]
        if holes and not boots:
            raise AssertionError(f"seqs are left out: {holes}")
        return rows

    def said(self, text):
        return self.plant.log.read_text(errors="replace").count(text)

    def events(self):
        result = []
        for path in sorted(self.state.glob("*.db")):
            result += [tuple(row) for row in self.plant.query(path, "SELECT id, code, text FROM event ORDER BY id")]
        return result


def card_state(mode):
    return {"f": "full", "r": "readonly"}.get(mode, "failed")


CASES = []  # (name, what it does, jobs)


def case(*jobs):
    """The function is a test: called with a card and each of these jobs."""
    def take(function):
        CASES.append((function.__name__, function, jobs))
        return function
    return take


@case(("f", "full"), ("r", "readonly"), ("e", "failed"), ("g", "failed"), ("x", "failed"))
def test_full_readonly_failing_and_gone_while_it_runs(self, card, mode, state):
    """Faults 46 and 50."""
    card.start()
    card.wait_rows(6)
    card.do(mode)
    card.wait_state(state)
    self.assertIn("rows go to memory", card.plant.status()["error"])
    card.wait_rows(ROWS_S * (RETRY_S + 2))  # one attempt to go back fails in this time
    self.assertTrue(card.in_memory())
    self.assertEqual(card.status()["state"], state)
    card.do("0")
    card.wait_state("ok")
    card.wait_rows(6)
    skipped = card.skipped()
    self.assertEqual(card.status()["lost"], 0)
    card.end()
    card.check(skipped)
    self.assertEqual(card.said("rows go to memory"), 1)
    self.assertEqual(card.said("came back from memory, 0 were lost"), 1)
    events = card.events()
    self.assertEqual(len({event[0] for event in events}), len(events))
    self.assertEqual([event[1] for event in events].count("start"), 1)


@case((), (), ())
def test_a_commit_that_fails_and_came_through_is_not_stored_twice(self, card):
    card.start()
    card.wait_rows(6)
    card.do("s")
    card.wait_state("failed")
    card.wait_rows(ROWS_S * (RETRY_S + 2))
    card.do("0")
    card.wait_state("ok")
    card.wait_rows(6)
    skipped = card.skipped()
    card.end()
    card.check(skipped)


@case(("f",), ("s",), ("x",))
def test_neither_card_nor_memory_can_be_written_for_a_while(self, card, mode):
    card.memory.parent.mkdir(exist_ok=True)
    card.memory.write_text("not a directory")
    card.start()
    card.wait_rows(6)
    card.do(mode)
    card.must(card.plant.wait(lambda: card.said("nor can rows be kept"), BACK_S, "both fail"))
    at = card.plant.committed()
    card.wait_ms(1000 * (RETRY_S + 2))
    if mode != "s":  # there what failed has come through, again and again
        self.assertEqual(card.plant.committed(), at)
    card.do("0")
    card.wait_state("ok")
    card.wait_rows(6)
    skipped = card.skipped()
    self.assertEqual(card.status()["lost"], 0)
    card.end()
    card.check(skipped)


@case((), ())
def test_a_card_that_stalls_20_s_commits_late(self, card):
    """Fault 51: the card goes on; nothing goes to memory, nothing is lost."""
    card.start()
    card.wait_rows(6)
    card.stall(3)
    at, boot_ms = card.plant.committed(), card.plant.status()["boot_ms"]
    card.stall(17)
    self.assertGreater(card.plant.status()["boot_ms"], boot_ms + 11000)  # its tick feeds the watchdog as well
    card.do("0")
    self.assertEqual(card.status()["state"], "ok")
    self.assertLess(card.plant.committed(), at + ROWS_S * 17)
    card.wait_rows(ROWS_S * 18)
    skipped = card.skipped()
    self.assertEqual(card.status()["lost"], 0)
    card.end()
    card.check(skipped)
    self.assertEqual(card.said("rows go to memory"), 0)


@case((), ())
def test_a_card_that_hangs_is_left_alone_and_comes_back(self, card):
    """Fault 51."""
    card.start()
    card.wait_rows(6)
    card.stall(HUNG_S - 3)
    self.assertEqual(card.status()["state"], "ok")
    card.wait_state("failed")
    self.assertIn("does not answer", card.plant.status()["error"])
    card.wait_rows(ROWS_S * (RETRY_S + 2))
    self.assertTrue(card.in_memory())
    card.do("0")
    card.wait_state("ok")
    card.wait_rows(6)
    skipped = card.skipped()
    self.assertEqual(card.status()["lost"], 0)
    card.end()
    card.check(skipped)
    self.assertEqual(card.said("does not answer; rows go to memory"), 1)
    self.assertEqual(card.said("came back from memory, 0 were lost"), 1)


@case(("h", True), ("h", False), ("f", True))
def test_sigterm_while_the_card_hangs_or_is_full(self, card, mode, in_memory):
    """Faults 46, 51 and 63: < 5 s, exit 74, and what is in memory is on the card after the next start."""
    card.start()
    card.wait_rows(6)
    card.do(mode)
    if in_memory:
        card.wait_state(card_state(mode))
        card.wait_rows(12)
    else:
        card.wait_ms(1500)
    seconds = card.end(74)
    self.assertLess(seconds, 5)
    self.assertEqual(card.said("in memory, not on the card"), 1)
    self.assertTrue(card.in_memory())
    before = card.plant.rows()
    card.start()
    card.wait_rows(6)
    card.end()
    rows = card.check(0, starts=2)
    self.assertEqual({seq: rows.get(seq) for seq in before}, before)
    self.assertEqual(card.said("that were in memory are on the card now"), 1)


@case(("f", False), ("r", True), ("e", True), ("h", False))
def test_killed_while_in_memory_and_begun_again(self, card, mode, still_bad):
    """Fault 59, with a card that is well then, or still is not."""
    card.start()
    card.wait_rows(6)
    card.do(mode)
    card.wait_state(card_state(mode))
    card.wait_rows(12)
    card.plant.kill()
    seen = card.plant.rows()
    if still_bad:
        card.start(mode)
        card.wait_state(card_state(mode))
        card.wait_rows(12)
        card.do("0")
    else:
        card.start()
    card.wait_state("ok")
    card.wait_rows(6)
    card.end()
    rows = card.check(0, starts=2, boots=still_bad)
    self.assertEqual({seq: rows.get(seq) for seq in seen}, seen)


@case(("r",), ("f",))
def test_read_only_from_the_start(self, card, mode):
    """Fault 50: the journal's id and names can be read, so its seqs go on."""
    card.start()
    card.wait_rows(6)
    journal_id = card.status()["id"]
    card.end()
    before = card.plant.rows()
    card.start(mode)
    card.wait_state(card_state(mode))
    card.wait_rows(12)
    self.assertEqual(card.status()["id"], journal_id)
    self.assertTrue(card.in_memory())
    card.do("0")
    card.wait_state("ok")
    card.wait_rows(6)
    card.end()
    self.assertEqual((card.state / "id").read_text().strip(), journal_id)
    rows = card.check(0, starts=2, boots=True)
    self.assertEqual({seq: rows.get(seq) for seq in before}, before)
    self.assertGreaterEqual(len(rows) - len(before), 18)
    self.assertGreater(max(rows), crashbed.BOOT_ROWS)


@case(("x",), ("h",))
def test_a_card_that_cannot_be_read_at_the_start(self, card, mode):
    """What was written meanwhile has an id of its own, and is kept beside the card's journal."""
    card.start()
    card.wait_rows(6)
    journal_id = card.status()["id"]
    card.end()
    before = card.plant.rows()
    card.start(mode, card.state)
    card.wait_state("failed")
    card.must(card.plant.wait(lambda: card.plant.committed() > 0, BACK_S, "a row"))
    self.assertGreaterEqual(card.plant.committed(), crashbed.BOOT_ROWS)  # a row's seq from the first commit on
    card.wait_rows(12)
    own_id = card.status()["id"]
    self.assertNotEqual(own_id, journal_id)
    card.do("0")
    card.wait_state("ok")
    card.wait_rows(6)
    self.assertEqual(card.status()["id"], journal_id)
    card.end()
    rows = card.check(0, starts=2, boots=True)
    self.assertEqual({seq: rows.get(seq) for seq in before}, before)
    apart = card.plant.state / f"journal-{own_id}"
    self.assertEqual((apart / "id").read_text().strip(), own_id)
    kept = {row[0]: row for path in apart.glob("*.db") for row in card.plant.rows_of(path)}
    self.assertGreaterEqual(len(kept), 12)
    seqs = sorted(kept)
    self.assertEqual(seqs, list(range(seqs[0], seqs[0] + len(seqs))))
    self.assertEqual(seqs[0] % crashbed.BOOT_ROWS, 0)
    times = sorted(row[1] for row in rows.values() if row[0] == "m1")
    times += [row[2] for row in kept.values() if row[1] == "m1"]
    self.assertEqual(len(times), len(set(times)))


@case(("h",), ("x",))
def test_nothing_on_the_card_can_be_read_at_the_start(self, card, mode):
    """Not even the state directory: the configuration is elsewhere, and rows are in memory within half a minute."""
    card.start()
    card.wait_rows(6)
    card.end()
    before = card.plant.rows()
    begin = time.monotonic()
    card.start(mode)
    card.must(card.plant.wait(lambda: card.said("cannot be used"), BACK_S, "it is told"))
    card.must(card.plant.wait(lambda: card.plant.committed() > 0, BACK_S, "a row"))
    self.assertLess(time.monotonic() - begin, HUNG_S + 15)
    self.assertTrue(card.in_memory())
    self.assertIn("card" if mode == "h" else "Input/output", card.plant.status()["error"])
    card.wait_rows(12)
    own_id = card.status()["id"]
    card.do("0")
    card.wait_state("ok")
    card.wait_rows(6)
    card.end()
    rows = card.check(0, starts=2, boots=True)
    self.assertEqual({seq: rows.get(seq) for seq in before}, before)
    apart = card.plant.state / f"journal-{own_id}"
    self.assertGreaterEqual(sum(len(card.plant.rows_of(path)) for path in apart.glob("*.db")), 12)


@case(("e", "-wal", False), ("x", "", True))
def test_a_sector_of_the_newest_segment_that_is_lost(self, card, mode, ending, from_the_start):
    """What is written goes on in another segment after half a minute."""
    below = card.state / f"0000000000000001.db{ending}"
    card.start("0", below)
    card.wait_rows(6)
    if from_the_start:
        card.end()
        card.start(mode, below)
    card.do(mode)
    card.must(card.plant.wait(lambda: card.said("rows go to memory"), BACK_S, "it fails"))
    card.wait_rows(ROWS_S * (RETRY_S + 2))
    self.assertTrue(card.in_memory())
    card.wait_state("ok", 90)
    card.wait_rows(6)
    skipped = card.skipped()
    self.assertEqual(card.status()["lost"], 0)
    card.end()
    self.assertEqual(card.said("came back from memory, 0 were lost"), 1)
    rows = card.check(skipped, starts=1 + from_the_start, boots=from_the_start)
    self.assertGreaterEqual(len(rows), ROWS_S * 30)
    self.assertEqual(len(list(card.state.glob("*.db"))), 2)
    self.assertEqual([event[1] for event in card.events()].count("damaged"), 1)


def mount(*arguments):
    return subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True, check=False)


def on_a_small_file_system(function):
    """The state directory is a file system of its own, of 1 MiB."""
    @functools.wraps(function)
    def call(self, card):
        card.plant.state.mkdir()
        result = mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", card.plant.state)
        if result.returncode != 0:
            raise unittest.SkipTest(f"no right to mount: {result.stderr.strip()}")
        try:
            function(self, card)
        finally:
            card.plant.kill()
            subprocess.run(["umount", "-l", str(card.plant.state)], check=False)
    return call


@case(())
@on_a_small_file_system
def test_a_file_system_that_is_full_and_has_room_again(self, card):
    """Fault 46, as the kernel does it."""
    card.plant.start()
    card.wait_rows(6)
    with open(card.plant.state / "filler", "wb", buffering=0) as filler:
        try:
            while True:
                filler.write(bytes(4096))
        except OSError:
            pass
    card.wait_state("full", 120)
    card.wait_rows(12)
    (card.plant.state / "filler").unlink()
    card.wait_state("ok")
    card.wait_rows(6)
    skipped = card.skipped()
    card.end()
    card.check(skipped)
    self.assertEqual(card.said("rows go to memory"), 1)


@case(())
@on_a_small_file_system
def test_a_file_system_that_is_mounted_read_only(self, card):
    """Fault 50, as the kernel does it."""
    card.plant.start()
    card.wait_rows(6)
    card.end()
    before = card.plant.rows()
    self.assertEqual(mount("-o", "remount,ro", card.plant.state).returncode, 0)
    card.plant.start()
    card.wait_state("readonly")
    card.wait_rows(12)
    self.assertEqual(mount("-o", "remount,rw", card.plant.state).returncode, 0)
    card.wait_state("ok")
    card.wait_rows(6)
    card.end()
    rows = card.check(0, starts=2, boots=True)
    self.assertEqual({seq: rows.get(seq) for seq in before}, before)


class Faults(harness.Case):
    @classmethod
    def setUpClass(cls):
        slave = crashbed.Slave(types.SimpleNamespace(addCleanup=cls.addClassCleanup))
        pool = concurrent.futures.ThreadPoolExecutor(sum(len(jobs) for _, _, jobs in CASES))
        cls.addClassCleanup(pool.shutdown)
        cls.results = {name: [(job, pool.submit(cls.run_one, slave.where, function, job)) for job in jobs]
                       for name, function, jobs in CASES}

    @classmethod
    def run_one(cls, where, function, job):
        with crashbed.directory() as directory:
            card = Card(where, directory)
            try:
                function(harness.Case(), card, *job)
            finally:
                card.do("0")
                if card.plant.process:
                    card.plant.kill()

    def collect(self, name):
        for job, future in self.results[name]:
            with self.subTest(job=job):
                future.result()


def add_test(name, function):
    def test(self):
        self.collect(name)
    test.__doc__ = function.__doc__
    setattr(Faults, name, test)


for case_name, case_function, _ in CASES:
    add_test(case_name, case_function)


if __name__ == "__main__":
    unittest.main()
