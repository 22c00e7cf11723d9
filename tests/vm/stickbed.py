# SPDX-License-Identifier: MIT
"""
What the tests of real sticks share: a guest in which simulated meters, `acquire` and `stick` run as units, `stick` in
the sandbox that its unit has; sticks made, plugged and pulled; and at the end, what is on them against the journal.
"""

import csv
import io
import json
import os
import pathlib
import sqlite3
import subprocess
import tempfile
import time
import unittest

import harness
import rig
import stickimage

MODEL = "schneider-iem2150"
APPLIANCE = "bed"
RUN, STATE = "/run/meterstick", "/var/lib/meterstick"
BUSY = ("checking", "writing")   # pixel 2 is lit

SIMULATE = """[Unit]
[Service]
ExecStart=/usr/bin/meterstick simulate --tcp 127.0.0.1:5020 {meters} --seed 1
"""

ACQUIRE = """[Unit]
Wants=simulate.service
After=simulate.service
[Service]
Type=notify
NotifyAccess=all
User=meterstick
ExecStart=/usr/bin/meterstick acquire
Restart=always
"""

# What is said of each in the manual of systemd.exec; sd_mod must be loaded before, or block-sd is nothing.
STICK = """[Unit]
After=systemd-modules-load.service
[Service]
User=meterstick
SupplementaryGroups=disk
PrivateMounts=yes
CapabilityBoundingSet=CAP_SYS_ADMIN
AmbientCapabilities=CAP_SYS_ADMIN
NoNewPrivileges=yes
ProtectSystem=strict
ReadWritePaths=/run/meterstick /var/lib/meterstick
ProtectHome=yes
ProtectClock=yes
ProtectHostname=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectProc=invisible
ProcSubset=pid
PrivateTmp=yes
RestrictAddressFamilies=AF_UNIX AF_NETLINK
IPAddressDeny=any
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
UMask=0077
SystemCallArchitectures=native
SystemCallFilter=@system-service mount umount2
SystemCallFilter=~@privileged @resources @obsolete
SystemCallErrorNumber=EPERM
KeyringMode=private
RemoveIPC=yes
DevicePolicy=closed
DeviceAllow=block-sd rw
MemoryMax=64M
TasksMax=16
ExecStart=/usr/bin/meterstick stick
"""


def limit(figure):
    """What a figure may be here: beside others an emulated machine is slow, and its times say little."""
    return figure if os.getloadavg()[0] < 2 + (os.cpu_count() or 1) else 10 * figure


def prepare_or_skip():
    """For setUpModule()."""
    lacking = stickimage.missing()
    if lacking:
        raise unittest.SkipTest(f"no sticks here: {lacking}")
    return rig.prepare_or_skip()


class Shared:
    """One guest for all tests of a file, with our programs; each begins where they had just been installed."""

    def __init__(self):
        self.directory = tempfile.TemporaryDirectory(prefix="meterstick-")
        self.guest = rig.Guest(self.directory.name)
        self.prepare()
        self.guest.save("installed")

    def prepare(self):
        self.guest.push_programs(harness.BIN, harness.MODELS)

    def close(self):
        self.guest.close()
        self.directory.cleanup()


