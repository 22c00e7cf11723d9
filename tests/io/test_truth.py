# SPDX-License-Identifier: MIT
"""
The lights do not lie: faults done to real processes, and what the lights say of each within 10 s, and when it is over.
Fault numbers are those of reliability.md section 7.
"""

import json
import shutil
import signal
import sqlite3
import subprocess
import unittest

import harness
import lights
import timedate
import timeline
import truthbed
from truthbed import GOOD, NO_ACQUIRE, NO_STICK_PROGRAM

cases = truthbed.Cases()
HUNG_S = 25  # DESIGN section 2: when a card that does not answer is a dead one


def hit(bed, name, how):
    """A function that does it to a program."""
    if how == "SIGTERM":
        return lambda: unittest.TestCase().assertEqual(bed.end(name), 0)
    return lambda: bed.signal(name, getattr(signal, how))


def undo(bed, name, how):
    """A function that begins it again, or lets it go on."""
    def begin():
        bed.processes[name].wait()
        getattr(bed, f"begin_{name}")()
    return (lambda: bed.signal(name, signal.SIGCONT)) if how == "SIGSTOP" else begin


@cases.case(("SIGKILL",), ("SIGSTOP",), ("SIGTERM",))
def test_acquire_is_killed_stopped_or_ended(_, bed, how):
    """Faults 59, 61 and 63."""
    bed.begin()
    bed.tell(f"acquire: {how}", NO_ACQUIRE, hit(bed, "acquire", how))
    bed.hold(3)
    bed.tell("acquire is back", GOOD, undo(bed, "acquire", how))
    bed.hold(2)


@cases.case(("SIGKILL",), ("SIGSTOP",), ("SIGTERM",))
def test_stick_is_killed_stopped_or_ended(_, bed, how):
    """Faults 59, 61 and 63."""
    bed.begin()
    bed.tell(f"stick: {how}", NO_STICK_PROGRAM, hit(bed, "stick", how))
    bed.hold(3)
    bed.tell("stick is back", GOOD, undo(bed, "stick", how))
    bed.hold(2)


@cases.case()
def test_leds_is_stopped_while_acquire_dies(self, bed):
    """Faults 61 and 64: what it shows when it goes on is of then, not of before."""
    bed.begin()
    bed.signal("leds", signal.SIGSTOP)
    begin_ms = lights.now_ms()
    bed.kill("acquire")
    bed.hold(7)
    count = len(bed.frames())
    bed.asleep.append((begin_ms, lights.now_ms()))
    bed.tell("leds goes on, and acquire is dead", NO_ACQUIRE, lambda: bed.signal("leds", signal.SIGCONT), 2)
    self.assertEqual(bed.frames()[count]["words"][0], "dead")
    rows = bed.status("acquire")["journal"]["seq"]
    bed.tell("acquire is back", GOOD, bed.begin_acquire)
    self.assertGreater(bed.status("acquire")["journal"]["seq"], rows)


@cases.case(("SIGKILL",), ("SIGTERM",))
def test_leds_is_killed_or_ended(self, bed, how):
    """Faults 59 and 64: nothing is believed of before, and logging goes on."""
    bed.begin()
    if how == "SIGKILL":
        bed.kill("leds")
    else:
        self.assertEqual(bed.end("leds"), 0)
        self.assertEqual(bed.frames()[-1]["pixels"], [timeline.RED] + [timeline.DARK] * 7)
        self.assertEqual(bed.words()["program"], "ended")
    count, end_ms, seq = len(bed.frames()), lights.now_ms(), bed.status("acquire")["journal"]["seq"]
    bed.kill("stick")
    bed.hold(7)
    self.assertGreater(bed.status("acquire")["journal"]["seq"], seq)
    bed.asleep.append((end_ms - 1000, lights.now_ms()))
    bed.time_line.spans.clear()  # it is another one from now on
    bed.begin_leds()
    harness.wait_until(lambda: len(bed.frames()) > count, 10, "a frame")
    bed.tell("leds is back, and stick is dead", dict(GOOD, **NO_STICK_PROGRAM), within_s=2)
    self.assertEqual(bed.frames()[count]["words"][:5], ["running", "all read", "failed", "dead", "known"])
    bed.tell("stick is back", GOOD, bed.begin_stick)


