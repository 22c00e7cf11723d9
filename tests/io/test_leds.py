# SPDX-License-Identifier: MIT
"""The lights of the real meterstick-leds: what they say when the programs they watch live, fall silent, come back."""

import os
import pathlib
import pty
import shutil
import signal
import subprocess
import time
import unittest

import harness
import ledbed
import lights
from harness import BIN
from ledbed import ACQUIRE, GOOD, STICK


class Leds(ledbed.Case):
    def test_all_is_well_and_nothing_blinks(self):
        self.start_writer("acquire", ACQUIRE)
        self.start_writer("stick", STICK)
        self.start_leds()
        frame = self.wait_for(lambda frame: frame["words"] == GOOD, 5, "all is well")
        self.assertEqual(frame["pixels"], ["c800c8", "00c800", "000000", "c8c8c8", "00c800"] + ["000000"] * 3)
        self.assertEqual(frame["brightness"], 3)
        count = len(self.frames())
        time.sleep(1.5)
        self.assertEqual(len(self.frames()), count, "a frame is recorded only when it changes")

    def test_kill_9_of_a_program_turns_its_light_within_10_s_and_its_return_turns_it_back(self):
        acquire = self.start_writer("acquire", ACQUIRE)
        self.start_writer("stick", STICK)
        self.start_leds()
        self.wait_for(lambda frame: frame["words"] == GOOD, 5, "all is well")
        acquire.kill()
        frame = self.wait_for(lambda frame: frame["words"][0] == "dead", 10, "acquire is dead")
        self.assertEqual(frame["words"][:5], ["dead", "failed", "failed", "current", "unknown"])
        self.start_writer("acquire", ACQUIRE)
        self.wait_for(lambda frame: frame["words"] == GOOD, 5, "all is well again")

    def test_a_stopped_program_turns_its_light_as_a_killed_one_does(self):
        self.start_writer("acquire", ACQUIRE)
        stick = self.start_writer("stick", STICK)
        self.start_leds()
        self.wait_for(lambda frame: frame["words"] == GOOD, 5, "all is well")
        stick.send_signal(signal.SIGSTOP)
        frame = self.wait_for(lambda frame: frame["words"][3] == "dead", 10, "stick is stuck")
        self.assertEqual(frame["words"][:5], ["running", "all read", "failed", "dead", "known"])
        stick.send_signal(signal.SIGCONT)
        self.wait_for(lambda frame: frame["words"] == GOOD, 5, "all is well again")

    def test_with_nothing_to_read_every_light_blinks_once_a_second(self):
        self.start_leds()
        self.wait_for(lambda frame: frame["pixels"][0] == "000000", 5, "the dark half of a blink")
        time.sleep(3)
        changes = [frame for frame in self.frames() if frame["words"][0] == "dead"][1:]
        halves = sorted(other["boot_ms"] - one["boot_ms"] for one, other in zip(changes, changes[1:]))
        self.assertAlmostEqual(halves[len(halves) // 2], 500, delta=100)
        self.assertLess(halves[-1], 1500)
        self.assertEqual({frame["pixels"][0] for frame in changes}, {"c80000", "000000"})

    def test_its_own_end_leaves_one_steady_red_light_and_says_stopped(self):
        self.start_writer("acquire", ACQUIRE)
        self.start_leds()
        self.wait_for(lambda frame: frame["words"][0] == "running", 5, "running")
        self.leds.send_signal(signal.SIGTERM)
        self.assertEqual(self.leds.wait(5), 0)
        self.assertEqual(self.frames()[-1]["pixels"], ["c80000"] + ["000000"] * 7)
        self.assertEqual(self.status()["state"], "stopped")

    def test_its_own_status_says_what_the_lights_say(self):
        self.start_writer("acquire", ACQUIRE)
        self.start_writer("stick", STICK)
        self.start_leds()
        self.wait_for(lambda frame: frame["words"] == GOOD, 5, "all is well")
        time.sleep(0.3)
        status = self.status()
        self.assertEqual(status["state"], "running")
        self.assertEqual([light["colour"] for light in status["lights"]],
                         ["purple", "green", "dark", "white", "green", "dark", "dark", "dark"])

    def test_brightness_and_colours_follow_the_configuration_while_it_runs(self):
        self.start_writer("acquire", ACQUIRE)
        self.start_writer("stick", STICK)
        self.start_leds()
        self.wait_for(lambda frame: frame["words"] == GOOD, 5, "all is well")
        (self.directory / "good.conf").write_text("[leds]\nbrightness = 100 %\ncolours = code\n")
        frame = self.wait_for(lambda frame: frame["brightness"] == 31, 5, "full brightness")
        self.assertEqual(frame["pixels"][1], "0000c8")

    def test_a_pipe_gets_letters_and_only_changes_of_meaning(self):
        self.start_leds("--terminal", stdout=subprocess.PIPE, text=True)
        time.sleep(2.3)
        self.leds.terminate()
        output, _ = self.leds.communicate(timeout=5)
        self.assertNotIn("\x1b", output)
        self.assertEqual(output.count("program   meters"), 2, output)  # at the start, and the end
        self.assertIn("0 program  red     blinks  the logger is not alive", output)

    def test_a_terminal_gets_colours_and_its_end_is_the_end(self):
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        self.start_leds("--terminal", record=False, stdout=theirs, environment={"TERM": "xterm", "NO_COLOR": ""})
        os.close(theirs)
        seen = b""
        while seen.count(b"program") < 6:  # of a blink every half is drawn, with two "program" each
            seen += os.read(ours, 4096)
        self.assertIn(b"\x1b[48;2;200;0;0m", seen)
        self.leds.send_signal(signal.SIGHUP)
        self.assertEqual(self.leds.wait(10), 0)

    def test_a_new_status_is_shown_at_once(self):
        """Blue has to be seen before a stick is mounted, 250 ms later."""
        self.start_writer("acquire", ACQUIRE)
        self.put("stick", **STICK)
        self.start_leds()
        self.wait_for_good()
        took_ms = []
        for _ in range(5):
            self.put("stick", sticks=[{"id": "x", "state": "writing", "backlog": 5}])
            begin_ms = lights.now_ms()
            frame = self.wait_for(lambda frame: frame["words"][2] == "writing", 10, "it is being written")
            took_ms.append(frame["boot_ms"] - begin_ms)
            self.put("stick", **STICK)
            self.wait_for_good()
        self.assertLess(sorted(took_ms)[2], 250, took_ms)

    def test_a_flood_of_statuses_neither_blinds_nor_busies_it(self):
        self.start_writer("acquire", ACQUIRE)
        self.put("stick", **STICK)
        self.start_leds()
        self.wait_for_good()
        before_s, begin_ms = running_seconds(self.leds), lights.now_ms()
        end = time.monotonic() + 2
        while time.monotonic() < end:
            self.put("stick", **STICK)
        used = (running_seconds(self.leds) - before_s) / (lights.now_ms() - begin_ms) * 1000
        self.assertLess(used, 0.3)  # 20 looks a second, with sanitizers
        self.put("stick", sticks=[{"id": "x", "state": "writing", "backlog": 5}])
        self.wait_for(lambda frame: frame["words"][2] == "writing", 5, "it is being written")

    def test_while_nothing_changes_it_uses_next_to_nothing(self):
        self.start_all_well()
        self.start_leds(program=harness.PLAIN_BIN / "meterstick-leds")
        self.wait_for_good()
        before_s, begin = running_seconds(self.leds), time.monotonic()
        time.sleep(5)
        share = (running_seconds(self.leds) - before_s) / (time.monotonic() - begin)
        harness.figure(f"leds, while nothing changes: {share:.3%} of a core")
        self.assertLess(share, 0.01)  # 0.05 %; with sanitizers, beside other tests, more

    def test_the_run_directory_may_come_later_and_be_another_one(self):
        shutil.rmtree(self.run)
        self.start_leds()
        self.wait_for(lambda frame: frame["words"][0] == "dead", 10, "nothing is there")
        self.run.mkdir()
        self.start_all_well()
        self.wait_for_good()
        harness.wait_until(lambda: self.status().get("state") == "running", 10, "its own status")
        self.wait_for_socket()

        self.run.rename(self.directory / "old")
        self.wait_for(lambda frame: frame["words"][0] == "dead", 10, "nothing is there again")
        self.run.mkdir()
        self.wait_for_good()
        self.wait_for_socket()
        self.by_hand("led", 7, "blue")
        self.wait_for(lambda frame: frame["pixels"][7] == "0000c8", 10, "it is asked there")
        self.assertIn(self.log.read_text().count("cannot write"), (1, 2))  # the second time it may not have noticed

    def test_the_service_manager_hears_of_it_and_its_watchdog_is_fed(self):
        manager = ledbed.Manager(self)
        self.start_all_well()
        self.start_leds(environment={"NOTIFY_SOCKET": str(manager.path)})
        harness.wait_until(lambda: manager.heard("READY=1"), 10, "READY")
        harness.wait_until(lambda: any("program running, meters all read" in text
                                       for _, text in manager.heard("STATUS=")), 10, "STATUS")
        count = len(manager.heard("WATCHDOG=1"))
        harness.wait_until(lambda: len(manager.heard("WATCHDOG=1")) >= count + 2, 15, "it is fed every second")
        self.leds.send_signal(signal.SIGSTOP)
        time.sleep(0.2)
        count = len(manager.heard("WATCHDOG=1"))
        time.sleep(1.5)
        self.assertEqual(len(manager.heard("WATCHDOG=1")), count)
        self.leds.send_signal(signal.SIGCONT)
        harness.wait_until(lambda: len(manager.heard("WATCHDOG=1")) > count, 10, "it goes on")
        self.assertLess(len(manager.heard("STATUS=")), 6, "only what is new")
        self.leds.terminate()
        harness.wait_until(lambda: manager.heard("STOPPING=1"), 10, "STOPPING")

    def test_a_record_that_cannot_be_written_is_told_once_and_tried_again(self):
        self.start_leds("--record", "/dev/full", record=False)
        time.sleep(1.5)
        self.assertIsNone(self.leds.poll())
        self.assertEqual(self.log.read_text().count("cannot write frames to /dev/full"), 1)

    def test_the_farewell_is_one_red_light_and_never_a_failure(self):
        (self.directory / "good.conf").write_text("[leds]\nbrightness = 50 %\n")
        for directory in (self.run, self.directory / "nowhere"):
            result = subprocess.run([BIN / "meterstick-leds", "--farewell", "--run-dir", directory, "--state-dir",
                                     self.directory, "--record", self.record], check=False, timeout=20)
            self.assertEqual(result.returncode, 0)
        self.assertEqual([(frame["brightness"], frame["pixels"]) for frame in self.frames()],
                         2 * [(15, ["c80000"] + ["000000"] * 7)])
        self.assertEqual(list(self.run.iterdir()), [])

    def test_sighup_reads_the_settings_again(self):
        self.start_leds()
        self.wait_for(lambda frame: frame["words"][0] == "dead", 10, "it runs")
        self.leds.send_signal(signal.SIGHUP)
        (self.directory / "good.conf").write_text("[leds]\nbrightness = 100 %\n")
        self.wait_for(lambda frame: frame["brightness"] == 31, 10, "full brightness")


@unittest.skipIf(list(pathlib.Path("/dev").glob("gpiochip*")), "this machine has GPIO lines, which are left alone")
class NoBlinkt(ledbed.Case):  # fault 64
    def test_it_is_told_once_and_the_status_says_so(self):
        manager = ledbed.Manager(self)
        self.start_all_well()
        self.start_leds(record=False, environment={"NOTIFY_SOCKET": str(manager.path)})
        harness.wait_until(lambda: manager.heard("READY=1"), 10, "READY without a Blinkt, too")
        harness.wait_until(lambda: len(manager.heard("WATCHDOG=1")) > 4, 20, "it runs on")  # three tries
        status = self.status()
        self.assertEqual(status["state"], "running")
        self.assertEqual(status["error"], "this machine has no header of a Raspberry Pi")
        self.assertIn("no Blinkt: this machine has no header", manager.heard("STATUS=")[-1][1])
        self.assertEqual(self.log.read_text().count("no lights on a Blinkt"), 1)
        self.assertIn("no header of a Raspberry Pi", self.by_hand("led", 3, "red", status=1))
        self.leds.terminate()
        self.assertEqual(self.leds.wait(10), 0)

    def test_the_farewell_is_no_failure(self):
        result = subprocess.run([BIN / "meterstick-leds", "--farewell", "--state-dir", self.directory],
                                capture_output=True, text=True, check=False, timeout=20)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("no farewell on a Blinkt: this machine has no header", result.stderr)

    def test_the_record_and_the_blinkt_go_together(self):
        self.start_all_well()
        self.start_leds("--blinkt")
        self.wait_for_good()
        self.assertIn("no lights on a Blinkt", self.log.read_text())

    def test_by_hand_it_is_a_failure(self):  # ES-06
        self.assertIn("no header of a Raspberry Pi", self.by_hand("led", 3, "red", status=1))
        self.assertIn("no header of a Raspberry Pi", self.by_hand("ip", status=1))


def running_seconds(process):
    """What it has used of a processor."""
    return int(pathlib.Path(f"/proc/{process.pid}/schedstat").read_text().split()[0]) / 1e9


if __name__ == "__main__":
    unittest.main()
