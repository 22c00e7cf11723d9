# SPDX-License-Identifier: MIT
"""That the time line finds a lie: frames that were never shown."""

import unittest

import timeline
from timeline import BLUE, CYAN, DARK, GREEN, PURPLE, RED, WHITE

WORDS = ["running", "all read", "no", "current", "known", "none", "none", "n/a"]
PIXELS = [PURPLE, GREEN, DARK, WHITE, GREEN, DARK, DARK, DARK]


def frame(at_ms, changes=None):
    """changes: {pixel: (word, colour)} against all is well."""
    words, pixels = list(WORDS), list(PIXELS)
    for pixel, (word, colour) in (changes or {}).items():
        words[timeline.PIXELS.index(pixel)], pixels[timeline.PIXELS.index(pixel)] = word, colour
    return {"boot_ms": at_ms, "brightness": 3, "pixels": pixels, "words": words}


def blinking(begin_ms, end_ms, pixel, word, colours=(RED, DARK)):
    return [frame(at_ms, {pixel: (word, colours[at_ms // 500 % 2])}) for at_ms in range(begin_ms, end_ms, 500)]


class TimeLine(unittest.TestCase):
    def check(self, frames, *spans, end_ms=60000):
        """spans: (begin_ms, words)"""
        line = timeline.TimeLine()
        for begin_ms, words in spans:
            line.now("it happens", words)
            line.spans[-1] = line.spans[-1]._replace(begin_ms=begin_ms)
        line.check(frames, end_ms)

    def lie(self, said, *arguments, **options):
        with self.assertRaisesRegex(AssertionError, said):
            self.check(*arguments, **options)

    def test_what_is_right_in_time_is_right(self):
        self.check([frame(0), *blinking(19900, 40000, "meters", "failed"), frame(41000)],
                   (0, {"meters": "all read"}), (10000, {"meters": "failed"}), (40000, {"meters": "all read"}))

    def test_what_is_right_too_late_is_a_lie(self):
        self.lie("too late", [frame(0), *blinking(20100, 40000, "meters", "failed")],
                 (0, {"meters": "all read"}), (10000, {"meters": "failed"}))

    def test_what_never_comes_is_a_lie(self):
        self.lie("never right", [frame(0)], (0, {"meters": "all read"}), (10000, {"meters": "failed"}))

    def test_what_does_not_stay_right_is_a_lie(self):
        self.lie("right before", [frame(0), *blinking(12000, 15000, "meters", "failed"), frame(15000)],
                 (0, {"meters": "all read"}), (10000, {"meters": "failed"}))

    def test_a_false_alarm_is_a_lie(self):
        self.lie("right before", [frame(0), *blinking(5000, 6000, "clock", "unknown"), frame(6000)],
                 (0, {"clock": "known"}))

    def test_what_nobody_said_before_or_after_is_a_lie(self):
        self.lie("neither", [frame(0), frame(12000, {"stick": ("behind", CYAN)}), frame(13000, {"stick": ("none", DARK)})],
                 (0, {"stick": "current"}), (10000, {"stick": "none"}))

    def test_what_is_right_by_chance_may_still_turn(self):
        spans = (0, {"meters": {"all read", "silent"}}), (10000, {"meters": {"all read", "failed"}})
        short = [frame(0), *blinking(12000, 14000, "meters", "silent"), *blinking(14000, 50000, "meters", "failed")]
        self.check(short, *spans)
        self.lie("right before", [frame(0), *blinking(21000, 50000, "meters", "silent")], *spans)


class Colours(unittest.TestCase):
    def test_blinks_numbers_and_bars_are_what_they_are(self):
        one = frame(40000, {"meters": ("silent", DARK)})
        one["pixels"] = [RED] + [DARK] * 7
        bar = frame(42000, {"stick": ("behind", CYAN)})
        bar["pixels"] = [WHITE] * 3 + [BLUE] * 5
        timeline.check_colours([frame(0), *blinking(10000, 40000, "meters", "failed"), one, bar, frame(44000)], 60000)

    def test_another_colour_is_a_lie(self):
        with self.assertRaisesRegex(AssertionError, "means 'failed'"):
            timeline.check_colours([frame(0), frame(1000, {"meters": ("failed", GREEN)})], 60000)

    def test_a_failure_that_does_not_blink_is_a_lie(self):
        with self.assertRaisesRegex(AssertionError, "should blink"):
            timeline.check_colours([frame(0), frame(1000, {"meters": ("failed", RED)})], 60000)

    def test_a_failure_that_something_else_hides_is_a_lie(self):
        hidden = frame(1000, {"meters": ("failed", DARK)})
        hidden["pixels"] = [BLUE] + [DARK] * 7
        with self.assertRaisesRegex(AssertionError, "something else"):
            timeline.check_colours([frame(0), hidden], 60000)


if __name__ == "__main__":
    unittest.main()
