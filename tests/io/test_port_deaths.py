# SPDX-License-Identifier: MIT
"""Programs that are killed in their turn, with a question on the line that others share: faults 16 and 17."""

import time
import unittest

import harness
import test_port_sharing
from sharedline import SharedLine
from test_port_sharing import LIVE, READ, SCRIPTS, VALUES


class Deaths(test_port_sharing.Case):
    def silence(self, line, killed, *units):
        """How long acquire said nothing around that moment."""
        after = harness.wait_until(lambda: [frame["at"] for frame in line.from_units(*units) if frame["at"] > killed],
                                   40, "acquire talks again: " + self.log.read_text())
        before = [frame["at"] for frame in line.from_units(*units) if frame["at"] <= killed]
        return after[0] - before[-1]

    def kill_in_its_turn(self, line, *how):
        process, said = self.script(line, *how)
        harness.wait_until(lambda: any("holds" in turn for turn in said()), 20, "it has the port")
        self.assertEqual(self.value(), 0)
        killed = time.monotonic()
        process.kill()
        process.wait()
        return killed

    def test_a_script_that_dies_in_its_turn_is_found_out_at_once(self):
        """Fault 17, nobody else there"""
        line = SharedLine(self, [*LIVE, SCRIPTS])
        self.plant(line, *LIVE)
        inode = self.file.stat().st_ino
        for _ in range(3):
            silence = self.silence(line, self.kill_in_its_turn(line, "hold"), *LIVE)
            self.assertLess(silence, 5)
        self.assertEqual(self.log.read_text().count("whoever had it is dead: taken over"), 3)
        self.check_line(line)
        self.check_rows(*LIVE)
        self.assertEqual(self.file.stat().st_ino, inode)
        script, said = self.script(line)  # and the next one has its turn
        harness.wait_until(lambda: len(said()) > 3, 20, "turns of the next one")
        self.assertIsNone(script.poll())

    def test_a_script_that_dies_while_another_looks_on_costs_20_s_at_most(self):
        """Fault 17, without proof"""
        line = SharedLine(self, [*LIVE, SCRIPTS])
        self.plant(line, *LIVE)
        _, looks = self.script(line, "look")
        harness.wait_until(looks, 20, "it looks")
        killed = self.kill_in_its_turn(line, "hold")
        harness.wait_until(lambda: "another program uses the port" in str(self.status()), 20, "the status says so")
        silence = self.silence(line, killed, *LIVE)
        self.assertGreater(silence, 9, "five times what the others wait: it might be alive")
        self.assertLessEqual(silence, 20)
        self.check_line(line)
        log = self.log.read_text()
        self.assertIn("another program uses the port all the time", log)
        self.assertIn(f"semaphore {self.name}: not given back for 10 s while the line was still: taken for lost", log)
        rows = len(self.rows())
        self.wait_rows(rows + 4)
        self.check_rows(*LIVE)
        harness.figure(f"a script killed in its turn, another looking on: silence of ours {silence:.1f} s")

    def test_read_that_dies_in_its_turn_costs_a_rest_of_the_line(self):
        """Fault 16"""
        line = SharedLine(self, [*LIVE])  # nobody answers what it asks
        self.plant(line, *LIVE)
        for _ in range(3):
            count = len(line.from_units(READ))
            process = self.start(harness.BIN / "meterstick", "read", "--model", self.model, "--port", line.where,
                                 "--address", READ, "--state-dir", self.state, "--timeout", "900 ms",
                                 env=self.environment)
            harness.wait_until(lambda: len(line.from_units(READ)) > count, 20, "it has asked")
            killed = time.monotonic()
            process.kill()
            process.wait()
            self.assertLess(self.silence(line, killed, *LIVE), 5)
        self.assertRegex(self.log.read_text(), f"semaphore {self.name}: process [0-9]+ died with it: taken over")
        self.check_line(line)
        self.check_rows(*LIVE)

    def test_acquire_that_dies_in_its_turn_does_not_stop_read(self):
        """Fault 16, the other way round: what a dead service leaves behind"""
        line = SharedLine(self, [*LIVE, READ], latency=0.05)
        self.plant(line, *LIVE)
        acquire = self.acquired
        harness.wait_until(lambda: self.value() == 0, 20, "a turn")
        acquire.kill()
        acquire.wait()
        began = time.monotonic()
        self.assertEqual(self.ask(line)["values"], VALUES[READ])
        self.assertLess(time.monotonic() - began, 10)
        self.assertEqual(self.value(), 1)
        self.check_line(line)


if __name__ == "__main__":
    unittest.main()
