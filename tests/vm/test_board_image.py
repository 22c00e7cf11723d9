# SPDX-License-Identifier: MIT
"""
The SD card as it is shipped, in an emulated Raspberry Pi 3 and 2: its first boot, without any configuration, with a
meter on the header's serial port as an RS-485 HAT has it, and a stick; and the power, which goes without warning. In
QEMU's own board: an adapter and a stick, pulled together; and the network.
"""

import csv
import io
import json
import shutil
import subprocess
import time
import unittest

import cardbed
import gpiobed
import harness
import lights
import network
import registers
import rig
import stickimage

MODEL = "schneider-iem2150"
METER = {"meter_model": "iEM2150", "manufacturer": "Schneider Electric", "voltage": 230.1, "current": 5.0,
         "power_active": 1100.0, "power_reactive": 300.0, "power_factor": 0.96, "frequency": 49.98,
         "energy_active_import": 7918565.0}
CONFIGURATION = ("[appliance]\nname = cellar\ninterval = 1 s\n[bus a]\nport = /dev/ttyAMA0\n"
                 f"[meter main]\nbus = a\nmodel = {MODEL}\n")
AT_ADAPTER = {"meterstick.conf": CONFIGURATION.replace("/dev/ttyAMA0", "/dev/ttyUSB0")}
PLUGS = 20
STATE, RUN = "/var/lib/meterstick", "/run/meterstick"
UNITS = ("meterstick-acquire", "meterstick-stick", "meterstick-leds", "chrony", "systemd-networkd", "systemd-resolved")
RAM_MIB = 96
FOUND_S = 900      # an emulated board is slow


def setUpModule():
    lacking = stickimage.missing()
    if lacking:
        raise unittest.SkipTest("not here: " + lacking)


class Bed(harness.Case):
    """A card in its board, and a meter."""

    board, arch, boot_files = cardbed.Pi, "arm64", None

    @classmethod
    def setUpClass(cls):
        cardbed.prepare_or_skip(cls.arch)

    def setUp(self):
        super().setUp()
        tables = registers.registers(MODEL, METER)
        where = self.pymodbus_slave("rtu-tcp", {1: tables})
        slave = "127.0.0.1", int(where.rpartition(":")[2])
        self.card = self.board(self.directory, slave, self.owners_files(), self.arch, self.plugged())
        self.addCleanup(self.card.close)

    def owners_files(self):
        return self.boot_files

    def plugged(self):
        return ()

    def status(self, program="acquire"):
        try:
            return json.loads(self.card.pull(f"{RUN}/{program}.json"))
        except (rig.Failed, ValueError):
            return {}

    def committed_seq(self):
        return self.status().get("journal", {}).get("seq") or 0

    def wait_until(self, condition, seconds, what):
        return harness.wait_until(condition, seconds, what, 0.5,
                                  lambda: self.card.run("journalctl -q -b -n 40 --no-pager | cut -c 1-200"))

    def wait_committed(self, beyond=0, seconds=FOUND_S):
        """Until a row after that one is committed. Returns its seq."""
        return self.wait_until(lambda: self.committed_seq() > beyond and self.committed_seq(), seconds, "a row")

    def meters(self):
        return [meter["name"] for meter in self.status().get("meters", [])]

    def exported(self):
        """{seq: row} of the journal, as `export` prints it."""
        rows = {}
        for meter in self.meters():
            self.card.run(f"meterstick export --meter {meter} --format csv > /tmp/export.csv", 300)
            text = self.card.pull("/tmp/export.csv").decode()
            rows.update({int(row["seq"]): row for row in csv.DictReader(io.StringIO(text, newline=""))})
        return rows

    def plug(self, volume):
        """QEMU loses one first plug in sixteen: then once more, which is said."""
        self.card.plug_stick("stick", volume.path)
        if self.card.status("for i in $(seq 150); do test -b /dev/sda && exit 0; sleep 0.2; done; exit 1", 120)[0]:
            print("the plug was lost; once more", flush=True)
            self.card.unplug_stick("stick")
            self.card.plug_stick("stick", volume.path)
            self.card.wait("test -b /dev/sda", 120)

    def wait_filled(self):
        def is_filled():
            sticks = self.status("stick").get("sticks", [])
            return sticks and sticks[0]["state"] == "idle" and sticks[0]["backlog"] == 0
        self.wait_until(is_filled, 300, "the stick is filled")

    def first_row_s(self):
        """Since the kernel started."""
        def told():
            return next((line for line in self.card.run(f"cat {cardbed.ROWS}").splitlines() if "committed " in line
                         and "null" not in line), None)
        return float(self.wait_until(told, 60, "a row that is told").split()[0]) / 1000

    def check_stick_is_filled(self, seq):
        """With all rows up to that one; it is pulled at whatever moment then. Returns the journal's rows."""
        volume = stickimage.make(self.directory / "stick.img", "fat32", 64 << 20)
        self.plug(volume)
        self.wait_filled()
        self.card.unplug_stick("stick")
        self.card.wait("! test -b /dev/sda", 120)
        journal = self.exported()
        self.assertGreater(self.check_stick(volume, journal, seq), 0)
        return journal

    def check_stick(self, volume, journal, least):
        """Its rows are the journal's, each once, and all up to `least`."""
        self.assertEqual(volume.problems(), [])
        there = {}
        for path, content in volume.files().items():
            if path.endswith(".csv"):
                for row in csv.DictReader(io.StringIO(content.decode(), newline="")):
                    self.assertNotIn(int(row["seq"]), there, f"{path}: twice")
                    there[int(row["seq"])] = row
        self.assertEqual(sorted(there.keys() - journal.keys()), [], "invented")
        self.assertEqual([seq for seq in journal if seq <= least and seq not in there], [], "lost")
        for seq, row in there.items():
            common = row.keys() & journal[seq].keys() - {"utc", "local", "quality"}
            self.assertIn("voltage_v", common)
            self.assertEqual({key: row[key] for key in common}, {key: journal[seq][key] for key in common})
        return len(there)


