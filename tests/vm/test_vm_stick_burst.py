# SPDX-License-Identifier: MIT
"""
One stick, mounted for its bursts only, on a real kernel: what is seen of it meanwhile, what is refused, checked and
repaired, and what remains when it is killed. In the sandbox of the unit, as a user with one capability. Numbers are
those of the list of faults.
"""

import hashlib
import struct
import time
import unittest

import harness
import stickbed
import stickimage

PROGRAM = "/usr/bin/one_stick"  # where the models are found from
POINT = f"{stickbed.RUN}/sda"
SECTOR = stickimage.SECTOR
SANDBOX = stickbed.STICK.replace("ExecStart=/usr/bin/meterstick stick\n", "")
FSCK = """#!/bin/sh
(id -u; grep -E '^(CapEff|CapPrm|CapBnd|CapAmb|NoNewPrivs)' /proc/self/status; env; ls -l /proc/self/fd; echo "$@") \\
    > /run/meterstick/fsck.txt 2>&1
exec sleep 1000
"""


def setUpModule():
    stickbed.prepare_or_skip()


class BurstBed(stickbed.Bed):
    """A guest that logs; serve() begins to serve /dev/sda."""

    def setUp(self):
        super().setUp()
        self.guest.push(PROGRAM, harness.SHIMS / "one_stick", 0o755)
        self.configure(meters=2, interval_ms=1000, burst_s=5)
        self.start_unit("acquire")
        self.guest.wait(f"test -s {stickbed.STATE}/good.conf && test -d {stickbed.STATE}/journal")

    @staticmethod
    def kinds(every_day, others):
        """Those of every day, and the others when all is counted."""
        return every_day + (others if harness.share(100) >= 100 else ())

    def plugged(self, volume, **options):
        """Plug it, and wait until it may be opened."""
        self.guest.plug_stick(volume.name, volume.path, 1, **options)
        self.guest.wait("test \"$(stat -c %G /dev/sda)\" = disk; udevadm settle")

    def serve(self, limit_ms=120000, unit=SANDBOX, node="/dev/sda"):
        self.guest.push("/run/systemd/system/stick.service",
                        f"{unit}ExecStart={PROGRAM} {node} {stickbed.RUN} {limit_ms}\n")
        self.guest.run(f"systemctl daemon-reload; systemctl reset-failed stick; rm -f {stickbed.RUN}/stick.json")
        mark = self.guest.watch.mark()
        self.start_stick()
        return mark

    def stick(self):
        return self.sticks()[0]

    def states(self, mark):
        return [value for _, kind, value in self.guest.watch.records[mark:] if kind == "state"]

    def wait_error(self, state, words):
        """Until the stick is in that state, for that reason."""
        harness.wait_until(lambda: self.stick()["state"] == state and words in self.stick()["error"], 60,
                           f"{state}: {words}; {self.guest.run(f'cat {stickbed.RUN}/stick.json')} {self.log()}")

    def stop_and_pull(self, volume):
        self.stop_stick()
        self.pull(volume)
        self.guest.wait("! test -e /dev/sda")

    def check_host_sees_nothing(self):
        """No mount, and an empty directory that only its owner enters."""
        self.check_nothing_beside()
        self.assertEqual(self.guest.run(f"stat -c '%a %U' {POINT}; ls -A {POINT}"), "700 meterstick")

    @staticmethod
    def digest(volume):
        return hashlib.sha256(volume.path.read_bytes()).hexdigest()


