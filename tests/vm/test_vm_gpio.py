# SPDX-License-Identifier: MIT
"""
The two lines of the lights on a real kernel: what it traced of them is decoded back to the frames that were sent.
What an emulated chip cannot show: voltages, and the times of a real board.
"""

import re
import unittest

import gpiobed
import guest as image
import harness
import rig

PI = "pinctrl-bcm2835"
LINES = f"gpio_lines {{}} {gpiobed.DATA} {gpiobed.CLOCK} {{}}"
USER = "setpriv --reuid=meterstick --regid=meterstick --clear-groups"
LIBRARY, KERNEL = r"libgpiod \d+\.\d+(\.\d+)?", "the kernel's own interface 2"
FRAMES = [
    "3:c800c8,00c800,0000c8,010203,ffffff,000000,800000,000001",
    "31:ffffff,ffffff,ffffff,ffffff,ffffff,ffffff,ffffff,ffffff",
    "0:000000,000000,000000,000000,000000,000000,000000,000000",
    "1:000000,000000,000000,000000,000000,000000,000000,ff0000",
    "21:aa5500,00aa55,5500aa,a0b0c0,d0e0f0,102030,405060,708090",
]


def setUpModule():
    place = rig.prepare_or_skip()
    try:
        gpiobed.module(place)
    except image.Missing as missing:
        raise unittest.SkipTest(f"no GPIO chips in the guest: {missing}") from None


def random_frame(random):
    return f"{random.randrange(32)}:" + ",".join(f"{random.randrange(1 << 24):06x}" for _ in range(gpiobed.PIXELS))


class Bed(harness.Case):
    def setUp(self):
        super().setUp()
        self.guest = rig.Guest(self.directory)
        self.addCleanup(self.guest.close)
        self.guest.push("/usr/bin/gpio_lines", harness.SHIMS / "gpio_lines", 0o755)
        self.guest.push("/usr/lib/gpio_no_v1.so", harness.SHIMS / "gpio_no_v1.so", 0o755)
        gpiobed.prepare(self.guest)
        self.chips = gpiobed.Chips(self.guest)

    def begin(self, command, log="/tmp/lines"):
        """In the background; returns its process id."""
        return self.guest.run(f"{command} > {log} 2>&1 < /dev/null & echo $!")

    def end(self, pid):
        self.guest.run(f"kill {pid} 2> /dev/null; while kill -0 {pid} 2> /dev/null; do sleep 0.1; done")

    def wait_said(self, text, log="/tmp/lines"):
        return self.guest.wait(f"tail -n 1 {log} | grep -- '{text}'")

    def check_refused(self, command, error):
        """It drives nothing, and says why."""
        with gpiobed.Trace(self.guest) as trace:
            status, said = self.guest.status(command)
        self.assertEqual((status, said.strip()), (1, error))
        self.assertEqual(trace.edges, [])