@cases.case(("f", "full"), ("r", "readonly"), ("e", "failed"), ("g", "failed"), ("x", "failed"))
def test_the_card_is_full_readonly_broken_or_gone(_, bed, mode, state):
    """Faults 46, 47 and 50."""
    bed.begin(card=bed.state)
    bed.tell(f"the card does '{mode}'", {"writing": {"failed", "both"}}, lambda: bed.do_card(mode))
    harness.wait_until(lambda: bed.status("acquire")["journal"]["state"] == state, 10, state)
    bed.hold(4)
    bed.tell("the card is well", GOOD, lambda: bed.do_card("0"))
    bed.hold(2)


@cases.case()
def test_the_card_hangs(_, bed):
    """Fault 51: a card that does not answer for 25 s is a dead one; rows that are not committed are told before."""
    bed.begin(card=bed.state)
    bed.tell("the card hangs, and rows wait for it", {"meters": "failed"}, lambda: bed.do_card("h"))
    bed.tell("the card is dead, and rows go to memory", {"writing": {"failed", "both"}, "meters": "all read"},
             within_s=HUNG_S + 5)
    bed.tell("the card is well", GOOD, lambda: bed.do_card("0"))


@cases.case(("f", "full"), ("r", "readonly"), ("e", "failed"))
def test_the_stick_is_full_readonly_or_broken(self, bed, mode, state):
    """Faults 30, 31, 32 and 37: and nobody says that it has every reading. While it is tried again pixel 2 is blue."""
    bed.begin(stick=bed.stick_dir)
    bed.tell(f"the stick does '{mode}'", {"writing": {"failed", "both"}, "stick": "behind"}, lambda: bed.do_card(mode))
    bed.time_line.now("it is tried again", {"writing": {"failed", "both", "writing"}})
    bed.hold(6)  # at least one burst more fails
    self.assertIn(bed.status("stick")["sticks"][0]["state"], (state, "writing"))
    bed.tell("the stick is well", GOOD, lambda: bed.do_card("0"))
    bed.hold(2)


@cases.case(("", "Permission denied"), ("-wal", "the journal cannot be opened"), ("-shm", "the journal cannot be opened"))
def test_stick_cannot_open_the_journal(self, bed, ending, said):
    """
    As when another user has written it. "Try again in 1 s", as SQLite has it, is an answer for 8 s, beginning with the next
    burst.
    """
    bed.begin(stick=bed.state / "journal" / f"0000000000000001.db{ending}")
    bed.time_line.now("it may not be opened", {"writing": {"no", "writing", "failed"}})
    bed.do_card("p")
    harness.wait_until(lambda: bed.words()["writing"] == "failed", 5 + 8 + 2, "it is told")
    self.assertEqual(bed.status("stick")["sticks"][0]["error"], said)
    bed.time_line.now("it is tried again", {"writing": {"failed", "writing"}, "stick": "behind"})
    bed.hold(6)
    bed.tell("it may be opened", GOOD, lambda: bed.do_card("0"))


@cases.case()
def test_the_stick_is_pulled(_, bed):
    """Faults 25 and 26."""
    bed.begin()
    bed.tell("the stick is pulled", {"stick": "none", "writing": "no"},
             lambda: bed.stick_dir.rename(bed.directory / "pulled"), 3, {"stick": "behind"})
    bed.hold(2)
    bed.tell("the stick is in", GOOD, lambda: (bed.directory / "pulled").rename(bed.stick_dir), 5)


@cases.case(((1,), "silent"), ((1, 2), "failed"))
def test_meters_fall_silent(_, bed, units, word):
    """Faults 1, 2 and 3."""
    bed.begin()
    bed.tell("meters do not answer", {"meters": word}, lambda: [bed.tell_line(f"kill {unit}") for unit in units])
    bed.hold(3)
    bed.tell("they answer", GOOD, lambda: [bed.tell_line(f"revive {unit}") for unit in units], 60)


@cases.case()
def test_the_adapter_is_pulled(_, bed):
    """Faults 13 and 14: the port is gone, while acquire runs and when it begins."""
    bed.begin()
    bed.tell("the adapter is gone", {"meters": "failed"}, lambda: bed.kill("line"))
    bed.tell("acquire ended", NO_ACQUIRE, lambda: bed.end("acquire"))
    bed.line.unlink(missing_ok=True)
    bed.tell("acquire is back, the adapter is not", dict(GOOD, meters="failed"), bed.begin_acquire)
    bed.tell("the adapter is back", GOOD, bed.begin_line)


Truth = cases.make("Truth")

if __name__ == "__main__":
    unittest.main()
