# SPDX-License-Identifier: MIT
"""
Sticks that are pulled, on a real kernel: at random moments, again and again (faults 25 to 29 of the list), and while
pixel 2 is dark, when it must do no harm at all.
"""

import itertools
import time
import unittest

import harness
import stickbed

GONE_MS = 2000       # until a stick that was pulled is not shown any more
SHORT = 4            # yanks in a short run: one for each way of choosing the moment


def setUpModule():
    stickbed.prepare_or_skip()


class Yanks(stickbed.Bed):
    def setUp(self):
        super().setUp()
        self.found = {}      # {what was going on: how many were pulled then}
        self.gone_ms = []

    def choose_moment(self, mark, how):
        """Wait for a moment of the kind `how` after a plug."""
        watch = self.guest.watch
        if how == "early":       # before it is found, while it is looked at
            time.sleep(self.random.uniform(0, 3))
        elif how == "late":      # idle, mostly
            self.wait_served(mark)
            time.sleep(self.random.uniform(0, 6))
        elif how == "light":     # blue, and then about to be mounted, or just so
            self.wait_state("writing", mark)
            time.sleep(self.random.uniform(0, 0.6))
        else:                    # mounted, and written to; or just not any more
            watch.wait(lambda kind, value: kind == "mounts" and value == "1", 90, mark, "it is mounted")
            time.sleep(self.random.uniform(0, 0.3))

    def what_goes_on(self, mark):
        """While all is frozen. "-" before the kernel has told of what was plugged: the state is still the last stick's."""
        watch = self.guest.watch
        if not watch.has(lambda kind, value: kind == "add" and value.startswith("sd"), mark):
            return "-"
        state = watch.last("state")
        return f"{state}, mounted" if watch.last("mounts") != "0" else state

    def yank(self, volume, mark, how):
        """Returns what went on then."""
        self.choose_moment(mark, how)
        self.guest.freeze()
        doing = self.what_goes_on(mark)
        self.found[doing] = self.found.get(doing, 0) + 1
        self.pull(volume)
        return doing

    def wait_unplugged(self):
        """Until the kernel has noticed: of what is faster than that it learns nothing, and no hand is."""
        self.guest.wait("! ls /sys/bus/usb/devices/*/*/host* > /dev/null 2>&1")

    def wait_gone(self, mark, doing):
        """Until the stick is not shown any more; measured from the kernel's word."""
        removed = self.guest.watch.wait(lambda kind, value: kind == "remove" and value.startswith("sd"), 30, mark,
                                        "the kernel says remove")
        gone = self.guest.watch.wait(lambda kind, value: kind == "state" and value == "-", 30,
                                     self.mark_at(removed), "the stick is gone")
        if doing == "idle":
            self.gone_ms.append(gone - removed)
        self.guest.watch.wait(lambda kind, value: kind == "mounts" and value == "0", 30, what="nothing is mounted")

    def test_25_to_29_yanked_at_random_moments_two_sticks_miss_nothing(self):
        count = max(SHORT, harness.share(200))
        self.start(meters=2, interval_ms=2000, burst_s=5)
        before = self.descriptors()
        volumes = [self.make("fat32", table="mbr"), self.make("exfat")]
        ways = itertools.cycle(("early", "late", "light", "mounted"))
        volume, mark = volumes[0], self.plug(volumes[0])
        for number in range(count):
            doing = self.yank(volume, mark, next(ways))
            begin = self.guest.watch.mark()
            volume = self.random.choice(volumes)  # the same again, or another in its place
            again = self.random.choice(("at once", "within a second", "later"))
            self.guest.thaw()
            self.wait_unplugged()                 # at once: held open under its old name, if it was mounted
            if again == "within a second":
                time.sleep(self.random.uniform(0, 0.9))
            elif again == "later" and doing != "-":
                self.wait_gone(begin, doing)
            mark = self.plug(volume)
            self.check_alive()
            if number % 10 == 0:
                self.check_nothing_beside()

        self.wait_served(mark)
        mark = self.guest.watch.mark()
        self.pull(volume)
        self.wait_gone(mark, "")
        self.assertEqual(self.descriptors(), before, "descriptors or processes are left")

        mark = self.plug(volumes[0], 1)
        self.wait_served(mark)
        self.plug(volumes[1], 2)
        harness.wait_until(lambda: len(self.wait_caught_up()) == 2, 120, "both are complete")
        rows = self.finish(*volumes, yanked=True)
        harness.figure(f"yanked {count} times ({', '.join(f'{n} {what}' for what, n in sorted(self.found.items()))}): "
                       f"0 of {rows} rows lost or double on 2 sticks, 0 bytes beside them")
        if self.gone_ms:
            harness.figure(f"a stick pulled while idle is gone from the status {max(self.gone_ms):.0f} ms later")
            self.assertLess(max(self.gone_ms), stickbed.limit(GONE_MS))


class Dark(stickbed.Bed):
    def pull_dark(self, volume):
        """Plug, wait until pixel 2 is dark, and for a moment more or none; pull. Returns the milliseconds of dark."""
        watch = self.guest.watch
        mark = self.plug(volume)
        while True:
            dark_ms = self.wait_served(mark)
            if self.random.random() < 0.5:
                time.sleep(self.random.uniform(0, 6))
            self.guest.freeze()
            if not any(word in stickbed.BUSY for word in watch.last("state").split(",")):
                break
            mark = watch.mark() - 1
            self.guest.thaw()  # too late: with the next burst
        self.pull(volume)
        mark = watch.mark()
        self.guest.thaw()
        self.assertEqual(watch.last("mounts"), "0", "dark, and mounted")
        self.assertEqual(volume.problems(), [], f"pulled when dark: {watch.records[-20:]}")
        removed = watch.wait(lambda kind, value: kind == "remove" and value.startswith("sd"), 30, mark, "remove")
        watch.wait(lambda kind, value: kind == "state" and value == "-", 30, self.mark_at(removed), "it is gone")
        return removed - dark_ms

    def test_pulled_while_pixel_2_is_dark_it_is_clean(self):
        count = max(2, harness.share(100))
        self.start(meters=2, interval_ms=1000, burst_s=5)
        volumes = [self.make("fat32"), self.make("exfat", table="gpt")]
        after_ms = [self.pull_dark(volumes[number % 2]) for number in range(count)]
        self.check_alive()
        harness.figure(f"pulled {count} times while pixel 2 was dark, {min(after_ms):.0f} ms to {max(after_ms):.0f} ms "
                       "after it turned so: fsck -n clean and no dirty bit each time")


if __name__ == "__main__":
    unittest.main()
