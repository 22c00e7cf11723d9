# SPDX-License-Identifier: MIT
"""
Which sticks are found, and what is told of each, on a real kernel with udev: partition tables, several at once, disks
of the system, what is not for us, and dips. Numbers are those of the list of faults.
"""

import hashlib
import re
import time
import unittest

import harness
import rig
import stickbed
import stickimage

MB = 1 << 20
NOT_OURS = ("ext4", "ntfs", "luks", "blank")
DIPS = 4
HUB = "/sys/bus/usb/drivers/hub"


def setUpModule():
    stickbed.prepare_or_skip()


def digest(volume):
    return hashlib.sha256(volume.path.read_bytes()).hexdigest()


class Sticks(stickbed.Bed):
    def states(self):
        """{id: state} of the status file as it is now."""
        return {stick["id"]: stick["state"] for stick in self.sticks()}

    def wait_sticks(self, *ids, seconds=90):
        """Until these are in, idle and up to date, and no others."""
        def look():
            try:
                sticks = self.sticks()
            except (rig.Failed, ValueError):
                return False
            return {stick["id"] for stick in sticks} == set(ids) and all(
                stick["state"] == "idle" and stick["backlog"] == 0 for stick in sticks)
        end = time.monotonic() + seconds
        while not look():
            if time.monotonic() > end:
                self.fail(f"{self.sticks()}, not {ids}; {self.log()}")
            time.sleep(0.2)

    def wait_states(self, states, seconds=120):
        """Until the sticks have these states, in any order. Returns the sticks."""
        end = time.monotonic() + seconds
        while True:
            try:
                sticks = self.sticks()
            except (rig.Failed, ValueError):
                sticks = []
            if sorted(stick["state"] for stick in sticks) == sorted(states):
                return sticks
            if time.monotonic() > end:
                self.fail(f"{sticks}, not {states}; {self.log()}")
            time.sleep(0.2)

    def check_all_there(self, *volumes):
        """After acquire was stopped: these have exactly the rows of the journal. Whether a slice was missed is another
        test's: this one keeps the machine busy."""
        journal = self.journal()[0]
        self.assertGreater(len(journal), 0)
        for volume in volumes:
            self.assertEqual(self.rows_of(volume).keys(), journal.keys(), volume.path.name)

    def wait_bursts(self, count, seconds=90):
        """Until so many sticks have had another burst, each."""
        mark = self.guest.watch.mark()

        def done():
            states = [value.split(",") for _, kind, value in self.guest.watch.records[mark:] if kind == "state"]
            return bool(states) and set(states[-1]) == {"idle"} and all(
                any(len(state) == count and state[i] == "writing" for state in states) for i in range(count))
        harness.wait_until(done, seconds, f"{count} sticks have another burst; {self.log()}")

    def end(self, *volumes, bursts=0):
        """
        Stop both, look at all that is left. bursts: so many sticks have one before the last, for which there are but
        four seconds, however many there are and however slow the machine.
        """
        self.check_alive()
        self.stop_acquire()
        if bursts:
            self.wait_bursts(bursts)
        self.stop_stick()
        for name in list(self.guest.sticks):
            self.guest.unplug_stick(name)
        self.check_nothing_beside()
        for volume in volumes:
            self.assertEqual(volume.problems(), [], volume.path.name)
        self.check_all_there(*volumes)

    def stick_events(self):
        """After acquire was stopped: the texts of the events of sticks."""
        return [text for code, text in self.journal()[1] if code == "stick"]

    def test_39_four_at_once_in_at_the_start_and_later(self):
        """A whole disk, MBR, GPT, and four partitions of which two are for us."""
        whole = self.make("fat32")
        mbr = self.make("exfat", table="mbr")
        gpt = self.make("fat32", table="gpt")
        mixed = stickimage.make_disk(self.directory / "mixed.img", [("ext4", 16 * MB), ("fat32", 64 * MB),
                                                                   ("blank", 4 * MB), ("exfat", 16 * MB)])
        self.plug(whole, 1)
        self.start()
        self.wait_sticks(whole.id())
        self.plug(mbr, 2)
        self.plug(gpt, 3)
        self.guest.plug_stick("mixed", mixed[0].path, 4)
        ids = [volume.id() for volume in (whole, mbr, gpt, mixed[1], mixed[3])]
        self.wait_sticks(*ids)
        self.assertEqual(len(self.descriptors()), 8)   # the parent, these five, and two that say no

        self.pull(mbr)  # which is nothing to the others
        self.wait_sticks(*(name for name in ids if name != mbr.id()))
        self.end(whole, gpt, mixed[1], mixed[3], bursts=4)
        self.assertEqual(mbr.problems(), [])
        events = self.stick_events()
        told = [text for text in events if text.endswith(": in") and whole.id() not in text]  # it may be from before
        self.assertEqual(sorted(told), sorted(f"{name}: in" for name in ids if name != whole.id()), events)
        self.assertEqual([text for text in events if "refused" in text], [])

    def test_36_what_is_not_for_us_is_told_once_with_the_reason(self):
        volumes = [self.make(kind, 16 * MB) for kind in NOT_OURS]
        protected = self.make("fat32")
        before = [digest(volume) for volume in (*volumes, protected)]
        self.start(burst_s=5)
        for port, volume in enumerate(volumes, 1):
            self.plug(volume, port)
        self.plug(protected, 5, read_only=True)
        expect = 4 * ["refused"] + ["readonly"]  # in whatever order the kernel finds them
        sticks = self.wait_states(expect)
        errors = {stick["error"] for stick in sticks}
        self.assertEqual(len(errors), 5)
        for word in ("ext4", "NTFS", "LUKS", "write-protected"):
            self.assertEqual(len([error for error in errors if word in error]), 1, errors)
        self.assertIsNone(self.status()["error"])
        said = self.guest.status("meterstick status")
        self.assertEqual(said[0], 1)
        for stick in sticks:
            self.assertRegex(said[1], f"{stick['id']}: [a-z]+ \\({re.escape(stick['error'])}\\)")

        time.sleep(12)  # two more bursts, in which each is tried again
        self.assertEqual([stick["error"] for stick in self.wait_states(expect)], [stick["error"] for stick in sticks])
        log = self.guest.run("journalctl -q -u stick --no-pager -o cat")
        self.check_alive()
        self.stop_acquire()
        self.stop_stick()
        events = self.stick_events()
        for stick in sticks:
            ours = [text for text in events if text.startswith(f"{stick['id']}: ")]
            self.assertEqual(ours, [f"{stick['id']}: in, {stick['state']} ({stick['error']})"], events)
            self.assertEqual(log.count(stick["error"]), 1, log)
        for volume in (*volumes, protected):
            self.pull(volume)
        self.assertEqual([digest(volume) for volume in (*volumes, protected)], before)

    @harness.for_full_counts
    def test_a_disk_of_the_system_is_never_touched(self):
        system, persons, ours = self.make("fat32", table="mbr"), self.make("fat32", table="mbr"), self.make("fat32")
        self.configure()
        self.plug(system, 1)
        self.guest.wait("test -b /dev/sda1")
        self.plug(persons, 2)
        self.guest.wait("test -b /dev/sdb1")
        self.guest.run("mkdir -p /srv/data /media/pi/HERS; mount -o ro /dev/sda1 /srv/data; "
                       "mount -o ro /dev/sdb1 /media/pi/HERS")
        before = digest(system), digest(persons)
        self.start_unit("acquire")
        self.guest.wait(f"test -s {stickbed.STATE}/good.conf && test -d {stickbed.STATE}/journal")
        self.start_stick()
        self.plug(ours, 3)
        used = next(stick for stick in self.wait_states(["refused", "idle"]) if stick["state"] == "refused")
        self.assertEqual((used["node"], used["error"]), ("/dev/sdb1", "in use: mounted on /media/pi/HERS"))
        self.assertNotIn("sda", str(self.sticks()))
        self.assertEqual((digest(system), digest(persons)), before)

        self.guest.run("umount /media/pi/HERS")  # now it is a stick as any other
        self.wait_sticks(persons.id(), ours.id())
        self.guest.run("umount /srv/data")
        self.wait_sticks(system.id(), persons.id(), ours.id())
        self.end(system, persons, ours)

    def kernel_time(self, text):
        """Of the kernel's first line with that text, in s."""
        line = self.guest.run(f"dmesg | grep -m 1 'usb 2-1: .*{text}'")
        return float(line.partition("[")[2].partition("]")[0])

    def test_27_dips_are_one_stick_and_leave_nothing_behind(self):
        volume = self.make("fat32", table="mbr")
        self.start(burst_s=5)
        self.plug(volume, 1)
        self.wait_sticks(volume.id())
        parent, before = str(self.pids["stick"]), self.descriptors()
        count, dips = max(DIPS, harness.share(100)), 0
        for _ in range(count):
            mark = self.guest.watch.mark()
            self.guest.run(f"dmesg --clear; echo 2-0:1.0 > {HUB}/unbind; echo 2-0:1.0 > {HUB}/bind")
            self.guest.watch.wait(lambda kind, value: kind == "add" and value.startswith("sd") and value[-1] == "1", 90,
                                  mark, "it is back")
            self.guest.watch.wait(lambda kind, value: kind == "state" and value == "writing", 90,
                                  self.guest.watch.mark(), "it is served")
            self.wait_sticks(volume.id())
            if self.kernel_time("New USB device found") - self.kernel_time("USB disconnect") > 1:
                continue  # longer than a dip is: this machine has other things to do
            dips += 1
            states = [value for _, kind, value in list(self.guest.watch.records)[mark:] if kind == "state"]
            self.assertNotIn("-", states, f"dip {dips}; {self.log()}")
        after = self.descriptors()
        self.assertEqual(len(after), 2)
        self.assertLessEqual(after[parent], before[parent] + 1)  # a status file that is just being written
        self.assertLessEqual(max(after.values()), max(before.values()) + 1)
        self.end(volume)
        if dips == count:
            self.assertEqual(self.stick_events(), [f"{volume.id()}: in"])
        harness.figure(f"{count} times off a hub and on again, {dips} were dips: no descriptor, process, mount left")

    @harness.for_full_counts
    def test_once(self):  # ES-17
        self.configure()
        self.start_unit("acquire")
        self.guest.wait(f"test -s {stickbed.STATE}/good.conf && ls {stickbed.STATE}/journal/*.db")
        status, said = self.guest.status("meterstick stick --once")
        self.assertEqual(status, 1)
        self.assertIn("Error writing the log file.", said)

        self.guest.push("/usr/lib/udev/rules.d/60-meterstick.rules", harness.SOURCE / "board" / "60-meterstick.rules")
        self.guest.run("udevadm control --reload")
        one, two = self.make("fat32", table="gpt"), self.make("exfat")
        self.plug(one, 1)
        self.plug(two, 2)
        self.guest.wait("test -b /dev/sda1 -a -b /dev/sdb && udevadm settle")
        for node in ("sda1", "sdb"):  # so that no desktop mounts it
            self.guest.wait(f"udevadm info --query=property /dev/{node} | grep UDISKS_AUTO=0")
        self.assertNotIn("UDISKS_AUTO", self.guest.run("udevadm info --query=property /dev/vda"))
        self.guest.run("meterstick stick --once")
        self.assertNotEqual(self.guest.status("mountpoint -q /run/meterstick/sticks/sda1")[0], 0)
        bad = self.make("ext4", 16 * MB)
        self.plug(bad, 3)
        self.guest.wait("test -b /dev/sdc && udevadm settle")
        self.assertEqual(self.guest.status("meterstick stick --once")[0], 1)
        self.stop_acquire()
        self.pull(bad)
        self.guest.wait("! test -b /dev/sdc")
        self.guest.run("meterstick stick --once")
        for volume in (one, two):
            self.pull(volume)
            self.assertEqual(volume.problems(), [])
        self.check_nothing_beside()
        self.check_all_there(one, two)


if __name__ == "__main__":
    unittest.main()
