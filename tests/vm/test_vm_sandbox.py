# SPDX-License-Identifier: MIT
"""
The sandbox of each unit, from inside: what the unit does not need fails (fault 74), and what it needs does not. A probe
takes the place of the program, with all else that the unit says. Outside, as root, the same attempts succeed, so that
none fails for another reason. And the programs themselves never try what is forbidden: where that kills, they live.
"""

import errno
import re
import shutil
import time
import unittest

import harness
import registers
import rig
import stickbed
import unitbed
from unitbed import RUN, STATE, UNITS, unit

EACH = set(UNITS)
PROBE = "/usr/local/bin/probe"
BUSYBOX = "/usr/local/bin/busybox"
# Nodes of drivers that are there, whoever owns the usual ones: no answer of a driver is a refusal
DEVICES = {"char-ttyUSB": {"acquire"}, "char-ttyACM": {"acquire"}, "char-ttyS": {"acquire"},
           "char-gpiochip": {"leds"}, "block-sd": {"stick"}, "block-virtblk": set(), "char-mem": set(),
           "char-misc": set()}
PRIVATE, PUBLIC = "192.168.77.1", "203.0.113.1"

# attempt: the units in which it succeeds
ATTEMPTS = {
    "family=1": EACH,               # AF_UNIX
    "family=16": EACH,              # AF_NETLINK
    "family=2": {"acquire"},        # AF_INET
    "family=10": {"acquire"},       # AF_INET6
    "family=17": set(),             # AF_PACKET
    "family=38": set(),             # AF_ALG
    "send=127.0.0.1": {"acquire"},
    f"send={PRIVATE}": {"acquire"},
    f"send={PUBLIC}": set(),
    "read=/etc/shadow": set(),
    "read=/etc/hostname": {"acquire", "stick"},
    "read=/etc/meterstick/meterstick.conf": {"acquire", "stick"},
    "read=/root": set(),
    "read=/home": set(),
    "read=/proc/1/environ": set(),
    "read=/proc/kcore": set(),
    "read=/var/log": {"acquire", "stick"},
    f"read={STATE}/good.conf": EACH,
    f"read={RUN}/acquire.json": EACH,
    "write=/proc/sys/kernel/panic": set(),
    "write=/sys/fs/cgroup/cgroup.procs": set(),
    "create=/etc": set(),
    "create=/usr/bin": set(),
    "create=/run": set(),
    "create=/run/lock": set(),
    "create=/root": set(),
    "create=/var/lib": set(),
    "create=/dev": set(),
    "create=/dev/shm": {"acquire"},
    "create=/run/lock/meterstick": {"acquire"},
    f"create={RUN}": EACH,
    f"create={STATE}": {"acquire"},
    f"create={STATE}/journal": {"acquire"},
    f"create={STATE}/inbox": {"acquire", "stick"},
    "create=/tmp": EACH,            # each has one of its own
    "call=mount": {"stick"},
    **{f"call={name}": set() for name in (
        "adjtimex", "bpf", "chown", "chroot", "clock_settime", "init_module", "mknod", "perf_event_open", "personality",
        "ptrace", "reboot", "sched_setscheduler", "sethostname", "setpriority", "setuid", "setuid-bit", "unshare-mount",
        "unshare-user", "writable-code")},
    **{f"device=/dev/probe-{name}": units for name, units in DEVICES.items()},
}
# How a sandbox refuses; what else goes wrong is the kernel's or a driver's answer, and they were asked
REFUSED = {errno.EPERM, errno.EACCES, errno.EROFS, errno.EAFNOSUPPORT, errno.ENOENT}

# Forbidden, tried by a program, and of no consequence: a directory gives its group, and the unit has Nice=
HARMLESS = {"acquire": "SystemCallFilter=fchown\n", "stick": "SystemCallFilter=setpriority\n", "leds": ""}
KILLING = "[Service]\nSystemCallErrorNumber=kill\n"


def setUpModule():
    stickbed.prepare_or_skip()


