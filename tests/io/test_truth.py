# SPDX-License-Identifier: MIT
"""
The lights do not lie: faults done to real processes, and what the lights say of each within 10 s, and when it is over.
Fault numbers are those of reliability.md section 7.
"""

import os
import signal
import sqlite3
import unittest

import harness
import lights
import pagebed
import test_sticks
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


@cases.case()
def test_acquire_dies_while_an_address_is_read_out(self, bed):
    """Fault 59: the address waits; and when all is well again it is begun anew."""
    bed.read_outs = 2
    bed.begin()
    harness.wait_until(lambda: lights.symbol(bed.frames()[-1]), 40, "it is being read out")
    bed.tell("acquire is killed", NO_ACQUIRE, lambda: bed.kill("acquire"))
    bed.hold(5)  # check() finds that each new failure is seen
    bed.tell("acquire is back", GOOD, bed.begin_acquire)
    count = len(bed.frames())
    harness.wait_until(lambda: any(lights.symbol(frame) for frame in bed.frames()[count:]), 20, "it goes on")
    self.assertFalse(any(text.whole for text in lights.spelled(bed.frames(), lights.now_ms())))


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
def test_the_stick_hangs(_, bed):
    """Fault 38: with --dir nobody watches from outside, so its program falls silent."""
    bed.begin(stick=bed.stick_dir)
    bed.tell("the stick hangs", NO_STICK_PROGRAM, lambda: bed.do_card("h"), 15, {"writing": "writing", "stick": "behind"})
    bed.hold(2)
    bed.tell("it goes on", GOOD, lambda: bed.do_card("0"))


@cases.case()
def test_the_stick_is_pulled(_, bed):
    """Faults 25 to 28: pulled, put back, put back at once, and another one in its place."""
    bed.begin()
    pulled = bed.directory / "pulled"
    bed.tell("the stick is pulled", {"stick": "none"}, lambda: bed.stick_dir.rename(pulled))
    bed.tell("nothing is written", {"writing": "no"}, within_s=1)
    bed.hold(2)
    bed.tell("the stick is in", GOOD, lambda: pulled.rename(bed.stick_dir))

    def again():
        for _ in range(10):
            bed.stick_dir.rename(pulled)
            pulled.rename(bed.stick_dir)
    bed.tell("pulled and put back at once", GOOD, again)
    bed.time_line.now("another one", {"stick": {"none", "current", "behind"}})
    bed.stick_dir.rename(pulled)
    bed.stick_dir.mkdir()
    harness.wait_until(lambda: list(bed.stick_dir.glob("kwhmeter/here/m1/*.csv")), 10, "it is written")
    bed.tell("it is written", GOOD)
    bed.hold(2)


@cases.case(("r", 10), ("x", 10), ("h", HUNG_S + 20))
def test_the_card_is_bad_from_the_start(_, bed, mode, seconds):
    """Fault 50: what begins with such a card is told as soon as it runs, and when the card is well."""
    bed.do_card(mode)
    bed.begin_line()
    bed.begin_leds()
    bed.begin_stick()
    harness.wait_until(bed.words, 10, "a first frame")
    bed.tell("a bad card", dict(GOOD, stick={"behind", "current"}, writing={"failed", "both"}),
             lambda: bed.begin_acquire(bed.state), seconds)
    bed.hold(3)
    bed.tell("the card is well", GOOD, lambda: bed.do_card("0"), meanwhile={"writing": {"failed", "both"}})


@cases.case()
def test_the_run_directory_is_removed_and_made_again(_, bed):
    """Nobody can say anything; nobody is believed."""
    bed.begin()
    bed.tell("it is gone", dict(NO_ACQUIRE, **NO_STICK_PROGRAM), lambda: bed.run.rename(bed.directory / "old"))
    bed.hold(2)
    bed.tell("it is there again", GOOD, bed.run.mkdir)
    bed.hold(2)


def newer(path):
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99")
    database.close()


def make_directory(path):
    path.unlink()
    path.mkdir()


@cases.case(("random", lambda path: path.write_bytes(os.urandom(path.stat().st_size))),
            ("empty", lambda path: path.write_bytes(b"")), ("directory", make_directory), ("newer", newer),
            ("log", lambda path: path.with_suffix(".db-wal").unlink()))