class FirstBoot(Bed):
    def test_a_fresh_card_finds_the_meter_logs_it_and_fills_a_stick(self):
        card = self.card
        seq = self.wait_committed()
        harness.figure(f"{self.card.name}: kernel start to first committed row {self.first_row_s():.0f} s, "
                       "with a search for the meter")
        self.check_system()
        self.check_ram()
        named = self.named()
        self.check_stick_is_filled(seq)
        self.assertEqual(self.named(), named, "who gives the machine its name did it again")
        self.check_lights()

    def check_system(self):
        card = self.card
        self.assertEqual(card.status("systemctl is-system-running --wait", 300)[1].strip(), "running",
                         card.run("systemctl --failed --no-legend --no-pager; true"))
        for name in UNITS:
            self.assertEqual(card.run(f"systemctl is-active {name}; true"), "active", name)
        self.assertEqual(card.run("systemctl is-active ssh; true"), "inactive", "nobody has put a key")

        mounts = {line.split()[1]: line.split() for line in card.run("cat /proc/mounts").splitlines()}
        self.assertIn("ro", mounts["/"][3].split(","))
        for option in ("rw", "noatime", "nosuid", "nodev"):  # commit=5 is the default, and not told
            self.assertIn(option, mounts["/data"][3].split(","))
        self.assertEqual(mounts[STATE][0], mounts["/data"][0])
        self.assertIn("ro", mounts["/boot/firmware"][3].split(","))
        self.assertGreater(int(card.run("df -m --output=size /data | tail -n 1")), 700, "grown")
        self.assertEqual(card.run("wc -l < /proc/swaps"), "1")
        self.assertRegex(card.run("cat /etc/machine-id"), "^[0-9a-f]{32}$")
        self.assertEqual(card.run("cat /etc/machine-id"), card.run("cat /data/machine-id"))
        self.assertEqual(card.run("ls /var/log/journal 2> /dev/null; true"), "")
        passwords = set(card.run("cut -d : -f 2 /etc/shadow").split())
        self.assertLessEqual(passwords, {"*", "!*"}, "nobody has one")
        self.assertEqual(card.run("hostname"), card.run(f"cat {STATE}/appliance"))
        self.assertEqual(card.run("systemctl show -p RuntimeWatchdogUSec --value"), "0", "off by the test alone")
        self.assertIn("RuntimeWatchdogSec=14s", card.run("cat /etc/systemd/system.conf.d/card.conf"))
        self.assertIn("bcm2835_wdt", card.run("cat /proc/modules"))
        self.assertIn("/dev/ttyAMA0", card.run(f"cat {STATE}/adopted.conf"))

    def named(self):
        return self.card.run("systemctl show -p InvocationID -p ExecMainStartTimestampMonotonic meterstick-name")

    def check_ram(self):
        memory = dict(line.split()[:2] for line in self.card.run("cat /proc/meminfo").splitlines())
        used = (int(memory["MemTotal:"]) - int(memory["MemAvailable:"])) / 1024
        harness.figure(f"{self.card.name}: {used:.0f} MiB of {int(memory['MemTotal:']) // 1024} in use with "
                       f"everything running (must {RAM_MIB}, aim 64)")
        self.assertLessEqual(used, RAM_MIB)

    def check_lights(self):
        """What the lines of the header carry: from the first frame of `leds` to its farewell."""
        gpiobed.prepare(self.card)
        self.card.run("systemctl stop meterstick-leds", 120)
        with gpiobed.Trace(self.card) as trace:
            self.card.run("systemctl start meterstick-leds && sleep 8 && systemctl stop meterstick-leds", 180)
        self.card.run("systemctl start meterstick-leds", 120)
        seen = [lights.letters(frame) for frame in trace.frames()]
        self.assertEqual(seen[-1], "R.......", "the farewell")
        self.assertTrue([letters for letters in seen if letters.startswith("PG")], seen)