class Inside(unitbed.Bed):
    def setUp(self):
        super().setUp()
        self.guest.push(PROBE, harness.SHIMS / "probe", 0o755)
        self.guest.push(BUSYBOX, rig.pathlib.Path(shutil.which("busybox") or "/bin/busybox"), 0o755)
        for address in (PRIVATE, PUBLIC):
            self.guest.run(f"{BUSYBOX} ip address add {address}/32 dev lo")
        self.guest.run(f"modprobe af_alg; {BUSYBOX} ip link set lo up")
        majors = self.guest.run("cat /proc/devices")
        for name in DEVICES:
            kind, _, driver = name.partition("-")
            part = majors.partition("Block devices:")[2 if kind == "block" else 0]
            minor = {"mem": 1, "ttyS": 64, "misc": 183}.get(driver, 0)  # 183: hw_random
            major = re.search(rf"^ *(\d+) {driver}$", part, re.MULTILINE)[1]
            self.guest.run(f"mknod -m 666 /dev/probe-{name} {kind[0]} {major} {minor}")

    def results(self, text):
        found = {attempt: int(result) for attempt, result in (line.split() for line in text.splitlines())}
        self.assertEqual(set(found), set(ATTEMPTS))
        return found

    def probe(self, name):
        """What comes of each attempt in the place of the unit's program."""
        text = self.guest.run(f"systemctl cat {unit(name)} | grep -v '^#'")
        text = re.sub(r"^(Exec\w+|Type|NotifyAccess|Restart\w*|WatchdogSec)=.*\n?", "", text, flags=re.MULTILINE)
        text = text.replace("[Service]", "[Service]\nType=oneshot\nStandardOutput=truncate:/tmp/probed\n"
                            f"ExecStart={PROBE} {' '.join(ATTEMPTS)}", 1)
        self.guest.push(f"{self.drop_ins}/probe.service", text)
        self.guest.run("systemctl daemon-reload; systemctl start probe", 120)
        return self.results(self.guest.run("cat /tmp/probed"))

    def test_74_what_a_unit_does_not_need_fails_inside(self):
        self.begin()
        # for whoever is root and outside, each is possible
        outside = self.results(self.guest.run(f"cd / && {PROBE} {' '.join(ATTEMPTS)}", 120))
        self.assertEqual({attempt: result for attempt, result in outside.items() if result in REFUSED}, {})
        for name in UNITS:
            for attempt, result in self.probe(name).items():
                with self.subTest(unit=name, attempt=attempt):
                    self.assertLess(result, 256, "ended by a signal")
                    succeeds = result not in REFUSED
                    self.assertEqual(succeeds, name in ATTEMPTS[attempt], errno.errorcode.get(result, result))
        self.check_alive()
        harness.figure(f"{len(ATTEMPTS)} attempts from inside each unit; what it does not need fails")


