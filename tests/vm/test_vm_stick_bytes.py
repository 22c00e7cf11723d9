# SPDX-License-Identifier: MIT
"""
What reaches a stick's sectors beside the bytes of CSV: cursor, directories, FAT, boot sector, counted by the kernel
below everything else. Each burst stands in a mount of its own, as on the appliance.
"""

import json
import random
import shutil
import sqlite3
import unittest

import harness
import rig
import stickimage

METERS = 79
INTERVAL_MS = 10000
WALL_MS = 1795168800000  # 2026-11-20T10:00:00Z
COLUMNS = (("voltage_l1_n", "V", 230, 1), ("voltage_l2_n", "V", 231, 1), ("voltage_l3_n", "V", 229, 1),
           ("current_l1", "A", 12, 3), ("current_l2", "A", 9, 3), ("current_l3", "A", 10, 3),
           ("power_active_total", "W", 5000, 0), ("power_reactive_total", "var", 300, 0),
           ("power_apparent_total", "VA", 5500, 0), ("power_factor_total", "", 0.9, 3), ("frequency", "Hz", 50, 2),
           ("energy_active_import", "Wh", 1234567, 0))
# The pages are written once a day and at insertion, which each of these bursts is: their temporary names are taken.
OBSTACLES = "cd /mnt && mkdir -p $(printf ' kwhmeter/here/%s.new' open-me.html READ-ME.txt status.txt) && cd /"
TABLES = """
    PRAGMA journal_mode=DELETE; PRAGMA synchronous=OFF;
    CREATE TABLE journal(id TEXT);
    CREATE TABLE epoch(n INTEGER PRIMARY KEY, boot_id TEXT, wall_ms INTEGER, source TEXT, error_ms INTEGER);
    CREATE TABLE meter(id INTEGER PRIMARY KEY, name TEXT, model TEXT, layout TEXT);
    CREATE TABLE sample(seq INTEGER PRIMARY KEY, epoch INTEGER, boot_ms INTEGER, meter INTEGER, quality TEXT,
                        vals TEXT);
    CREATE TABLE event(id INTEGER PRIMARY KEY, epoch INTEGER, boot_ms INTEGER, code TEXT, text TEXT);
    INSERT INTO journal VALUES('01234567-89ab-4cde-8f01-23456789abcd');
    PRAGMA user_version=1;"""


def setUpModule():
    lacking = stickimage.missing()
    if lacking:
        raise unittest.SkipTest(f"no sticks here: {lacking}")
    rig.prepare_or_skip()


class Journal:
    """A sealed segment that grows between the bursts; what it says is what `acquire` would have written."""

    def __init__(self, path):
        self.path, self.slices, self.random = path, 0, random.Random(1)
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.executescript(TABLES)
        self.db.execute("INSERT INTO epoch VALUES(1,'aaaaaaaa-0000-4000-8000-000000000001',?,'N',0)", (WALL_MS,))
        layout = json.dumps([{"quantity": name, "unit": unit} for name, unit, _, _ in COLUMNS])
        for meter in range(1, METERS + 1):
            self.db.execute("INSERT INTO meter VALUES(?,?,'schneider-em6400ng',?)",
                            (meter, f"meter-{meter:02}", layout))

    def add_slices(self, count):
        self.db.execute("BEGIN")
        for _ in range(count):
            for meter in range(1, METERS + 1):
                values = [round(middle * self.random.uniform(0.9, 1.1), digits) for _, _, middle, digits in COLUMNS]
                values = [int(value) if value == int(value) else value for value in values]
                self.db.execute("INSERT INTO sample VALUES(NULL,1,?,?,'N',?)",
                                (self.slices * INTERVAL_MS + 11 * meter, meter, json.dumps(values)))
            self.slices += 1
        self.db.execute("COMMIT")


class Bytes(harness.Case):
    def setUp(self):
        super().setUp()
        self.guest = rig.Guest(self.directory)
        self.addCleanup(self.guest.close)
        self.guest.push_programs(harness.BIN, harness.MODELS)
        self.guest.run("mkdir -p /mnt /tmp/state/journal /tmp/run")
        self.guest.push("/tmp/state/journal/id", "01234567-89ab-4cde-8f01-23456789abcd\n")
        self.guest.push("/tmp/state/appliance", "here\n")
        self.journal = Journal(self.directory / "segment.db")
        self.addCleanup(self.journal.db.close)

    def plug(self, kind):
        volume = stickimage.make(self.directory / f"{kind}.img", kind, 1 << 30, cluster_size=4096, table="mbr")
        self.kind = kind
        self.guest.plug_stick("s", volume.path, 1)
        self.guest.wait("test -b /dev/sda1")
        self.guest.run("udevadm settle")
        return volume

    def sectors(self):
        """Sent to the disk: (bytes, commands)."""
        fields = self.guest.run("cat /sys/block/sda/stat").split()
        return 512 * int(fields[6]), int(fields[4])

    def burst(self, slices):
        """Returns bytes and commands to the disk, and bytes of CSV."""
        self.journal.add_slices(slices)
        copy = self.directory / "copy.db"
        shutil.copyfile(self.journal.path, copy)
        self.guest.push("/tmp/state/journal/0000000000000001.db", copy)
        kind = "vfat" if self.kind == "fat32" else self.kind
        before, commands = self.sectors()
        output = self.guest.run(
            f"mount -t {kind} -o noatime,errors=remount-ro /dev/sda1 /mnt && {OBSTACLES} && "
            "TZ=Europe/Berlin meterstick stick --dir /mnt --state-dir /tmp/state --run-dir /tmp/run --once 2>/tmp/log; "
            "s=$?; cat $(find /mnt -name '*.csv') | wc -c; umount /mnt; exit $s", 300)
        after, more = self.sectors()
        return after - before, more - commands, int(output.split()[-1])

    def measure(self, slices, bursts, limit):
        """The ratio over some bursts; what makes the folders, once in a stick's life, was before."""
        written = commands = 0
        _, _, begin = self.burst(slices)
        for _ in range(bursts):
            sent, count, csv = self.burst(slices)
            written, commands = written + sent, commands + count
        ratio = written / (csv - begin)
        harness.figure(f"{self.kind}, 79 meters at 10 s, burst {slices * 10} s: {ratio:.2f} bytes written a byte "
                       f"of CSV (must <= {limit}); a burst is {written // bursts} bytes in {commands // bursts} writes")
        self.assertLessEqual(ratio, limit)

    def check(self, kind):
        volume = self.plug(kind)
        self.measure(6, max(3, harness.share(60)), 3.5)
        self.measure(30, max(2, harness.share(24)), 1.6)
        self.guest.unplug_stick("s")
        status, text = volume.fsck()
        self.assertEqual(status, 0, text)

    def test_a_burst_each_minute_and_each_five_minutes_on_fat(self):
        self.check("fat32")

    if harness.share(100) == 100:  # by day FAT stands for both
        def test_a_burst_each_minute_and_each_five_minutes_on_exfat(self):
            self.check("exfat")


if __name__ == "__main__":
    unittest.main()