class Bursts(BurstBed):
    def test_rows_arrive_and_it_is_clean_between_two_bursts(self):
        sizes = {"fat32": 256 << 20, "exfat": 64 << 20, "fat16": 32 << 20, "fat12": 4 << 20}
        for kind in self.kinds(("fat32", "exfat"), ("fat16", "fat12")):
            volume = self.make(kind, sizes[kind])
            self.plugged(volume)
            mark = self.serve()
            self.wait_served(mark)
            self.assertEqual(self.stick()["id"], volume.id())
            self.check_host_sees_nothing()
            self.assertIn("CapEff:\t0000000000200000", self.guest.run(f"cat /proc/{self.pids['stick']}/status"))
            reads = []
            for _ in range(3):
                before = self.sectors_read()
                self.wait_served(self.guest.watch.mark())
                reads.append((self.sectors_read() - before) / 2)
            self.guest.freeze()
            self.assertFalse(volume.is_dirty())
            self.assertEqual(volume.problems(), [])
            rows = len(self.rows_of(volume))
            self.guest.thaw()
            self.assertGreater(rows, 5)
            self.check_lights(mark)
            self.check_host_sees_nothing()
            self.stop_and_pull(volume)
            self.assertEqual(volume.problems(), [])
            self.assertGreaterEqual(len(self.rows_of(volume)), rows)
            harness.figure(f"a burst on {kind} reads {sorted(reads)[1]:.0f} KiB")
            self.assertLess(sorted(reads)[1], 100)
        self.stop_acquire()
        self.plugged(volume)
        self.wait_served(self.serve())
        self.stop_and_pull(volume)
        self.check_complete(volume)

    def sectors_read(self):
        return int(self.guest.run("awk '{print $3}' /sys/block/sda/stat"))

    def check_lights(self, mark):
        """The light is lit at least 250 ms before a mount; what the watch sees late, on a busy machine, counts less."""
        since, leads = None, []
        for boot_ms, kind, value in self.guest.watch.records[mark:]:
            if kind == "state":
                since = boot_ms if value == "writing" else None
            elif kind == "mounts" and value == "1" and since is not None:
                leads.append(boot_ms - since)
        self.assertTrue(leads)
        self.assertGreater(max(leads), 240)

    @harness.for_full_counts
    def test_32_and_36_what_is_refused_is_not_touched(self):
        refused = [("fat32", None, "readonly", "write-protected"),
                   ("ntfs", None, "refused", "NTFS: only FAT and exFAT are written"),
                   ("fat32", "mbr", "refused", "a disk with partitions: only FAT and exFAT are written")]
        for kind, table, state, words in refused:
            volume = self.make(kind, 64 << 20, table=table)
            before = self.digest(volume)
            self.plugged(volume, read_only=state == "readonly")
            self.serve()
            self.wait_error(state, words)
            self.assertEqual(self.stick()["id"], volume.id() if state == "readonly" else "sda")
            self.check_nothing_beside()
            self.stop_and_pull(volume)
            self.assertEqual(self.digest(volume), before)

        # in use by another program, and dirty for that: no fsck
        volume = self.make("fat32")
        volume.set_dirty()
        self.plugged(volume)
        self.guest.wait("mount -t vfat /dev/sda /mnt")  # its node may go once more while the kernel counts partitions
        self.guest.run("echo precious > /mnt/theirs.txt && sync")
        mark = self.serve()
        self.wait_error("refused", "in use by another program")
        time.sleep(6)  # another burst
        self.assertNotIn("checking", self.states(mark))
        self.assertEqual(self.guest.run("ls /mnt; cat /mnt/theirs.txt"), "theirs.txt\nprecious")
        self.guest.run("umount /mnt")
        self.wait_served(self.guest.watch.mark())
        self.stop_and_pull(volume)
        self.assertEqual(volume.read("theirs.txt"), b"precious\n")
        self.assertEqual(volume.problems(), [])


