# SPDX-License-Identifier: MIT
"""`meterstick led INDEX COLOUR` (ES-07): through a running leds, and straight."""

import signal
import unittest

import ledbed
import lights

COLOURS = {"red": "c80000", "green": "00c800", "blue": "0000c8", "yellow": "c8c800", "cyan": "00c8c8",
           "magenta": "c800c8", "purple": "c800c8", "white": "c8c8c8", "off": "000000"}


class Led(ledbed.Case):
    def test_a_running_leds_holds_it_after_the_verb_has_ended(self):
        self.start_all_well()
        self.start_leds()
        self.wait_for_good()
        for number, (name, colour) in enumerate(COLOURS.items()):
            self.assertEqual(self.by_hand("led", number % 8, name), "")
            self.wait_for(lambda frame, n=number, c=colour: frame["pixels"][n % 8] == c, 5, name)
        held = self.frames()[-1]
        self.assertEqual(held["words"], ledbed.GOOD, "the lights say what they said")
        self.assertEqual(held["pixels"], ["000000"] + list(COLOURS.values())[1:8])

    def test_a_light_that_has_something_else_to_say_ends_it(self):
        self.start_writer("acquire", ledbed.ACQUIRE)
        self.put("stick", **ledbed.STICK)
        self.start_leds()
        self.wait_for_good()
        self.wait_for_socket()
        self.by_hand("led", 3, "green")
        self.wait_for(lambda frame: frame["pixels"][3] == "00c800", 5, "held")
        self.put("stick", sticks=[{"id": "x", "state": "refused"}])
        self.wait_for(lambda frame: frame["pixels"][3] == "c80000", 10, "refused")

    def test_straight_it_is_one_frame_that_nobody_changes(self):
        for number, (name, colour) in enumerate(COLOURS.items()):
            self.by_hand("led", number % 8, name, "--record", self.record, "--state-dir", self.directory)
            frame = self.frames()[-1]
            self.assertEqual(len(self.frames()), number + 1)
            self.assertEqual(frame["pixels"], ["000000"] * (number % 8) + [colour] + ["000000"] * (7 - number % 8))
            self.assertEqual(frame["brightness"], 3)
        self.assertEqual(lights.letters(self.frames()[0]), "R.......")

    def test_brightness_is_that_of_the_configuration(self):
        (self.directory / "good.conf").write_text("[leds]\nbrightness = 100 %\n")
        self.by_hand("led", 0, "red", "--record", self.record, "--state-dir", self.directory)
        self.assertEqual(self.frames()[-1]["brightness"], 31)

    def test_anything_else_is_a_message_and_1(self):
        for arguments in ((), ("3",), ("8", "red"), ("-1", "red"), ("3", "orange"), ("x", "red"), ("3", "red", "4"),
                          ("3", "RED"), ("--blink",), ("07", "red")):
            message = self.by_hand("led", *arguments, status=1)
            self.assertRegex(message, "^meterstick led: .*\n$")

    def test_a_leds_that_hangs_is_waited_for_one_second(self):
        self.start_leds()
        self.wait_for_socket()
        self.leds.send_signal(signal.SIGSTOP)
        self.addCleanup(self.leds.send_signal, signal.SIGCONT)
        begin_ms = lights.now_ms()
        self.by_hand("led", 3, "red", status=1)
        self.assertLess(lights.now_ms() - begin_ms, 5000)
        self.assertGreaterEqual(lights.now_ms() - begin_ms, 1000)


if __name__ == "__main__":
    unittest.main()