@harness.for_full_counts
class FirstBootOf32Bits(FirstBoot):
    arch = "armhf"


class PowerCut(Bed):
    """With what its owner has put on the boot partition."""

    boot_files = {"meterstick.conf": CONFIGURATION,
                  "authorized_keys": "ssh-ed25519 " + "A" * 68 + " nobody\n"}

    def test_no_committed_row_is_lost_however_often_the_power_goes(self):
        random = harness.random_source()
        committed, slowest_s = [], 0
        seq, ids = self.wait_committed(), self.ids()
        for _ in range(harness.share(20)):
            time.sleep(random.uniform(0, 10))  # the moment is the test
            committed.append(self.committed_seq())
            self.card.cut_power()
            self.card.boot()
            seq = self.wait_committed(max(seq, committed[-1]))
            slowest_s = max(slowest_s, self.first_row_s())
            self.assertEqual(self.ids(), ids, "another machine after a power cut")
        self.assertEqual(self.meters(), ["main"])
        journal = self.check_stick_is_filled(seq)
        self.assertEqual([seq for seq in committed if seq not in journal], [], "committed, and lost")
        harness.figure(f"{self.card.name}: {len(committed)} power cuts while logging, booted each time, 0 "
                       f"committed rows lost of {len(journal)}; with a configuration the first row after "
                       f"{slowest_s:.0f} s at most")

    def ids(self):
        """Who it is, and what was made of its owner's files."""
        self.wait_until(lambda: self.card.run("systemctl is-active ssh; true") == "active", 300, "a key opens the door")
        ids = self.card.run("hostname; cat /etc/machine-id; ssh-keygen -lf /data/ssh/ssh_host_ed25519_key.pub")
        self.assertRegex(ids, r"^cellar\n[0-9a-f]{32}\n256 SHA256:")
        return ids


@harness.for_full_counts
class AdapterAndStick(Bed):
    board, boot_files = cardbed.Virtual, AT_ADAPTER

    def test_adapter_and_stick_are_pulled_at_once_at_any_moment(self):
        random = harness.random_source()
        volume = stickimage.make(self.directory / "stick.img", "fat32", 64 << 20)
        pulls = [lambda: self.card.unplug_stick("stick"), lambda: self.card.unplug_adapter("meter")]
        self.card.run("systemctl is-system-running --wait; true", FOUND_S)
        committed, restarts = [], self.restarts()
        for _ in range(PLUGS):
            self.card.plug_adapter("meter", self.card.slave, 1)
            self.plug(volume)
            self.wait_committed(max(committed, default=0))
            time.sleep(random.uniform(0, 5))  # the moment is the test
            committed.append(self.committed_seq())
            for pull in random.sample(pulls, 2):
                pull()
            self.card.wait("! test -b /dev/sda && ! test -e /dev/ttyUSB0", 120)
        # One that is back at once is the same, and its status that of before until it is looked at again
        self.wait_until(lambda: self.status("stick").get("sticks") == [], 60, "the stick is gone")
        last = self.committed_seq()
        self.plug(volume)
        self.wait_filled()
        self.card.unplug_stick("stick")
        self.card.wait("! test -b /dev/sda", 120)
        journal = self.exported()
        self.assertEqual([seq for seq in committed if seq not in journal], [], "committed, and lost")
        rows = self.check_stick(volume, journal, last)
        self.assertEqual(self.restarts(), restarts,
                         self.card.run("journalctl -q -b -u 'meterstick-*' --no-pager | cut -c 1-200"))
        harness.figure(f"{self.card.name}: adapter and stick pulled together {PLUGS} times, 0 of {rows} rows lost or "
                       "double, no program ended")

    def restarts(self):
        return {unit: self.card.run(f"systemctl show -p NRestarts --value {unit}") for unit in UNITS}