class Checks(BurstBed):
    def break_chain(self, volume):
        """A file whose size is beyond its chain, as a pull leaves it: the kernel gives EIO for it."""
        volume.put("kwhmeter/torn.csv", b"0123456789abcdef" * 1024)
        with volume.opened() as fat:
            first = fat.entries()["kwhmeter/torn.csv"].clusters[0]
        reserved, fats = struct.unpack_from("<HB", volume.read_at(0, SECTOR), 14)
        size = struct.unpack_from("<I", volume.read_at(0, SECTOR), 36)[0]
        for copy in range(fats):
            volume.write_at((reserved + copy * size) * SECTOR + 4 * first, struct.pack("<I", 0x0FFFFFFF))

    def test_33_a_pulled_stick_is_repaired_first(self):
        for kind in self.kinds(("fat32",), ("exfat", "fat16", "windows", "boot")):
            size = 32 << 20 if kind == "fat16" else 64 << 20
            volume = self.make({"windows": "fat32", "boot": "exfat"}.get(kind, kind), size)
            if kind == "windows":
                volume.write_at(32 * SECTOR + 4, struct.pack("<I", 0x07FFFFFF))  # its own bit, in the FAT
            elif kind == "boot":
                volume.write_at(3 * SECTOR + 17, b"\1")                          # which the checksum tells
            else:
                volume.set_dirty()
            if kind == "fat32":
                self.break_chain(volume)
            self.plugged(volume)
            mark = self.serve()
            if kind == "boot":
                # which newer versions of fsck.exfat repair unasked
                harness.wait_until(lambda since=mark: "checking" in self.states(since)
                                   and self.stick()["state"] in ("idle", "refused"), 60, "it is refused or served")
                if self.stick()["state"] == "refused":
                    self.wait_error("refused", "damaged: fsck.exfat could not repair it")
                    self.stop_and_pull(volume)
                    continue
            self.wait_served(mark)
            self.assertIn("checking", self.states(mark), kind)
            again = self.guest.watch.mark()
            self.wait_served(again)
            self.assertNotIn("checking", self.states(again), kind)
            self.stop_and_pull(volume)
            self.assertEqual([line for line in volume.problems() if kind != "windows" or line != "dirty"], [], kind)
            self.assertTrue(self.rows_of(volume))

    @harness.for_full_counts
    def test_34_fsck_that_hangs_is_killed_and_has_no_rights(self):
        volume = self.make("fat32")
        volume.set_dirty()
        before = self.digest(volume)
        self.guest.run("cp /usr/sbin/fsck.fat /usr/sbin/fsck.fat.real; rm /usr/sbin/fsck.fat")
        self.guest.push("/usr/sbin/fsck.fat", FSCK, 0o755)
        self.plugged(volume)
        mark = self.serve(3000)
        self.wait_error("refused", "damaged: fsck.fat did not end within 3 s")
        time.sleep(6)
        self.assertEqual(self.states(mark).count("checking"), 1)  # not again at each burst
        self.wait_error("refused", "damaged: fsck.fat did not end within 3 s")
        self.assertEqual(self.guest.run("cat /proc/[0-9]*/comm | grep -c '^sleep$' || true"), "0")
        said = self.guest.run(f"cat {stickbed.RUN}/fsck.txt; rm {stickbed.RUN}/fsck.txt")
        for field in ("CapEff", "CapPrm", "CapAmb"):
            self.assertIn(f"{field}:\t0000000000000000", said)
        self.assertIn("NoNewPrivs:\t1", said)
        self.assertNotIn("INVOCATION_ID", said)
        self.assertIn("PATH=/usr/sbin:/usr/bin:/sbin:/bin", said)
        self.assertRegex(said, r"0 -> /dev/null")
        self.assertIn("-a /proc/self/fd/", said)
        self.assertEqual(self.digest(volume), before)

        # 43: and one that is told to stop meanwhile stops
        self.stop_stick()
        self.serve()
        self.wait_state("checking", 0)
        self.guest.wait(f"test -s {stickbed.RUN}/fsck.txt")
        took = self.stop_stick()
        self.assertLess(took, 5)
        self.assertEqual(self.guest.run("cat /proc/[0-9]*/comm | grep -c '^sleep$' || true"), "0")

        # root outside of a unit has them all, and gives none away
        self.guest.run(f"install -m 666 /dev/null {stickbed.RUN}/fsck.txt")
        self.serve(3000, "[Service]\n")
        self.guest.wait(f"test -s {stickbed.RUN}/fsck.txt")
        self.assertIn("CapEff:\t0000000000000000", self.guest.run(f"cat {stickbed.RUN}/fsck.txt"))
        self.stop_stick()

        self.guest.run("mv /usr/sbin/fsck.fat.real /usr/sbin/fsck.fat")
        self.wait_served(self.serve())
        self.stop_and_pull(volume)
        self.assertEqual(volume.problems(), [])


