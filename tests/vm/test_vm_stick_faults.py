# SPDX-License-Identifier: MIT
"""Sticks that are full, damaged, slow or crowded, on a real kernel; numbers are those of the list of faults."""

import itertools
import struct
import time
import unittest

import exfat
import harness
import stickbed
import stickimage

SECTOR = stickimage.SECTOR


def setUpModule():
    stickbed.prepare_or_skip()


def fill(volume, spare):
    """A file that leaves so many bytes of a FAT volume."""
    with volume.opened() as fat:
        room = fat.cluster_count * fat.cluster_size
    volume.put("filler.bin", bytes(room - spare))


def crowd(volume, folder, count):
    """So many empty files more in a folder of a FAT32 volume; Linux reads the 65,536 entries of 2 MB of it."""
    boot = volume.read_at(0, SECTOR)
    per_cluster, reserved, fats = struct.unpack_from("<BHB", boot, 13)
    fat_sectors, root = struct.unpack_from("<I", boot, 36)[0], struct.unpack_from("<I", boot, 44)[0]
    info, size = struct.unpack_from("<H", boot, 48)[0], per_cluster * SECTOR
    with volume.opened() as fat:
        entries = fat.entries()
        clusters = [cluster for entry in entries.values() for cluster in entry.clusters]
        old = entries[folder].clusters if folder else fat.chain(root)[0]
        data = b"".join(volume.read_at(((reserved + fats * fat_sectors) * SECTOR) + (cluster - 2) * size, size)
                        for cluster in old)
    end = next((at for at in range(0, len(data), 32) if data[at] == 0), len(data))
    data = data[:end] + b"".join(struct.pack("<11sB8xHHHHI", b"%07dXTXT" % number, 0x20, 0, 0, 0x5B6B, 0, 0)
                                 for number in range(count))
    first = max([root, *clusters]) + 1
    more = list(range(first, first - (-len(data) // size) - len(old)))
    chain = [*old, *more]
    for number, cluster in enumerate(chain):
        volume.write_at((reserved + fats * fat_sectors) * SECTOR + (cluster - 2) * size,
                        data[number * size:(number + 1) * size].ljust(size, b"\0"))
    for copy in range(fats):
        for cluster, following in zip(chain, [*chain[1:], 0x0FFFFFFF]):
            volume.write_at((reserved + copy * fat_sectors) * SECTOR + 4 * cluster, struct.pack("<I", following))
    free = struct.unpack("<I", volume.read_at(info * SECTOR + 488, 4))[0]
    volume.write_at(info * SECTOR + 488, struct.pack("<II", free - len(more), chain[-1]))


def unchain(volume, folder):
    """The FAT of a FAT32 volume knows nothing of a folder's cluster, as when the power goes between entry and FAT."""
    reserved, fats = struct.unpack_from("<HB", volume.read_at(0, SECTOR), 14)
    fat_sectors, = struct.unpack_from("<I", volume.read_at(0, SECTOR), 36)
    with volume.opened() as fat:
        first = fat.entries()[folder].clusters[0]
    for copy in range(fats):
        volume.write_at((reserved + copy * fat_sectors) * SECTOR + 4 * first, bytes(4))
    volume.set_dirty()


def name_again(volume, folder, name):
    """A second file of that name on an exFAT volume, empty, as fsck.exfat leaves one of an interrupted rename."""
    text = name.encode("utf-16-le")
    with volume.opened() as tree:
        entry = tree.entries()[folder]
        data, size = tree.content(entry), tree.cluster_size
        places = [tree._cluster(number) for number in entry.clusters]
    at = next(at for at in range(0, len(data), 32) if data[at] == exfat.FILE and data[at + 35] == len(name)
              and data[at + 66:].startswith(text))
    entries = bytearray(data[at:at + 96])
    entries[33] = 1                               # no cluster
    struct.pack_into("<Q", entries, 40, 0)        # valid bytes
    struct.pack_into("<IQ", entries, 52, 0, 0)    # the first cluster, all bytes
    struct.pack_into("<H", entries, 2, exfat.set_checksum(entries))
    end = next(at for at in range(0, len(data), 32) if data[at] == 0)
    stickimage.write_at(volume.path, places[end // size] + end % size, bytes(entries))


class Full(stickbed.Bed):
    def test_30_and_31_a_full_stick_ends_with_a_whole_row_and_another_goes_on(self):
        self.start(meters=4, interval_ms=500, burst_s=5)
        time.sleep(15)  # more rows than have room
        first, second = self.make("fat16", 16 << 20), self.make("fat32")
        fill(first, 40000)
        self.wait_state("full", self.plug(first), 180)
        self.assertEqual(self.status("acquire")["state"], "running")
        self.pull(first)
        self.assertGreater(len(self.rows_of(first)), 8)  # each line is whole, or this fails
        self.assertEqual(first.fsck()[0], 0)

        self.wait_served(self.plug(second, 2))
        self.pull(second)

        # room again: the rest follows
        stickimage.run("mdel", "-i", first.path, "::/filler.bin")
        self.wait_served(self.plug(first))
        self.plug(second, 2)
        harness.wait_until(lambda: len(self.wait_caught_up()) == 2, 120, "both are complete")
        self.finish(first, second)


class Damaged(stickbed.Bed):
    def garbage(self, volume):
        """Bytes of the first sectors, of the FAT, and of the directories, at random."""
        ends = [512, 4096, 32 * SECTOR, 1 << 20, 2 << 20]
        for _ in range(self.random.choice((1, 4, 30, 300))):
            end = self.random.choice(ends)
            volume.write_at(self.random.randrange(end), self.random.randbytes(self.random.choice((1, 2, 4, 32))))
        if self.random.random() < 0.8:
            volume.write_at(510, b"\x55\xaa")

    def test_35_garbage_is_refused_or_served_and_the_kernel_lives(self):
        count = harness.share(100)
        self.start(meters=1, interval_ms=1000, burst_s=5)
        good = self.make("fat32")
        self.wait_served(self.plug(good, 8))
        seen = {}
        for number in range(count):
            batch = []
            for kind in ("fat16", "fat32", "exfat"):
                volume = self.make(kind, 16 << 20 if kind == "fat16" else 64 << 20)
                if kind != "exfat":
                    volume.put("kwhmeter/bed/m1/2026-11-20.csv", b"utc,local,quality,seq\r\n" * 500)
                self.garbage(volume)
                self.plug(volume, len(batch) + 1)
                batch.append(volume)
            self.guest.wait("test $(ls -d /sys/block/sd? | wc -l) = 4")
            # each has been looked at: it is in the list with what became of it, or no candidate at all
            end = time.monotonic() + 30
            while time.monotonic() < end:
                states = self.guest.watch.last("state").split(",")
                if len(states) == 4 and not set(states) & set(stickbed.BUSY):
                    break
                time.sleep(0.2)
            for stick in self.sticks():
                seen[stick["state"]] = seen.get(stick["state"], 0) + 1
            for volume in batch:
                self.pull(volume)
            self.guest.wait("test $(ls -d /sys/block/sd? | wc -l) = 1")
            self.check_alive()
            log = self.guest.run("dmesg | grep -E 'BUG:|Oops|Call Trace|general protection' || true")
            self.assertEqual(log, "", f"number {number}")
        self.wait_state("idle", seconds=60)
        harness.figure(f"{3 * count} fuzzed file systems: the guest's kernel lives, states seen {seen}")
        self.finish(good)

    def broken_folder(self):
        """A stick with a folder whose chain is broken; the bed is started for it."""
        self.start(meters=1, interval_ms=1000, burst_s=5)
        stick = self.make("fat32")
        stick.put(f"kwhmeter/{stickbed.APPLIANCE}/m1/2020-01-01.csv", b"utc,local,quality,seq\r\n")
        unchain(stick, f"kwhmeter/{stickbed.APPLIANCE}/m1")
        return stick

    def test_a_folder_that_needs_two_checks_has_them_before_it_is_mounted(self):
        """fsck.fat 4.2 leaves it without a cluster, and takes it away when it is called again."""
        stick = self.broken_folder()
        self.wait_served(self.plug(stick))
        self.assertNotIn("once more", self.log())
        self.assertNotIn("cannot be written to", self.log())
        self.finish(stick)

    def test_a_folder_that_another_check_has_left_so_is_mended_at_once(self):
        """It is marked clean, and only the kernel finds out."""
        stick = self.broken_folder()
        self.assertEqual(stickimage.run("fsck.fat", "-a", stick.path, status=(1,)).returncode, 1)
        self.wait_served(self.plug(stick))
        self.assertIn("once more", self.log())
        self.assertNotIn("cannot be written to", self.log())
        self.finish(stick)

    def test_a_name_that_stands_twice_stands_once_again(self):
        """What a power cut in the middle of a rename leaves on exFAT."""
        self.start(meters=1, interval_ms=1000, burst_s=5)
        stick = self.make("exfat")
        self.wait_served(self.plug(stick))
        self.wait_caught_up()
        self.pull(stick)
        self.wait_state("-")
        name_again(stick, f"kwhmeter/{stickbed.APPLIANCE}", "status.txt")
        self.assertIn(f"double: kwhmeter/{stickbed.APPLIANCE}/status.txt", stick.problems())
        self.wait_served(self.plug(stick))
        self.finish(stick)

    def test_37_an_error_at_any_sector_ends_the_burst_and_nothing_is_lost(self):
        count = max(2, harness.share(100))
        self.start(meters=2, interval_ms=1000, burst_s=5)
        volume = self.make("fat32", table="mbr")
        before = volume.path.read_bytes()
        self.wait_served(self.plug(volume))
        self.pull(volume)
        after = volume.path.read_bytes()
        written = [at // SECTOR for at in range(0, len(after), SECTOR)
                   if before[at:at + SECTOR] != after[at:at + SECTOR]]
        self.assertGreater(len(written), 3)
        seen = {}
        kinds = itertools.cycle(("write", "read"))
        boot = volume.offset // SECTOR   # where the kernel sets the dirty bit
        for number in range(count):
            self.guest.watch.wait(lambda kind, value: kind == "state" and value == "-", 60, what="no stick")
            kind, sector = next(kinds), self.random.choice([boot, *written]) if number else boot
            mark = self.plug(volume, faults=[{"event": "none", "iotype": kind, "errno": 5, "sector": sector,
                                              "once": False, "immediately": False}])
            self.guest.wait("test -b /dev/sda")
            end = time.monotonic() + 15
            while time.monotonic() < end:
                states = {value for _, what, value in self.guest.watch.records[mark:] if what == "state"}
                # it is idle before its first burst, too
                if states & set(stickbed.BUSY) and self.guest.watch.last("state") not in ("-", *stickbed.BUSY):
                    break
                time.sleep(0.1)
            result = f"{kind} {self.guest.watch.last('state')}"
            seen[result] = seen.get(result, 0) + 1
            self.pull(volume)
            self.check_alive()
        self.guest.watch.wait(lambda kind, value: kind == "state" and value == "-", 60, what="no stick")
        self.wait_served(self.plug(volume))
        self.wait_caught_up()
        self.assertIn("write failed", seen)
        harness.figure(f"I/O errors at {count} sectors: {seen}; after the next insertion nothing is missing")
        self.finish(volume)


class Slow(stickbed.Bed):
    @harness.for_full_counts
    def test_38_a_stick_that_stalls_is_slow_and_delays_no_meter(self):
        self.start(meters=1, interval_ms=500, burst_s=5)
        volume = self.make("fat32")
        self.wait_served(self.plug(volume))
        mark = self.guest.watch.mark()
        begin_ms = self.guest.boot_ms()
        self.guest.slow_down_stick(volume.name, 1)
        self.wait_state("slow", mark, 90)
        end_ms = self.guest.boot_ms()
        self.guest.slow_down_stick(volume.name, 0)
        self.guest.watch.wait(lambda kind, value: kind == "state" and value == "idle", 120, self.guest.watch.mark(),
                              "it goes on")
        self.wait_caught_up()
        self.check_alive()
        self.finish(volume)
        rows, _ = self.journal()
        times = [boot_ms for _, boot_ms in rows.values() if begin_ms <= boot_ms <= end_ms]
        late = [(boot_ms - times[0] + 250) % 500 - 250 for boot_ms in times]
        harness.figure(f"a stick that writes nothing for {(end_ms - begin_ms) / 1000:.0f} s is slow; the meter's "
                       f"slices are {max(late) - min(late)} ms apart from their beat at most")


class Crowded(stickbed.Bed):
    def sectors_read(self):
        return int(self.guest.run("cat /sys/block/sda/stat").split()[2])

    def burst(self, volume):
        """Of a stick that is plugged in anew: (ms from light to dark, bytes that were read)."""
        watch = self.guest.watch
        mark = self.plug(volume)
        self.wait_served(mark, 300)
        begin = watch.wait(lambda kind, value: kind == "state" and value == "writing", 1, mark)
        end = watch.wait(lambda kind, value: kind == "state" and value == "idle", 1, self.mark_at(begin))
        size = SECTOR * self.sectors_read()
        mark = watch.mark()
        self.pull(volume)
        watch.wait(lambda kind, value: kind == "state" and value == "-", 30, mark, "it is gone")
        return end - begin, size

    @harness.for_full_counts
    def test_42_a_hundred_thousand_files_and_odd_names_are_read_once(self):
        """
        The kernel reads a FAT directory from its begin, so a name behind 60,000 others costs 2 MB after each mount.
        More than once, or for more than the folders that we go through, would be us.
        """
        self.start(meters=1, interval_ms=1000, burst_s=300)
        plain, crowded = self.make("fat32", 1 << 30, cluster_size=4096), self.make("fat32", 1 << 30, cluster_size=4096)
        crowd(crowded, "", 60000)
        for name in ("kwhmeter/bed/\u00e4\u00f6\u00fc \u20ac.csv", "-rf", "kwhmeter/bed/m1/2026-13-99.csv",
                     "kwhmeter/bed/m1/.cursor.0 .txt", 200 * "a" + ".csv"):
            crowded.put(name, b"not ours\n")
        crowd(crowded, "kwhmeter", 40000)
        foreign = crowded.files("")
        (plain_ms, plain_size), (crowded_ms, crowded_size) = self.burst(plain), self.burst(crowded)
        harness.figure(f"a burst on a stick with 100,000 other files reads {(crowded_size - plain_size) / 1e6:.1f} MB "
                       f"more, their folders once; {crowded_ms:.0f} instead of {plain_ms:.0f} ms, emulated")
        self.assertLess(crowded_size - plain_size, 1.2 * 32 * 100000)
        self.check_alive()
        self.check_nothing_beside()
        left = crowded.files("")
        self.assertEqual({path: left.get(path) for path in foreign}, foreign)
        self.assertTrue(self.rows_of(plain).keys() < self.rows_of(crowded).keys())
        self.assertEqual(crowded.problems(), [])


class Stopped(stickbed.Bed):
    def test_43_a_stop_is_done_within_5_s_and_leaves_it_clean(self):
        count = max(2, harness.share(30))
        self.start(meters=10, interval_ms=1000, burst_s=5)
        volumes = [self.make("fat32"), self.make("exfat", table="mbr")]
        took = []
        for number in range(count):
            volume = volumes[number % 2]
            mark = self.plug(volume)
            self.wait_state("writing", mark)
            if number % 3:
                time.sleep(self.random.uniform(0, 3))
            took.append(self.stop_stick())
            self.assertFalse(volume.is_dirty())
            self.assertEqual(volume.problems(), [])
            self.assertIn('"stopped"', self.guest.run(f"cat {stickbed.RUN}/stick.json"))
            self.pull(volume)
            self.guest.wait("! test -b /dev/sda")
            self.start_stick()
        harness.figure(f"stopped {count} times with a stick in: {max(took):.1f} s at most, never dirty")
        self.assertLess(max(took), stickbed.limit(5))


class Clock(stickbed.Bed):
    @harness.for_full_counts
    def test_44_in_before_the_clock_is_known(self):
        # a Pi has no clock of its own
        self.guest.run("echo 0 > /tmp/hctosys; mount --bind /tmp/hctosys $(ls /sys/class/rtc/rtc0/hctosys); "
                       "date -s '2001-01-01 00:00:00'")
        volume = self.make("fat32")
        self.guest.plug_stick(volume.name, volume.path, 1)
        self.guest.wait("test -b /dev/sda")
        self.start(meters=1, interval_ms=1000, burst_s=5, clock="auto")
        self.wait_state("idle", seconds=120)
        harness.wait_until(lambda: any("/boot-" in path for path in self.data_files(volume)), 60, "boot-<n>.csv")
        early = self.rows_of(volume)
        self.assertTrue(early)
        self.guest.run(f"date -s @{int(time.time())}")
        harness.wait_until(lambda: not any("/boot-" in path for path in self.data_files(volume)), 60, "it is corrected")
        self.wait_caught_up()
        self.check_alive()
        self.stop_acquire()
        self.stop_stick()
        self.pull(volume)
        self.assertEqual(volume.problems(), [])
        rows = self.rows_of(volume)
        self.assertLessEqual(early.keys(), rows.keys())
        self.assertEqual(sorted(rows), sorted(self.journal()[0]))
        self.assertIn("C", {rows[seq]["quality"][0] for seq in early})
        self.check_nothing_beside()


if __name__ == "__main__":
    unittest.main()
