# SPDX-License-Identifier: MIT
"""
The lights on the lines of an emulated Raspberry Pi 3, through the kernel's own driver of its chip, pinctrl-bcm2835:
what the kernel traced of lines 23 and 24 is decoded back to the frames that were sent.
"""

import json
import tempfile
import unittest

import gpiobed
import guest as image
import harness
import lights
import pi

LINES = f"gpio_lines {{}} {gpiobed.DATA} {gpiobed.CLOCK} {{}}"
ADDRESS = "192.168.7.10"


def setUpModule():
    try:
        pi.prepare()
    except image.Missing as missing:
        raise unittest.SkipTest(f"no emulated Pi here: {missing}") from None


def random_frame(random):
    return f"{random.randrange(32)}:" + ",".join(f"{random.randrange(1 << 24):06x}" for _ in range(8))


class Board(harness.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        directory = tempfile.TemporaryDirectory(prefix="meterstick-")
        cls.addClassCleanup(directory.cleanup)
        cls.board = pi.Pi(directory.name)
        cls.addClassCleanup(cls.board.close)
        gpiobed.prepare(cls.board)

    def check_lines(self, trace):
        """Ours, and no other of the header's."""
        self.assertEqual({line for chip, line in trace.lines if chip == trace.label and line < 28},
                         {gpiobed.DATA, gpiobed.CLOCK})

    def test_the_frame_that_was_sent_is_on_the_wire_by_either_way(self):
        random = harness.random_source()
        for way in ("library", "kernel", "any"):
            with self.subTest(way=way):
                for _ in range(harness.share(20)):
                    self.check_frames(way, [random_frame(random) for _ in range(5)])

    def check_frames(self, way, frames):
        with gpiobed.Trace(self.board) as trace:
            said = self.board.run(" ".join((LINES.format(way, "send"), *frames)))
        self.assertRegex(said, "^pinctrl-bcm2835 lines 23 and 24 by (libgpiod|the kernel's own interface) ")
        self.assertEqual([f"{frame['brightness']}:{','.join(frame['pixels'])}" for frame in trace.frames()], frames)
        self.check_lines(trace)

    def test_a_line_that_another_has_is_left_to_it(self):
        other = self.board.run(f"gpio_lines kernel {gpiobed.CLOCK} 25 hold > /tmp/other 2>&1 < /dev/null & echo $!")
        self.board.wait("grep -q ' by ' /tmp/other")
        with gpiobed.Trace(self.board) as trace:
            status, said = self.board.status("meterstick-led 3 blue")
        self.assertEqual(status, 1)
        self.assertIn("another program has the GPIO lines 23 and 24", said)
        self.assertFalse({gpiobed.DATA, gpiobed.CLOCK} & {line for _, line, _ in trace.edges})
        self.board.run(f"kill {other}; while kill -0 {other} 2> /dev/null; do sleep 0.1; done")

    def test_led_and_ip_are_read_back_from_the_lines(self):
        with gpiobed.Trace(self.board) as trace:
            self.board.run("meterstick-led 3 blue && meterstick-led 0 white && meterstick-led 7 off")
        self.assertEqual([lights.letters(frame) for frame in trace.frames()], ["...B....", "W.......", "........"])
        self.check_lines(trace)

        with gpiobed.Trace(self.board) as trace:
            self.board.run(f"meterstick-ip {ADDRESS}", 300)
            end_ms = self.board.boot_ms()
        self.assertEqual(lights.addresses(trace.frames(), end_ms), [ADDRESS])

    def test_leds_shows_on_the_lines_what_it_records(self):
        with gpiobed.Trace(self.board) as trace:
            pid = self.board.run("meterstick-leds --read-outs 0 --blinkt --record /tmp/frames > /tmp/log 2>&1 "
                                 "< /dev/null & echo $!")
            self.board.wait("test $(wc -l < /tmp/frames) -ge 12")
            self.board.run(f"kill {pid}; while kill -0 {pid} 2> /dev/null; do sleep 0.1; done")
        recorded = [json.loads(line) for line in self.board.pull("/tmp/frames").decode().split("\n")[:-1]]
        frames = trace.frames()
        self.assertEqual([(frame["brightness"], frame["pixels"]) for frame in frames],
                         [(frame["brightness"], frame["pixels"]) for frame in recorded])
        self.assertIn("Blinkt: pinctrl-bcm2835 lines 23 and 24 by libgpiod", self.board.run("cat /tmp/log"))
        self.check_lines(trace)


if __name__ == "__main__":
    unittest.main()
