# SPDX-License-Identifier: MIT
"""
The two lines of the lights on a real kernel: what it traced of them is decoded back to the frames that were sent.
What an emulated chip cannot show: voltages, and the times of a real board.
"""

import json
import re
import tempfile
import time
import unittest

import gpiobed
import guest as image
import harness
import lights
import rig
import unitbed

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


def drop_guest():
    if Bed.guest:
        Bed.guest.close()
        Bed.guest.where.cleanup()
        Bed.guest = None


def random_frame(random):
    return f"{random.randrange(32)}:" + ",".join(f"{random.randrange(1 << 24):06x}" for _ in range(8))


def written(frames):
    """As gpio_lines wants them."""
    return [f"{frame['brightness']}:{','.join(frame['pixels'])}" for frame in frames]


class Bed(harness.Case):
    """A test with a guest that has no chip yet; the next test has the same one, if it can be cleaned up."""

    guest = None

    def setUp(self):
        super().setUp()
        if not Bed.guest:
            directory = tempfile.TemporaryDirectory(prefix="meterstick-")
            Bed.guest = rig.Guest(directory.name)
            Bed.guest.where = directory
            gpiobed.prepare(self.guest)
            self.guest.push_programs(harness.BIN, harness.MODELS)
            for name in ("gpio_lines", "gpio_no_v1.so"):
                self.guest.push(f"/usr/bin/{name}", harness.SHIMS / name, 0o755)
            unittest.addModuleCleanup(drop_guest)
        self.chips = gpiobed.Chips(self.guest)
        self.addCleanup(self.clean)

    def clean(self):
        try:
            self.chips.unload()
        except rig.Failed:
            drop_guest()

    def begin(self, command, log="/tmp/lines"):
        """In the background; returns its process id. What is left of it ends with the test."""
        pid = self.guest.run(f"{command} > {log} 2>&1 < /dev/null & echo $!")
        self.addCleanup(self.end, pid)
        return pid

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
        self.assertEqual(written(trace.frames()), frames)
        self.assertEqual(len(gpiobed.bits(trace.edges)), 324 * len(frames))
        self.assertEqual(trace.lines, {(PI, gpiobed.DATA), (PI, gpiobed.CLOCK)})  # and no other line was touched

    def test_the_frame_that_was_sent_is_on_the_wire_by_either_way(self):
        random = harness.random_source()
        self.chips.load(PI)
        for way, by in (("library", LIBRARY), ("kernel", re.escape(KERNEL)), ("any", LIBRARY)):
            with self.subTest(way=way):
                self.check_frames(way, by, FRAMES)
                for _ in range(harness.share(100)):
                    self.check_frames(way, by, [random_frame(random) for _ in range(5)])

    def test_a_kernel_without_the_first_interface_is_asked_by_the_second(self):
        self.chips.load(PI)
        with gpiobed.Trace(self.guest) as trace:
            said = self.guest.run("LD_PRELOAD=/usr/bin/gpio_no_v1.so " + LINES.format("any", "send") + " " + FRAMES[0])
        version_1 = "libgpiod 1." in self.guest.run(LINES.format("library", "send"))
        self.assertEqual(said.endswith(f"by {KERNEL}"), version_1, said)  # libgpiod 2 has never asked by the first
        self.assertEqual(written(trace.frames()), FRAMES[:1])

    @harness.for_full_counts
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
                    self.assertEqual(written(trace.frames()), FRAMES[:1])
                    self.assertEqual(trace.lines, {(expected, gpiobed.DATA), (expected, gpiobed.CLOCK)})
                else:
                    self.check_refused(command, "ENODEV")
                self.chips.unload()
        self.check_refused(command, "ENODEV")  # no chip at all

    @harness.for_full_counts
    def test_a_line_that_another_has_is_left_to_it(self):
        self.chips.load(PI)
        for way in ("any", "kernel"):
            for line in (gpiobed.DATA, gpiobed.CLOCK):
                with self.subTest(way=way, line=line):
                    other = self.begin(f"gpio_lines kernel {line} 40 hold")
                    self.wait_said(f"lines {line} and 40")
                    self.check_refused(LINES.format(way, "send") + " " + FRAMES[0], "EBUSY")
                    self.end(other)
                    self.guest.run(LINES.format(way, "send") + " " + FRAMES[0])

    @harness.for_full_counts
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

    @harness.for_full_counts
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
        self.guest.run("systemd-run -q --wait --pipe -p DevicePolicy=closed -p DeviceAllow='char-gpiochip rw' "
                       + command)

    @harness.for_full_counts
    def test_a_chip_that_goes_and_comes_back(self):
        self.chips.load(PI)
        for way in ("any", "kernel"):
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
                self.assertEqual(set(written(frames)), {FRAMES[0]})