class Lines(Bed):
    """board/gpio"""

    def check_frames(self, way, by, frames):
        with gpiobed.Trace(self.guest) as trace:
            said = self.guest.run(" ".join((LINES.format(way, "send"), *frames)))
        self.assertRegex(said, f"^{PI} lines 23 and 24 by {by}$")
        self.assertEqual([repr(frame) for frame in trace.frames()], frames)
        self.assertEqual(len(gpiobed.bits(trace.edges)), 324 * len(frames))
        self.assertEqual(trace.lines, {(PI, gpiobed.DATA), (PI, gpiobed.CLOCK)})  # and no other line was touched

    def test_the_frame_that_was_sent_is_on_the_wire_by_either_way(self):
        random = harness.random_source()
        self.chips.load(PI)
        for way, by in (("library", LIBRARY), ("kernel", re.escape(KERNEL)), ("any", LIBRARY)):
            with self.subTest(way=way):
                self.check_frames(way, by, FRAMES + [random_frame(random) for _ in range(harness.share(1000))])

    def test_a_kernel_without_the_first_interface_is_asked_by_the_second(self):
        self.chips.load(PI)
        with gpiobed.Trace(self.guest) as trace:
            said = self.guest.run("LD_PRELOAD=/usr/lib/gpio_no_v1.so " + LINES.format("any", "send") + " " + FRAMES[0])
        version_1 = "libgpiod 1." in self.guest.run(LINES.format("library", "send"))
        self.assertEqual(said.endswith(f"by {KERNEL}"), version_1, said)  # libgpiod 2 has never asked by the first
        self.assertEqual([repr(frame) for frame in trace.frames()], FRAMES[:1])

    def test_the_chip_is_found_among_others_by_label_or_by_names(self):
        for labels, expected in (
                (("gpio-brcmstb@107d508500", "raspberrypi-exp-gpio", "pinctrl-rp1"), "pinctrl-rp1"),
                (("raspberrypi-exp-gpio", "pinctrl-bcm2711", "pinctrl-x*"), "pinctrl-bcm2711"),
                (("gpio-brcmstb@107d508500", "pinctrl-x*"), "pinctrl-x"),
                (("gpio-brcmstb@107d508500", "raspberrypi-exp-gpio"), None)):
            with self.subTest(labels=labels):
                self.chips.load(*labels)
                command = LINES.format("any", "send") + " " + FRAMES[0]
                if expected:
                    with gpiobed.Trace(self.guest, expected) as trace:
                        said = self.guest.run(command)
                    self.assertTrue(said.startswith(f"{expected} lines 23 and 24 by "), said)
                    self.assertEqual([repr(frame) for frame in trace.frames()], FRAMES[:1])
                    self.assertEqual(trace.lines, {(expected, gpiobed.DATA), (expected, gpiobed.CLOCK)})
                else:
                    self.check_refused(command, "ENODEV")
                self.chips.unload()
        self.check_refused(command, "ENODEV")  # no chip at all

    def test_a_line_that_another_has_is_left_to_it(self):
        self.chips.load(PI)
        for way in ("library", "kernel", "any"):
            for line in (gpiobed.DATA, gpiobed.CLOCK):
                with self.subTest(way=way, line=line):
                    other = self.begin(f"gpio_lines kernel {line} 40 hold")
                    try:
                        self.wait_said(f"lines {line} and 40")
                        self.check_refused(LINES.format(way, "send") + " " + FRAMES[0], "EBUSY")
                    finally:
                        self.end(other)
                    self.guest.run(LINES.format(way, "send") + " " + FRAMES[0])

    def test_they_are_held_by_name_and_given_back(self):
        self.chips.load(PI)
        for way in ("library", "kernel"):
            with self.subTest(way=way):
                pid = self.begin(LINES.format(way, "hold") + " " + FRAMES[0])
                self.wait_said(" by ")
                held = self.guest.run("cat /sys/kernel/debug/gpio")
                self.assertEqual(len(re.findall(r"\|meterstick +\) out lo", held)), 2, held)
                self.end(pid)
                self.assertNotIn("meterstick", self.guest.run("cat /sys/kernel/debug/gpio"))

    def test_no_permission_is_said_so(self):
        self.chips.load(PI)
        command = LINES.format("any", "send") + " " + FRAMES[0]
        self.guest.run("chown root:root /dev/gpiochip0; chmod 600 /dev/gpiochip0")
        self.check_refused(f"{USER} {command}", "EACCES")
        self.guest.run("chgrp meterstick /dev/gpiochip0; chmod 660 /dev/gpiochip0")
        self.guest.run(f"{USER} {command}")
        # a sandbox that does not name the device: EPERM of the kernel
        status, said = self.guest.status("systemd-run -q --wait --pipe -p DevicePolicy=closed " + command)
        self.assertEqual((status, said.strip()), (1, "EACCES"))
        self.guest.run("systemd-run -q --wait --pipe -p DevicePolicy=closed -p DeviceAllow='char-gpiochip rw' " + command)

    def test_a_chip_that_goes_and_comes_back(self):
        self.chips.load(PI)
        for way in ("library", "kernel", "any"):
            with self.subTest(way=way):
                pid = self.begin(LINES.format(way, "repeat") + " " + FRAMES[0])
                self.wait_said(" by ")
                self.chips.take_away(pid)
                self.wait_said("ENODEV")
                with gpiobed.Trace(self.guest) as trace:
                    self.chips.give_back()
                    self.wait_said(" by ")
                    self.guest.run("sleep 1")
                    self.end(pid)
                frames = trace.frames(cut=True)
                self.assertGreater(len(frames), 1)
                self.assertEqual({repr(frame) for frame in frames}, {FRAMES[0]})


if __name__ == "__main__":
    unittest.main()