class AtWork(unitbed.Bed):
    def kill_who_tries(self):
        """Instead of an error: whoever calls what its unit forbids ends, and is seen to."""
        for name in UNITS:
            self.guest.push(f"{self.drop_ins}/{unit(name)}.d/kill.conf", KILLING + HARMLESS[name])
        self.guest.run("systemctl daemon-reload")

    def replug(self, slave):
        """The adapter: while it is away, "auto" is not the board's own UART."""
        self.guest.unplug_adapter("one")
        self.wait_words(60, meters="silent")
        self.guest.plug_adapter("one", slave, 1, "FTA")
        self.wait_well()

    @rig.again_if_qemu_ends
    def test_the_programs_do_nothing_that_is_forbidden(self):
        """An hour of work, or less: buses on the network and an adapter, sticks and their repair, a reload, the end."""
        tables = registers.registers(stickbed.MODEL, {"voltage": 230.1, "energy_active_import": 7918565})
        where = self.pymodbus_slave("rtu-tcp", {1: tables})
        slave = "127.0.0.1", int(where.rpartition(":")[2])
        text = (unitbed.configuration(meters=2)
                + f"[bus wire]\nport = auto\n[meter far]\nbus = wire\nmodel = {stickbed.MODEL}\n")
        self.configure(meters=2, text=text)
        self.meters.append("far")
        self.kill_who_tries()
        self.guest.plug_adapter("one", slave, 1, "FTA")
        self.start_all()
        pids = dict(self.pids)
        self.guest.run("systemctl show -p ActiveEnterTimestampMonotonic --value systemd-timedated | grep -v '^0$'")

        # a name by its USB socket, for whoever shares it
        self.assertRegex(self.guest.run("cd /dev/meterstick && ls && readlink usb-*"),
                         r"^usb-\d+-1:1\.0-port0\n\.\./ttyUSB0$")

        # the semaphore of the port and its side lock are there for others
        self.assertEqual(self.guest.run("stat -c '%U %G %a' /dev/shm/sem.rs485 /run/lock/meterstick/rs485").split("\n"),
                         ["meterstick dialout 660"] * 2)
        read = self.guest.run("setpriv --reuid=nobody --regid=dialout --clear-groups "
                              f"meterstick read --model {stickbed.MODEL} --port auto --points voltage", 60)
        self.assertIn("230.1", read)

        end = time.monotonic() + harness.share(3600)
        rounds = 0
        while rounds == 0 or time.monotonic() < end:
            stick = self.make(self.random.choice(("fat32", "exfat")))
            stick.set_dirty()
            self.wait_served(self.plug(stick, 4))
            self.pull(stick)
            self.replug(slave)
            self.guest.run(f"systemctl reload {unit('acquire')}", 60)
            rounds += 1
        stick = self.make("fat32")
        self.wait_served(self.plug(stick, 4))
        self.assertEqual({name: self.pid(name) for name in UNITS}, {name: pids[name] for name in UNITS}, self.log())
        self.stop_unit("acquire")
        self.wait_caught_up()
        self.stop_unit("stick")
        self.stop_unit("leds")
        killed = self.guest.run("journalctl -q -o cat | grep -E 'status=31|SIGSYS|type=1326|signal 31' || true")
        self.assertEqual(killed, "")
        self.assertEqual({self.show(name, "NRestarts")[0] for name in UNITS}, {"0"})
        self.guest.run("test -e /dev/shm/sem.rs485")  # it ends with no unit
        self.pull(stick)
        self.check_journal([], stick)
        harness.figure(f"{rounds} rounds of work inside the sandboxes, nothing forbidden was tried")

    @harness.for_full_counts
    def test_62_a_wrong_configuration_is_tried_again_every_10_seconds(self):
        self.configure()
        right = self.guest.pull("/etc/meterstick/meterstick.conf").decode()
        self.guest.push("/etc/meterstick/meterstick.conf", right.replace("port =", "prot ="))
        self.guest.run(f"systemctl start simulate; systemctl start --no-block {unit('acquire')}")
        self.wait_until(lambda: int(self.show("acquire", "NRestarts")[0]) >= 2, 120, "tried twice more")
        # while it waits, the status says why
        log = self.guest.wait(f"systemctl status {unit('acquire')} > /tmp/said; grep -q status=78 /tmp/said && "
                              "cat /tmp/said")
        self.assertIn("no earlier good configuration", log)
        times = [float(line.split()[0].strip("[]")) for line in self.guest.run(
            f"journalctl -q -o short-monotonic -u {unit('acquire')} | tr -d '[' | grep 'did you mean'").splitlines()]
        for before, after in zip(times, times[1:]):
            self.assertGreater(after - before, 9.5)
            self.assertLess(after - before, stickbed.limit(20))  # a start takes seconds of an emulated machine
        self.guest.push("/etc/meterstick/meterstick.conf", right)
        self.wait_until(lambda: self.committed_seq() > 0, 90, "the right one is taken")
        self.stop_acquire()


if __name__ == "__main__":
    unittest.main()