class Killed(BurstBed):
    def test_kill_9_in_mid_burst_leaves_it_clean_and_unmounted(self):
        count = max(3, harness.share(100))
        volume = self.make("fat32")
        self.plugged(volume)
        hit = 0
        for _ in range(count):
            mark = self.serve()
            self.guest.watch.wait(lambda kind, value: kind == "mounts" and value == "1", 60, mark, "it is mounted")
            time.sleep(self.random.choice((0, self.random.random() * 0.1)))
            hit += self.guest.watch.last("mounts") == "1"
            pid = self.pids.pop("stick")
            self.guest.run(f"kill -9 {pid}; while test -e /proc/{pid}; do sleep 0.01; done")
            self.guest.run("sleep 0.6")  # the kernel unmounts it with the namespace
            self.assertFalse(volume.is_dirty())
            self.assertEqual(volume.problems(), [])
            self.check_nothing_beside()
        harness.figure(f"killed {count} times in mid-burst, {hit} while it was mounted: unmounted and clean each time")
        self.wait_served(self.serve())
        self.stop_acquire()
        self.stop_and_pull(volume)
        self.check_complete(volume)

    def test_a_mount_that_a_killed_child_left_in_our_namespace_is_cleared(self):
        volume = self.make("fat32")
        self.plugged(volume)
        # a second process keeps the namespace alive, as a sibling does
        self.guest.push("/usr/local/bin/two", "#!/bin/sh\nsleep 1000 &\nwhile :; do " +
                        f"{PROGRAM} /dev/sda {stickbed.RUN} & echo $! > {stickbed.RUN}/child; wait $!; done\n", 0o755)
        self.guest.push("/run/systemd/system/stick.service", SANDBOX + "ExecStart=/usr/local/bin/two\n")
        self.guest.run("systemctl daemon-reload")
        mark = self.guest.watch.mark()
        self.start_stick()
        self.guest.watch.wait(lambda kind, value: kind == "mounts" and value == "1", 60, mark, "it is mounted")
        self.guest.run(f"kill -9 $(cat {stickbed.RUN}/child)")
        mark = self.guest.watch.mark()
        self.wait_served(mark)
        self.stop_stick()
        self.assertEqual(volume.problems(), [])


class Public(BurstBed):
    @harness.for_full_counts
    def test_a_mount_that_others_would_see_is_not_made(self):
        volume = self.make("fat32")
        before = self.digest(volume)
        self.plugged(volume)
        self.serve(unit="[Service]\nRestrictNamespaces=yes\n")
        self.wait_error("failed", "no mount namespace of our own")
        self.check_nothing_beside()
        self.stop_stick()
        self.assertEqual(self.digest(volume), before)

        # a directory that is not ours, or not empty, or none
        self.guest.run(f"install -d -o meterstick -m 700 {POINT}; echo other > {POINT}/file")
        self.serve()
        self.wait_error("failed", "not an empty directory of our own")
        self.guest.run(f"rm {POINT}/file; chmod 755 {POINT}; sleep 6")
        self.wait_error("failed", "not an empty directory of our own")
        self.guest.run(f"rmdir {POINT}; ln -s /tmp {POINT}; sleep 6")
        self.check_nothing_beside()
        self.assertEqual(self.digest(volume), before)
        self.guest.run(f"rm {POINT}")
        self.wait_served(self.guest.watch.mark())
        self.stop_stick()

        # where it may have one of its own, it takes it
        self.guest.run(f"rmdir {POINT}")
        self.wait_served(self.serve(unit="[Service]\n"))
        self.check_nothing_beside()
        host, ours = self.guest.run(f"readlink /proc/1/ns/mnt /proc/{self.pids['stick']}/ns/mnt").split()
        self.assertNotEqual(host, ours)
        self.stop_and_pull(volume)
        self.assertEqual(volume.problems(), [])
        self.assertTrue(self.rows_of(volume))


if __name__ == "__main__":
    unittest.main()