@harness.for_full_counts
class Watchdog(Bed):
    """Another than the board's, whose emulation cannot be used."""

    board, boot_files = cardbed.Virtual, AT_ADAPTER

    def plugged(self):
        return ["-device", "i6300esb"]

    def test_a_machine_that_hangs_starts_again(self):
        self.card.plug_adapter("meter", self.card.slave, 1)
        self.assertEqual(self.card.run("systemctl show -p RuntimeWatchdogUSec --value"), "14s")
        seq = self.wait_committed(self.wait_committed() + 20)  # longer than its patience
        self.card.run("echo 1 > /sys/fs/cgroup/init.scope/cgroup.freeze")
        self.card.monitor.wait_event("WATCHDOG", 60, action="reset")
        self.card.cut_power()  # for QEMU it is over; a board would go on here
        self.card.boot()
        self.card.plug_adapter("meter", self.card.slave, 1)
        self.wait_committed(seq)
        self.assertEqual(sorted(set(range(1, seq + 1)) - self.exported().keys()), [], "lost")


@harness.for_full_counts
class Network(Bed):
    """The card in three networks: a cable to a computer, a router that knows the time, and one for logging in."""

    board = cardbed.Virtual

    @classmethod
    def setUpClass(cls):
        if not shutil.which("ssh"):
            raise unittest.SkipTest("not here: ssh (package openssh-client)")
        super().setUpClass()

    def owners_files(self):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.directory / "key"], check=True)
        return {"meterstick.conf": CONFIGURATION.replace("/dev/ttyAMA0", "auto"),
                "authorized_keys": (self.directory / "key.pub").read_text(encoding="ascii")}

    def plugged(self):
        self.cable = network.Cable(self.directory, "cable", leases=False)
        self.addCleanup(self.cable.close)
        self.router = network.Cable(self.directory, "router", leases=True, subnet="10.77")
        self.addCleanup(self.router.close)
        self.ssh_port = harness.free_port()
        return [*self.cable.options(3), *self.router.options(4),
                "-netdev", f"user,id=door,restrict=on,hostfwd=tcp:127.0.0.1:{self.ssh_port}-:22",
                "-device", "usb-net,netdev=door,bus=xhci.0,port=5"]

    def ssh(self, *options):
        return subprocess.run(["ssh", "-F", "none", "-p", str(self.ssh_port), "-o", "UserKnownHostsFile=/dev/null",
                               "-o", "StrictHostKeyChecking=no", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
                               *options, "root@127.0.0.1", "hostname"], capture_output=True, text=True, check=False,
                              timeout=120)

    def wait_name(self, cable, name):
        return self.wait_until(lambda: cable.ask(name), 300, f"{name} is known")

    def test_it_is_found_by_name_takes_the_time_and_opens_to_its_key_alone(self):
        self.card.plug_adapter("meter", self.card.slave, 1)
        self.assertEqual(self.wait_name(self.router, "cellar.local"), self.router.offer)
        self.assertTrue(self.wait_name(self.cable, "cellar.local").is_link_local)
        self.wait_committed()
        self.wait_until(lambda: self.status().get("clock", {}).get("quality") == "N", 300, "the time is known")
        self.assertGreater(self.router.asked_time, 0)
        begin = time.time()
        there = float(self.card.run("date +%s.%N"))
        self.assertTrue(begin - 2 < there < time.time() + 2, (begin, there))

        self.wait_until(lambda: self.ssh("-i", self.directory / "key").stdout == "cellar\n", 300, "the key opens")
        for method in ("password", "keyboard-interactive", "publickey"):
            said = self.ssh("-o", f"PreferredAuthentications={method}")
            self.assertEqual((said.returncode, said.stdout), (255, ""))
            self.assertIn("Permission denied (publickey)", said.stderr)

        # However closely names follow each other, the last one counts
        self.card.run(f"cd {STATE}; cp good.conf /run/cellar; for n in $(seq 20) last; do "
                      "sed s/cellar/n-$n/ /run/cellar > good.new && mv good.new good.conf; done", 120)
        self.wait_until(lambda: self.card.run("hostname") == "n-last", 60, "the last name")

        stick = stickimage.make(self.directory / "stick.img", "fat32", 64 << 20)
        stick.put("meterstick.conf", CONFIGURATION.replace("/dev/ttyAMA0", "auto").replace("cellar", "attic").encode())
        self.plug(stick)
        self.assertEqual(self.wait_name(self.router, "attic.local"), self.router.offer)
        self.assertIsNone(self.router.ask("n-last.local"))
        harness.figure(f"{self.card.name}: found by name on two cables, time from the network, a key and nothing else opens")


if __name__ == "__main__":
    unittest.main()
