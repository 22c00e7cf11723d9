# SPDX-License-Identifier: MIT
"""The lights of the real meterstick-leds: what they say when the programs they watch live, fall silent and come back."""

import json
import signal
import subprocess
import sys
import time
import unittest

import harness
from harness import BIN

# A program that writes a status every second, as acquire and stick do, and nothing else.
WRITER = r"""
import json, os, sys, time
path, members = sys.argv[1], json.loads(sys.argv[2])
boot_id = open("/proc/sys/kernel/random/boot_id").read().strip()
while True:
    now = int(time.clock_gettime(time.CLOCK_BOOTTIME) * 1000)
    for meter in members.get("meters", []):
        meter["committed_boot_ms"] = now
    text = json.dumps(dict(members, program="x", pid=os.getpid(), boot_id=boot_id, boot_ms=now, state="running", error=None))
    with open(path + ".tmp", "w") as file:
        file.write(text)
    os.rename(path + ".tmp", path)
    time.sleep(1)
"""
ACQUIRE = {"meters": [{"name": "kitchen", "state": "live", "slice_ms": 2000}], "journal": {"state": "ok"},
           "clock": {"known": True}}
STICK = {"sticks": [{"id": "x", "state": "idle", "backlog": 0}]}

GOOD = ["running", "all read", "no", "current", "known", "none", "none", "n/a"]


class Leds(harness.Case):
    def setUp(self):
        super().setUp()
        self.record = self.directory / "frames"
        self.leds = None

    def start_writer(self, program, members):
        return self.start(sys.executable, "-c", WRITER, self.directory / f"{program}.json", json.dumps(members))

    def start_leds(self, *more, **options):
        self.leds = self.start(BIN / "meterstick-leds", "--run-dir", self.directory, "--state-dir", self.directory,
                               "--record", self.record, *more, **options)

    def frames(self):
        """All whole lines recorded so far."""
        if not self.record.exists():
            return []
        return [json.loads(line) for line in self.record.read_text().split("\n")[:-1]]

    def wait_for(self, condition, seconds, what):
        """Until the last frame is as it should be."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            frames = self.frames()
            if frames and condition(frames[-1]):
                return frames[-1]
            time.sleep(0.05)
        self.fail(f"not within {seconds} s: {what}; the last frame is {self.frames()[-1:]}")

    def test_all_is_well_and_nothing_blinks(self):
        self.start_writer("acquire", ACQUIRE)
        self.start_writer("stick", STICK)
        self.start_leds()
        frame = self.wait_for(lambda frame: frame["words"] == GOOD, 5, "all is well")
        self.assertEqual(frame["pixels"], ["c800c8", "00c800", "000000", "c8c8c8", "00c800"] + ["000000"] * 3)
        self.assertEqual(frame["brightness"], 3)
        count = len(self.frames())
        time.sleep(2.5)
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
        for one, other in zip(changes, changes[1:]):
            self.assertAlmostEqual(other["boot_ms"] - one["boot_ms"], 500, delta=150)
        self.assertEqual({frame["pixels"][0] for frame in changes}, {"c80000", "000000"})

    def test_its_own_end_leaves_one_steady_red_light_and_says_stopped(self):
        self.start_writer("acquire", ACQUIRE)
        self.start_leds()
        self.wait_for(lambda frame: frame["words"][0] == "running", 5, "running")
        self.leds.send_signal(signal.SIGTERM)
        self.assertEqual(self.leds.wait(5), 0)
        self.assertEqual(self.frames()[-1]["pixels"], ["c80000"] + ["000000"] * 7)
        self.assertEqual(json.loads((self.directory / "leds.json").read_text())["state"], "stopped")

    def test_its_own_status_says_what_the_lights_say(self):
        self.start_writer("acquire", ACQUIRE)
        self.start_writer("stick", STICK)
        self.start_leds()
        self.wait_for(lambda frame: frame["words"] == GOOD, 5, "all is well")
        time.sleep(0.3)
        status = json.loads((self.directory / "leds.json").read_text())
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

    def test_without_anything_to_show_on_it_says_so(self):
        result = subprocess.run([BIN / "meterstick-leds"], capture_output=True, text=True, timeout=10, check=False)
        self.assertEqual(result.returncode, 64)
        self.assertIn("does not drive a Blinkt yet", result.stderr)


if __name__ == "__main__":
    unittest.main()