class Programs(Bed):
    """`leds`, `led` and `ip`, as people have them"""

    ADDRESS, SHORT = "192.168.7.10", "9.0"

    def setUp(self):
        super().setUp()
        self.guest.run("rm -rf /run/meterstick /tmp/frames; mkdir /run/meterstick")

    def now_s(self):
        return self.guest.boot_ms() / 1000

    def test_led_and_ip_by_hand(self):
        status, said = self.guest.status("meterstick led 3 blue")
        self.assertEqual((status, said.strip().count("\n")), (1, 0))
        self.assertIn("no header of a Raspberry Pi", said)

        self.chips.load(PI)
        with gpiobed.Trace(self.guest) as trace:
            self.guest.run("meterstick led 3 blue && meterstick led 0 white && meterstick led 7 off")
        self.assertEqual([lights.letters(frame) for frame in trace.frames()], ["...B....", "W.......", "........"])

        with gpiobed.Trace(self.guest) as trace:
            self.guest.run(f"meterstick ip {self.ADDRESS}", 300)
            end_s = self.now_s()
        self.assertEqual(lights.addresses(trace.frames(), end_s * 1000), [self.ADDRESS])

        other = self.begin(f"gpio_lines kernel {gpiobed.CLOCK} 40 hold")
        self.wait_said(" by ")
        status, said = self.guest.status("meterstick led 3 blue")
        self.assertEqual(status, 1)
        self.assertIn("another program has the GPIO lines", said)
        self.end(other)

    def test_leds_shows_on_the_wire_what_it_records(self):
        self.chips.load(PI)
        with gpiobed.Trace(self.guest) as trace:
            pid = self.begin("meterstick leds --read-outs 0 --blinkt --record /tmp/frames")
            self.guest.wait("test -S /run/meterstick/leds.sock && test -s /tmp/frames")
            for _ in range(4):  # `leds` goes by the clock: where the machine stood still, a digit is too short to read
                self.ask_and_wait()
                if self.SHORT in lights.addresses(self.recorded()):
                    break
            self.guest.run("meterstick led 3 blue")  # which would lie above the digits
            harness.wait_until(lambda: self.is_blue(self.recorded()), 60, "light 3 is blue")
            self.end(pid)
            end_s = self.now_s()
        frames = trace.frames()
        self.assertIn(self.SHORT, lights.addresses(frames, end_s * 1000))
        recorded = self.recorded()
        self.assertGreater(len(frames), 10)
        self.assertEqual(written(frames), written(recorded))
        late_ms = max(frame["boot_ms"] - record["boot_ms"] for frame, record in zip(frames, recorded))
        print(f"{len(frames)} frames; on the wire after {late_ms:.0f} ms at most")
        self.assertTrue(self.is_blue(frames))

    def is_blue(self, frames):
        return any(lights.letters(frame)[3] == "B" and lights.kind(frame) == "status" for frame in frames)

    def ask_and_wait(self):
        """Have the address read out, until all of it was."""
        before = len(lights.addresses(self.recorded()))
        self.guest.run(f"meterstick ip {self.SHORT}")
        end = time.monotonic() + 75
        while len(lights.addresses(self.recorded())) == before and time.monotonic() < end:
            time.sleep(2)

    def recorded(self):
        return [json.loads(line) for line in self.guest.pull("/tmp/frames").decode().split("\n")[:-1]]

    @harness.for_full_counts
    def test_leds_goes_on_without_its_chip_and_takes_it_up_again(self):  # fault 64
        pid = self.begin("meterstick leds --read-outs 0 --blinkt --record /tmp/frames")
        self.guest.wait("test -s /tmp/frames")
        self.chips.load(PI)
        for _ in range(2):
            self.wait_log(f"Blinkt: {PI}")
            self.chips.take_away(pid)
            self.wait_log("no lights on a Blinkt: this machine has no header of a Raspberry Pi")
            with gpiobed.Trace(self.guest) as trace:
                self.chips.give_back()
                self.wait_log(f"Blinkt: {PI}")
            frames = trace.frames(cut=True)
            self.assertIn(written(frames)[0], written(self.recorded()))
        self.assertEqual(self.guest.run("grep -c 'no lights on a Blinkt' /tmp/lines"), "3")
        self.end(pid)
        self.guest.run("meterstick led 3 blue")  # the lines were given back

    def wait_log(self, text):
        """Until the last of the lines about a Blinkt has that text."""
        self.guest.wait(f"grep Blinkt /tmp/lines | tail -n 1 | grep -F '{text}'", 180)


class Unit(harness.Case):
    """The shipped unit, in its sandbox"""

    UNIT = unitbed.unit("leds")
    LAST = "R......."   # the last word, whatever ended it

    def setUp(self):
        super().setUp()
        self.guest = rig.Guest(self.directory)
        self.addCleanup(self.guest.close)
        gpiobed.prepare(self.guest)
        unitbed.install(self.guest)
        gpiobed.Chips(self.guest).load(PI)

    def wait_begun(self, times):
        self.guest.wait(f"test $(journalctl -b -u {self.UNIT} | grep -c 'Blinkt: {PI} lines 23 and 24') = {times}", 120)

    def test_the_unit_drives_the_lines_and_has_the_last_word(self):
        self.assertEqual(self.guest.run("stat -c '%G %a' /dev/gpiochip0"), "gpio 660")  # by our rule
        with gpiobed.Trace(self.guest) as trace:
            self.guest.run(f"systemctl start {self.UNIT}", 120)
            self.wait_begun(1)
            self.guest.run(f"systemctl stop {self.UNIT}", 60)
        seen = [lights.letters(frame) for frame in trace.frames()]
        self.assertGreater(len(seen), 1)
        self.assertEqual(seen[-1], self.LAST)
        self.assertEqual(trace.lines, {(PI, gpiobed.DATA), (PI, gpiobed.CLOCK)})

        self.guest.run(f"systemctl start {self.UNIT}", 120)
        self.wait_begun(2)
        # it stands still, at whatever bit, and is killed
        self.guest.run(f"kill -STOP $(systemctl show --value -p MainPID {self.UNIT})")
        with gpiobed.Trace(self.guest) as trace:
            self.guest.run(f"systemctl kill -s KILL --kill-who=main {self.UNIT}")
            self.wait_begun(3)
            self.guest.run(f"systemctl stop {self.UNIT}", 60)
        seen = [lights.letters(frame) for frame in trace.frames()]
        self.assertEqual((seen[0], seen[-1]), (self.LAST, self.LAST))
        self.assertGreater(len(seen), 2)


if __name__ == "__main__":
    unittest.main()
