# SPDX-License-Identifier: MIT
"""
USB adapters on a real kernel: FTDI chips that QEMU emulates, with python3-pymodbus behind their wires, plugged and
yanked while `acquire` runs in the guest as an ordinary user. What an emulated adapter cannot show: times of the wire,
the direction of an RS-485 transceiver.
"""

import json
import pathlib
import sqlite3
import subprocess
import tempfile
import time
import unittest

import harness
import registers
import rig

MODEL = "schneider-iem2150"
VALUES = {"current": 5.12, "power_active": 1178.3, "frequency": 49.98, "energy_active_import": 7918565}
RETURN_MS = 5000
LATENCY = "/sys/bus/usb-serial/devices/{}/latency_timer"
USER = "setpriv --reuid=meterstick --regid=meterstick --init-groups"


def setUpModule():
    rig.prepare_or_skip()


class Adapters(harness.Case):
    def setUp(self):
        super().setUp()
        self.guest = rig.Guest(self.directory)
        self.addCleanup(self.guest.close)
        self.guest.push_programs(harness.BIN, harness.MODELS)

    def rules(self):
        self.guest.push("/usr/lib/udev/rules.d/60-meterstick.rules", harness.SOURCE / "board" / "60-meterstick.rules")
        self.guest.run("udevadm control --reload")

    def slave(self, voltage):
        """A meter behind a wire: where it listens."""
        tables = registers.registers(MODEL, dict(VALUES, voltage=voltage))
        where = self.pymodbus_slave("rtu-tcp", {1: tables})
        return "127.0.0.1", int(where.rpartition(":")[2])

    def acquire(self, **ports):
        """acquire with a bus and a meter of that name for each port, every 500 ms."""
        self.guest.push("/etc/meterstick/meterstick.conf", "[appliance]\ninterval = 500 ms\nclock = trusted\n"
                        "log_level = debug\n[journal]\ncommit = 1 s\n"
                        + "".join(f"[bus {name}]\nport = {port}\nlock = none\n[meter {name}]\nbus = {name}\n"
                                  f"model = {MODEL}\n" for name, port in ports.items()))
        self.guest.run("install -d -o meterstick /var/lib/meterstick /run/meterstick")
        self.guest.run("install -m 666 /dev/null /tmp/log")
        self.guest.run(f"{USER} meterstick-acquire > /dev/null 2>> /tmp/log < /dev/null & echo $! > /tmp/pid")

    def status(self):
        return json.loads(self.guest.pull("/run/meterstick/acquire.json"))

    def log(self):
        return self.guest.run("cat /tmp/log")

    def wait_row(self, name, since_ms, seconds=RETURN_MS / 1000):
        """Wait for a committed row of a meter that begins from then on; returns how long after that it began."""
        end = time.monotonic() + seconds + 30
        while time.monotonic() < end:
            try:
                meter = next(meter for meter in self.status()["meters"] if meter["name"] == name)
            except (rig.Failed, ValueError, StopIteration):
                meter = {}
            committed_ms = meter.get("committed_boot_ms")
            if committed_ms and committed_ms >= since_ms:
                return committed_ms - since_ms
            time.sleep(0.1)
        self.fail(f"no new row of {name}: {self.log()}")

    def wait_back(self, name):
        """The same, from now on, and not later than it must be."""
        begin_ms = self.guest.boot_ms()
        took_ms = self.wait_row(name, begin_ms)
        self.assertLess(took_ms, RETURN_MS, self.log())
        return took_ms

    def rows(self):
        """Stop acquire and take its journal: {meter: [values]}."""
        self.guest.run("pid=$(cat /tmp/pid); kill $pid; while kill -0 $pid 2> /dev/null; do sleep 0.1; done")
        self.guest.run("tar -C /var/lib/meterstick -cf /tmp/journal.tar journal")
        result = {}
        with tempfile.TemporaryDirectory() as directory:
            archive = pathlib.Path(directory) / "journal.tar"
            archive.write_bytes(self.guest.pull("/tmp/journal.tar"))
            subprocess.run(["tar", "-C", directory, "-xf", str(archive)], check=True)
            for path in sorted((pathlib.Path(directory) / "journal").glob("*.db")):
                database = sqlite3.connect(path)
                for name, layout, values in database.execute("SELECT name, layout, vals FROM sample JOIN meter "
                                                             "ON meter.id = sample.meter ORDER BY seq"):
                    names = [column["quantity"] for column in json.loads(layout)]
                    result.setdefault(name, []).append(dict(zip(names, json.loads(values))))
                database.close()
        return result

    def check_rows(self, **voltages):
        rows = self.rows()
        for name, voltage in voltages.items():
            self.assertGreater(len(rows.get(name, [])), 1, name)
            self.assertLessEqual({row["voltage"] for row in rows[name]}, {voltage, None}, name)

    @rig.again_if_qemu_ends
    def test_ftdi_answers_within_a_millisecond_by_ioctl_and_by_rule(self):
        slave = self.slave(230.1)
        self.guest.plug_adapter("one", slave, 1, "FTA")
        self.guest.wait("test -e /dev/serial/by-id/*FTA*")
        latency = LATENCY.format("ttyUSB0")
        self.assertNotEqual(self.guest.run(f"cat {latency}"), "1")  # QEMU's chip says 0, others 16

        # by ioctl, of an ordinary user, for as long as it is open
        said = self.guest.run(f"{USER} meterstick read --model {MODEL} --port serial:FTA --points voltage --format csv "
                              "--interval 1 --count 3 > /tmp/read 2> /tmp/err & sleep 2; cat " + latency + "; wait; cat /tmp/read")
        self.assertEqual(said.split()[0], "1")
        self.assertIn("230.1", said)

        # by rule, for every program
        self.rules()
        self.guest.unplug_adapter("one")
        self.guest.wait(f"! test -e {latency}")
        self.guest.plug_adapter("one", slave, 1, "FTA")
        self.guest.wait("test -e /dev/serial/by-id/*FTA*")
        self.guest.wait(f"test $(cat {latency}) = 1", 5)
        self.assertIn("ID_MM_PORT_IGNORE=1", self.guest.run("udevadm info /dev/ttyUSB0"))
        self.assertEqual(self.guest.run("stat -c %G /dev/ttyUSB0"), "dialout")

        ports = self.guest.run(f"{USER} meterstick ports")
        names = [line.split()[0] for line in ports.splitlines()]
        self.assertEqual(names[:2], ["/dev/ttyUSB0", "serial:FTA"])
        self.assertTrue(names[2].startswith("/dev/serial/by-id/") and names[2].endswith("FTA-if00-port0"), ports)
        self.assertRegex(names[3], r"usb:\d-1$")
        self.assertTrue(names[4].startswith("/dev/serial/by-path/"), ports)
        for name in names[:5]:
            said = self.guest.run(f"{USER} meterstick read --model {MODEL} --port {name} --points voltage")
            self.assertIn("230.1", said, name)

    @rig.again_if_qemu_ends
    def test_a_yanked_adapter_is_polled_again_under_another_name(self):  # fault 13
        self.rules()
        slaves = {"a": self.slave(228.1), "b": self.slave(232.2)}
        self.guest.plug_adapter("a", slaves["a"], 1, "FTA")
        self.guest.wait("test -e /dev/ttyUSB0")
        self.acquire(a="serial:FTA", b="serial:FTB")
        self.wait_row("a", 0, 20)
        self.assertEqual(self.guest.run("cat " + LATENCY.format("ttyUSB0")), "1")

        took = []
        for _ in range(3):
            self.guest.unplug_adapter("a")
            self.guest.wait("! test -e /dev/ttyUSB0")
            # its name is free: nobody holds the dead device open
            self.guest.plug_adapter("b", slaves["b"], 2, "FTB")
            self.guest.wait("test -e /dev/serial/by-id/*FTB*")
            self.assertEqual(self.guest.run("basename $(readlink /dev/serial/by-id/*FTB*)"), "ttyUSB0")
            self.guest.plug_adapter("a", slaves["a"], 3, "FTA")
            self.guest.wait("test -e /dev/serial/by-id/*FTA*")
            self.assertEqual(self.guest.run("basename $(readlink /dev/serial/by-id/*FTA*)"), "ttyUSB1")
            took.append(self.wait_back("a"))
            took.append(self.wait_back("b"))
            self.guest.unplug_adapter("b")
            self.guest.unplug_adapter("a")
            self.guest.wait("! test -e /dev/ttyUSB0 && ! test -e /dev/ttyUSB1")
            self.guest.plug_adapter("a", slaves["a"], 1, "FTA")
            self.guest.wait("test -e /dev/ttyUSB0")
            took.append(self.wait_back("a"))
        print(f"polled again after {min(took)} to {max(took)} ms")
        self.check_rows(a=228.1, b=232.2)

    @rig.again_if_qemu_ends
    def test_swapped_adapters_keep_their_meters_by_socket_and_by_path(self):  # fault 13
        self.rules()
        slaves = {"a": self.slave(228.1), "b": self.slave(232.2)}
        for name, port in (("a", 1), ("b", 2)):
            self.guest.plug_adapter(name, slaves[name], port, f"FT{name}")
            self.guest.wait(f"test -e /dev/serial/by-id/*FT{name}*")
        path = self.guest.run("ls /dev/serial/by-path/*:1:1.0-port0")
        socket = next(word for word in self.guest.run("meterstick ports").split()
                      if word.startswith("usb:") and word.endswith("-2"))
        self.acquire(a=path, b=socket)
        self.wait_row("a", 0, 20)
        self.wait_row("b", 0, 20)
        for order in (("b", 2), ("a", 1)), (("a", 1), ("b", 2)):
            self.guest.unplug_adapter("a")
            self.guest.unplug_adapter("b")
            self.guest.wait("! ls /dev/ttyUSB*")
            for name, port in order:
                self.guest.plug_adapter(name, slaves[name], port, f"FT{name}")
                self.guest.wait(f"test -e /dev/serial/by-id/*FT{name}*")
            first = self.guest.run(f"basename $(readlink /dev/serial/by-id/*FT{order[0][0]}*)")
            self.assertEqual(first, "ttyUSB0")
            self.wait_back("a")
            self.wait_back("b")
        self.check_rows(a=228.1, b=232.2)

    @harness.for_full_counts
    def test_what_ftdi_cannot_do_is_said(self):
        self.guest.plug_adapter("one", self.slave(230.1), 1, "FTA")
        self.guest.wait("test -e /dev/serial/by-id/*FTA*")
        self.guest.push("/tmp/c.conf", f"[bus a]\nport = auto\nrs485 = kernel\n[meter m]\nbus = a\nmodel = {MODEL}\n")
        status, said = self.guest.status(f"{USER} meterstick read --config /tmp/c.conf")
        self.assertEqual(status, 69, said)
        self.assertIn("the driver of /dev/ttyUSB0 cannot turn an RS-485 transceiver round", said)
        self.guest.run("sed -i 's/= kernel/= adapter/' /tmp/c.conf")
        self.assertIn("230.1", self.guest.run(f"{USER} meterstick read --config /tmp/c.conf"))


class Sticks(harness.Case):
    """Of the rig itself: sectors that a guest writes are in the file, and of a yanked stick nothing can be had."""

    @harness.for_full_counts
    def test_a_stick_is_plugged_written_and_yanked(self):
        file = self.directory / "stick.img"
        with open(file, "wb") as image:
            image.truncate(64 << 20)
        with rig.Guest(self.directory) as guest:
            guest.plug_stick("stick", file, 4)
            guest.wait("test -b /dev/sda")
            guest.run("mkfs.vfat /dev/sda > /dev/null; mkdir /tmp/m; mount -t vfat /dev/sda /tmp/m")
            guest.run("echo row > /tmp/m/a; sync")
            self.assertIn(b"row\n", file.read_bytes())
            guest.unplug_stick("stick")
            guest.wait("! test -b /dev/sda")
            status, said = guest.status("dd if=/dev/zero of=/tmp/m/b bs=4k count=1 conv=fsync")
            self.assertNotEqual(status, 0, said)
            guest.run("umount -l /tmp/m")
            guest.save("later")
            guest.run("touch /tmp/after")
            guest.restore("later")
            self.assertNotEqual(guest.status("test -e /tmp/after")[0], 0)


if __name__ == "__main__":
    unittest.main()