def test_the_newest_segment_is_damaged(_, bed, __, damage):
    """Faults 48, 49 and 52: another one within 5 s, and all is well but for what was in it."""
    bed.begin()
    bed.tell("acquire is killed", NO_ACQUIRE, lambda: bed.kill("acquire"))
    damage(max((bed.state / "journal").glob("*.db")))
    bed.tell("it goes on in another one", GOOD, bed.begin_acquire, meanwhile={"writing": {"failed", "both"}})
    bed.hold(5)


def fill(bed, rows):
    """A journal of so many rows of an earlier boot."""
    journal = pagebed.Journal(bed.state, [("m1", truthbed.MODEL, pagebed.HOUSE)])
    journal.boot(pagebed.at("2026-10-01 00:00"))
    journal.add(pagebed.at("2026-10-01 00:00"), 1, 230, 1000, 5000)
    journal.db.execute("WITH RECURSIVE n(seq) AS (SELECT 2 UNION ALL SELECT seq + 1 FROM n WHERE seq < ?) "
                       "INSERT INTO sample SELECT seq, 1, 5000 * seq, 1, 'N', '[230,1000,' || seq || ']' FROM n", (rows,))
    journal.close()


@cases.case()
def test_a_blank_stick_catches_up(self, bed):
    """The bar of eight pixels fills while rows of days are copied, and is no claim of anything else."""
    fill(bed, 600000)
    bed.begin_line()
    bed.begin_acquire()
    bed.begin_leds()
    harness.wait_until(bed.words, 10, "a first frame")
    bed.tell("no stick program yet", dict(GOOD, **NO_STICK_PROGRAM), within_s=20)
    bed.hold(10)  # for so long leds shows only what it found
    bed.tell("a blank stick", {"stick": "behind", "writing": "writing"}, bed.begin_stick,
             meanwhile={"writing": "no"})
    # A slow one: stopped for nine tenths of the time, so that even a fast machine takes longer than the lights' 5 s of
    # status before a bar. Where that is too long on a busy machine, the lights say so.
    bed.time_line.now("its end", {"stick": {"behind", "current", "dead"}, "writing": {"writing", "no", "failed"}})
    for _ in range(12):
        bed.signal("stick", signal.SIGSTOP)
        bed.hold(0.9)
        bed.signal("stick", signal.SIGCONT)
        bed.hold(0.1)
    harness.wait_until(lambda: bed.status("stick")["sticks"][0]["state"] == "idle", 60, "it is copied")
    bed.tell("it is copied", GOOD, within_s=2)
    filled = [count for _, count in lights.bars(bed.frames())]
    self.assertEqual(filled, sorted(filled))
    self.assertTrue(filled)
    bed.hold(6)


@unittest.skipIf(test_sticks.has_usb_disk(), "a disk is plugged in")
@cases.case()
def test_no_stick_is_plugged_in(_, bed):
    """NOSTICK: dark, and nothing is wrong."""
    bed.begin_line()
    bed.begin_acquire()
    bed.begin_stick(plugged=True)
    bed.begin_leds()
    harness.wait_until(bed.words, 10, "a first frame")
    bed.tell("no stick", dict(GOOD, stick="none", writing="no"), within_s=20)
    bed.hold(3)
    bed.tell("stick is killed", NO_STICK_PROGRAM, lambda: bed.kill("stick"))
    bed.tell("stick is back", dict(GOOD, stick="none", writing="no"), lambda: bed.begin_stick(plugged=True))


@cases.case()
def test_a_bad_configuration(self, bed):
    """Fault 62: the last good one counts; where there is none, nothing is read and nobody says so."""
    bed.begin()
    good = bed.config.read_text()

    def begin_anew():
        bed.end("acquire")
        bed.begin_acquire()
    bed.config.write_text("[meter m1]\nmodell = x\n")
    bed.tell("a bad configuration", {"program": {"running", "dead"}, "meters": {"all read", "failed", "silent"},
                                     "writing": {"no", "writing", "failed", "both"}, "clock": {"known", "unknown"}},
             begin_anew)
    harness.wait_until(lambda: bed.status("acquire").get("pid") == bed.processes["acquire"].pid, 10, "it runs")
    bed.tell("the last good one is used", GOOD)
    self.assertIn("last good", bed.status("acquire")["error"])
    (bed.state / "good.conf").unlink()
    bed.tell("and there is none", NO_ACQUIRE, begin_anew)
    self.assertEqual(bed.processes["acquire"].wait(10), 78)
    bed.hold(2)
    bed.config.write_text(good)
    bed.tell("it is mended", GOOD, bed.begin_acquire)


Truth = cases.make("Truth")

if __name__ == "__main__":
    unittest.main()
