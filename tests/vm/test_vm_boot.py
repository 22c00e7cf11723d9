# SPDX-License-Identifier: MIT
# alone
# for full counts
"""
From power to the first reading: a computer is switched on, with a meter behind its adapter and a stick in its socket,
and the units enabled. The figure is against what systemd itself needs for its user space there.
"""

import unittest

import harness
import registers
import rig
import stickbed
import unitbed
from unitbed import UNITS, unit

FACTOR = 1.3
ROWS = "/run/rows"
# Tells from the beginning on when rows are committed, without asking anybody
TELLER = f"""[Unit]
After=systemd-tmpfiles-setup.service
Before=meterstick-acquire.service
[Service]
ExecStartPre=touch {ROWS}
ExecStart=/usr/local/bin/watch 1 {unitbed.RUN}/acquire.json {ROWS}
[Install]
WantedBy=multi-user.target
"""


def setUpModule():
    stickbed.prepare_or_skip()


class Boot(unitbed.Bed):
    drop_ins = "/etc/systemd/system"  # they stay

    def switch_on(self, slave, stick):
        """A cold boot. Returns (the milliseconds of user space until it was complete, until the first commit)."""
        self.guest.shut_down()

        def plug():
            self.guest.plug_adapter("one", slave, 1, "FTA")
            self.guest.plug_stick(stick.name, stick.path, 4)
        self.guest.boot(plug)
        self.guest.run("systemctl is-system-running --wait; true", rig.BOOT_S)
        begin_us, end_us = (int(self.guest.run(f"systemctl show -p {name}TimestampMonotonic --value"))
                            for name in ("Userspace", "Finish"))
        row = self.guest.wait(f"grep -m 1 'committed [0-9]' {ROWS}", 60)
        return (end_us - begin_us) / 1000, float(row.split()[0]) - begin_us / 1000

    def test_65_the_first_row_is_committed_soon_after_a_cold_boot(self):
        tables = registers.registers(stickbed.MODEL, {"voltage": 230.1, "energy_active_import": 7918565})
        where = self.pymodbus_slave("rtu-tcp", {1: tables})
        slave = "127.0.0.1", int(where.rpartition(":")[2])
        self.configure(text=unitbed.configuration().replace("tcp:127.0.0.1:5020", "auto"))
        self.guest.push("/etc/systemd/system/teller.service", TELLER)
        self.guest.run(f"systemctl enable teller {' '.join(unit(name) for name in UNITS)}")
        stick = self.make("fat32")
        seqs, ratios = [], []
        for _ in range(harness.share(10)):
            complete_ms, row_ms = self.switch_on(slave, stick)
            ratios.append(row_ms / complete_ms)
            self.wait_well()
            self.wait_caught_up()
            for name in UNITS:
                self.assertEqual(self.show(name, "ActiveState", "NRestarts"), ["active", "0"], name)
            seqs.append(self.committed_seq())
        harness.figure(f"first row committed at most {max(ratios):.2f} x the user space's time after it began; at the "
                       f"last boot {row_ms / 1000:.1f} s, of {complete_ms / 1000:.1f} s")
        self.assertLess(max(ratios), FACTOR)
        for name in UNITS:
            self.stop_unit(name)
        self.guest.unplug_adapter("one")
        self.pull(stick)
        rows, _ = self.journal()
        self.assertEqual(set(seqs) - rows.keys(), set(), "committed, and lost")


if __name__ == "__main__":
    unittest.main()