class Bed(harness.Case):
    """A test with a guest. start() begins to log; sticks are plugged at ports 1 to 8."""

    share = Shared
    shared = None

    def setUp(self):
        super().setUp()
        self.random = harness.random_source()
        if Bed.shared:
            Bed.shared.guest.restore("installed")
            Bed.shared.guest.set_clock()
            Bed.shared.guest.watch.forget()
        else:
            Bed.shared = self.share()
            unittest.addModuleCleanup(self.drop_guest)
        self.guest = Bed.shared.guest
        self.pids = {}
        self.volumes = []     # all that were plugged

    @staticmethod
    def drop_guest():
        if Bed.shared:
            Bed.shared.close()
            Bed.shared = None

    def tearDown(self):
        try:
            self.guest.thaw()
            for name in list(self.guest.sticks):
                self.guest.unplug_stick(name)
        except rig.Failed:
            self.drop_guest()  # the next test has another

    # --- programs ---

    def configure(self, meters=1, interval_ms=1000, burst_s=5, clock="trusted", more=""):
        self.meters = [f"m{number}" for number in range(1, meters + 1)]
        self.interval_ms = interval_ms
        config = (f"[appliance]\nname = {APPLIANCE}\ninterval = {interval_ms} ms\nclock = {clock}\n{more}\n"
                  f"[journal]\ncommit = 1 s\n[stick]\nburst = {burst_s} s\n[bus a]\nport = tcp:127.0.0.1:5020\n")
        config += "".join(f"[meter {name}]\nbus = a\nmodel = {MODEL}\naddress = {number}\n"
                          for number, name in enumerate(self.meters, 1))
        self.guest.push("/etc/meterstick/meterstick.conf", config)
        simulated = f"--model {MODEL}:1-{meters}"
        for name, unit in (("simulate", SIMULATE.format(meters=simulated)), ("acquire", ACQUIRE), ("stick", STICK)):
            self.guest.push(f"/run/systemd/system/{name}.service", unit)
        self.guest.run(f"install -d -o meterstick {STATE} {RUN}; systemctl daemon-reload")

    def start(self, **options):
        """The meters, `acquire`, `stick`; what the latter does is in self.guest.watch."""
        self.configure(**options)
        self.start_unit("acquire")
        self.guest.wait(f"test -s {STATE}/good.conf && test -d {STATE}/journal")
        self.start_stick()

    def start_unit(self, name):
        self.guest.run(f"systemctl start {name}", 120)
        self.pids[name] = self.pid(name)

    def start_stick(self):
        self.start_unit("stick")
        self.guest.wait(f"test -s {RUN}/stick.json")
        self.guest.start_watch(self.pids["stick"])

    def pid(self, name):
        return int(self.guest.run(f"systemctl show -p MainPID --value {name}"))

    def check_alive(self):
        """The same processes as at the start."""
        for name, pid in self.pids.items():
            self.assertEqual(self.pid(name), pid, f"{name} ended: {self.log()}")

    def log(self, lines=60):
        return self.guest.run(f"journalctl -q -o short-monotonic -n {lines} --no-pager | cut -c 1-300")

    def status(self, program="stick"):
        return json.loads(self.guest.pull(f"{RUN}/{program}.json"))

    def sticks(self):
        return self.status()["sticks"]

    def descriptors(self):
        """Open ones of `stick`, and its processes."""
        group = self.guest.run("systemctl show -p ControlGroup --value stick")
        pids = self.guest.run(f"cat /sys/fs/cgroup{group}/cgroup.procs").split()
        return {pid: int(self.guest.run(f"ls /proc/{pid}/fd | wc -l")) for pid in pids}

    # --- sticks ---

    def make(self, kind="fat32", size=64 << 20, **options):
        """A volume on a stick of its own."""
        number = len(self.volumes) + 1
        volume = stickimage.make(self.directory / f"stick{number}.img", kind, size, **options)
        volume.name = f"s{number}"
        self.volumes.append(volume)
        return volume

    def plug(self, volume, port=1, **options):
        mark = self.guest.watch.mark()
        self.guest.plug_stick(volume.name, volume.path, port, **options)
        return mark

    def pull(self, volume):
        """At once: whatever is on its way is lost."""
        self.guest.unplug_stick(volume.name)

    def wait_state(self, state, since=None, seconds=90):
        """Until the states of all sticks read so, "-": no stick. Returns the boot ms."""
        try:
            return self.guest.watch.wait(lambda kind, value: kind == "state" and value == state, seconds, since,
                                         f"stick.json says {state}")
        except rig.Failed as error:
            self.fail(f"{error}; {self.log()}")

    def wait_served(self, since, seconds=90):
        """From a plug (its mark) on until a burst has begun and all is on the stick. Returns the boot ms."""
        begin = self.wait_state("writing", since, seconds)
        try:
            return self.guest.watch.wait(lambda kind, value: kind == "state" and value == "idle", seconds,
                                         self.mark_at(begin), "the burst ends")
        except rig.Failed as error:
            self.fail(f"{error}; {self.log()}")

    def mark_at(self, boot_ms):
        watch = self.guest.watch
        return next((index for index, record in enumerate(list(watch.records)) if record[0] >= boot_ms), watch.mark())

    def wait_caught_up(self, seconds=120):
        """Until a stick that is in has nothing to wait for; for a moment at least."""
        end = time.monotonic() + seconds
        while True:
            try:
                sticks = self.sticks()
            except (rig.Failed, ValueError):
                sticks = []
            if sticks and all(stick["state"] == "idle" and stick["backlog"] == 0 for stick in sticks):
                return sticks
            if time.monotonic() > end:
                self.fail(f"never caught up: {sticks} {self.log()}")
            time.sleep(0.2)

    def check_nothing_beside(self):
        """Nothing that is meant for a stick stands in the guest's own file systems, and none of its mounts is seen."""
        found = self.guest.run(f"find {RUN} {STATE} /tmp /mnt /media /root /home -xdev "
                               "\\( -name '*.csv' -o -name 'kwhmeter' -o -name '.cursor*' -o -name '*.html' "
                               "-o -name 'READ-ME*' \\)")
        self.assertEqual(found, "", "beside the stick")
        # the mount points are folders there, and empty
        found = self.guest.run(f"find {RUN} -xdev -mindepth 2 -type f ! -path '{RUN}/journal/*' -printf '%s %p\\n'")
        self.assertEqual(found, "", "under a mount point")
        self.assertEqual(self.guest.run("grep -cE ' - (vfat|exfat) ' /proc/self/mountinfo || true"), "0")

    # --- what is there in the end ---

    def stop_acquire(self):
        """Politely: what was taken is committed."""
        self.guest.run("systemctl stop acquire", 60)
        del self.pids["acquire"]

    def stop_stick(self):
        """Politely. Returns the seconds from the signal to its end."""
        pid = self.pids.pop("stick")
        mark = self.guest.watch.mark()
        begin_ms = float(self.guest.run(f"cut -d ' ' -f 1 /proc/uptime; kill {pid}")) * 1000
        end_ms = self.guest.watch.wait(lambda kind, _: kind == "end", 60, mark, "stick ends")
        self.guest.run("systemctl stop stick", 60)
        return (end_ms - begin_ms) / 1000

    def journal(self):
        """After acquire was stopped: ({seq: (meter, boot ms)}, [(code, text)] of the events), by SQLite alone."""
        self.guest.run(f"tar -C {STATE} -cf /tmp/journal.tar journal")
        rows, events = {}, []
        with tempfile.TemporaryDirectory() as directory:
            archive = pathlib.Path(directory) / "journal.tar"
            archive.write_bytes(self.guest.pull("/tmp/journal.tar"))
            subprocess.run(["tar", "-C", directory, "-xf", str(archive)], check=True)
            for path in sorted((pathlib.Path(directory) / "journal").glob("*.db")):
                database = sqlite3.connect(path)
                for seq, name, boot_ms in database.execute("SELECT seq, name, boot_ms FROM sample JOIN meter "
                                                           "ON meter.id = sample.meter ORDER BY seq"):
                    self.assertNotIn(seq, rows)
                    rows[seq] = (name, boot_ms)
                events += database.execute("SELECT code, text FROM event ORDER BY id").fetchall()
                database.close()
        return rows, events

    def exported(self):
        """{seq: the row as a dictionary}, as `export` gives it."""
        rows = {}
        for meter in self.meters:
            self.guest.run(f"meterstick export --meter {meter} --format csv > /tmp/export.csv")
            text = self.guest.pull("/tmp/export.csv").decode()
            for row in csv.DictReader(io.StringIO(text, newline="")):
                self.assertNotIn(int(row["seq"]), rows)
                rows[int(row["seq"])] = dict(row, meter=meter)
        return rows

    @staticmethod
    def data_files(volume):
        """{path: content} of the CSV files of the meters."""
        return {path: content for path, content in volume.files(f"kwhmeter/{APPLIANCE}").items()
                if path.endswith(".csv")}

    def rows_of(self, volume):
        """{seq: row} of all CSV files; a seq that stands twice, or a line that is none, fails."""
        rows = {}
        for path, content in self.data_files(volume).items():
            self.assertTrue(content.endswith(b"\r\n") or content.endswith(b"\n") or not content, f"{path} is torn")
            lines = list(csv.reader(io.StringIO(content.decode(), newline="")))
            for line in lines[1:]:
                self.assertEqual(len(line), len(lines[0]), f"{path}: {line}")
                seq = int(line[-1])
                self.assertNotIn(seq, rows, f"{path}: twice")
                rows[seq] = dict(zip(lines[0], line), meter=path.split("/")[-2])
        return rows

    def check_slices(self, rows):
        """Each meter has no fewer rows than there are slices between its first and its last, which may be late."""
        for name in self.meters:
            times = [boot_ms for meter, boot_ms in rows.values() if meter == name]
            slices = (times[-1] - times[0]) / self.interval_ms
            self.assertLess(slices - (len(times) - 1), 1, f"{name}: a slice was missed: {times}")

    def check_complete(self, *volumes, slices=True):
        """After all has stopped: each volume has exactly the rows of the journal, as `export` prints them."""
        journal, events = self.journal()
        exported = self.exported()
        self.assertEqual(exported.keys(), journal.keys())
        for volume in volumes:
            rows = self.rows_of(volume)
            self.assertEqual(sorted(exported.keys() - rows.keys()), [], f"lost on {volume.path.name}")
            self.assertEqual(sorted(rows.keys() - exported.keys()), [], f"invented on {volume.path.name}")
            for seq, row in rows.items():
                self.assertEqual(row, exported[seq], volume.path.name)
        self.assertNotIn("missed", [code for code, _ in events], events)
        if slices:
            self.check_slices(journal)
        return len(journal)

    def finish(self, *volumes, slices=True, yanked=False):
        """
        Stop both, look at all that is left. Returns the count of rows.
        yanked: they were mounted then. fsck.exfat (1.2) leaves clusters that belong to no file; no row was in them.
        """
        self.check_alive()
        self.stop_acquire()
        self.stop_stick()
        for volume in volumes:
            self.pull(volume)
            problems = [problem for problem in volume.problems()
                        if not (yanked and volume.kind == "exfat" and problem.startswith("lost:"))]
            self.assertEqual(problems, [], volume.path.name)
        self.check_nothing_beside()
        return self.check_complete(*volumes, slices=slices)
