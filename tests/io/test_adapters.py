# SPDX-License-Identifier: MIT
"""
Adapters that come and go: a port is a link that is taken away and points elsewhere afterwards, or a device of a
make-believe machine with udev (testbed.py). Whatever happens, polling goes on within 5 s of the return, and no row
stands under another meter than its own (faults 13, 14 and 15).
"""

import os
import pathlib
import re
import threading
import time
import unittest

import harness
import registers
import test_acquire
import testbed

RETURN_S = 5  # polling goes on within so much of the return


class Meter:
    """One meter behind an adapter. Its voltage is its own, so that a row shows whose it is."""

    def __init__(self, case, voltage, unit=1):
        self.voltage, self.unit = voltage, unit
        self.case = case
        self.tables = registers.registers(test_acquire.MODEL, dict(test_acquire.LOGGED, voltage=voltage))
        self.half = threading.Event()   # answer with half a frame from now on
        self.halved = threading.Event()
        self.liar = None

    def plug(self):
        """An adapter: the path of its pty."""
        self.liar = harness.Liar("rtu", self._answer)
        self.case.addCleanup(self.unplug)
        return self.liar.where

    def unplug(self):
        if self.liar:
            self.liar.close()
            self.liar = None

    def _answer(self, request):
        if request[0] != self.unit:
            return []
        answer = registers.server(self.tables, "rtu")(request)
        if self.half.is_set():
            self.halved.set()
            return [(delay, data[:len(data) // 2]) for delay, data in answer]
        return answer


class Case(test_acquire.Case):
    def meters(self, *voltages):
        return [Meter(self, voltage) for voltage in voltages]

    def buses(self, **ports):
        """[bus] and [meter] of the same name for each port."""
        return "".join(f"[bus {name}]\nport = {port}\n[meter {name}]\nbus = {name}\nmodel = {test_acquire.MODEL}\n"
                       for name, port in ports.items())

    def check_rows(self, **voltages):
        """Each row of a meter is its own."""
        for name, voltage in voltages.items():
            rows = self.rows(name)
            self.assertTrue(rows, name)
            for seq, _, quality, values in rows:
                self.assertIn(values["voltage"], (voltage, None), f"row {seq} of {name} ({quality})")

    def wait_new_row(self, name, seconds=RETURN_S):
        """Wait for a row that begins from now on; returns after how long."""
        begin = time.monotonic()
        boot_ms = time.clock_gettime(time.CLOCK_BOOTTIME) * 1000
        # a row is committed a second and more after it began: what counts is when it began
        rows = harness.wait_until(lambda: [row for row in self.rows(name) if row[1] >= boot_ms], seconds + 30,
                                  f"a new row of {name}: {self.log.read_text()}")
        self.assertLess((rows[0][1] - boot_ms) / 1000, seconds, self.log.read_text())
        return time.monotonic() - begin

    def wait_gone(self, name):
        harness.wait_until(lambda: f"bus '{name}' cannot be used" in self.log.read_text(), 15, self.log.read_text())


class Links(Case):
    """A directory of links, as udev keeps them in /dev/serial/by-id and by-path; nobody tells when they change."""

    def link(self, name, target):
        path = self.directory / "dev" / "serial" / "by-id" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.symlink_to(target)
        return path

    def test_unplugged_in_mid_frame_it_comes_back_under_another_name(self):  # fault 13
        (meter,) = self.meters(231.7)
        link = self.link("a", meter.plug())
        first = os.readlink(link)
        process = self.acquire(self.configure(self.buses(a=link)))
        self.wait_rows(1, "a")

        meter.half.set()
        self.assertTrue(meter.halved.wait(10))
        link.unlink()
        meter.unplug()
        self.wait_gone("a")
        harness.wait_until(lambda: self.status()["state"] == "failed", 15)
        harness.wait_until(lambda: "there is no device" in self.status()["error"], 15)

        meter.half.clear()
        holder = harness.raw_pty()  # takes the name that is free now
        self.addCleanup(lambda: (os.close(holder[0]), os.close(holder[2])))
        self.link("a", meter.plug())
        self.assertNotEqual(os.readlink(link), first)
        self.wait_new_row("a")
        harness.wait_until(lambda: self.status()["state"] == "running", 10)
        self.assertIsNone(self.status()["error"])
        self.end(process)
        self.check_rows(a=231.7)

    def test_a_port_that_is_absent_at_start_is_looked_for_and_not_only_at_each_slice(self):  # fault 14
        (meter,) = self.meters(229.3)
        link = self.directory / "dev" / "serial" / "by-id" / "a"
        process = self.acquire(self.configure(self.buses(a=link), interval="1 h"))
        harness.wait_until(lambda: self.status()["state"] == "failed", 15)
        self.assertIn(f"there is no device {link}", self.status()["error"])
        self.assertEqual(self.meterstick("read", "--model", test_acquire.MODEL, "--port", link).returncode, 69)

        self.link("a", meter.plug())
        self.wait_new_row("a")
        self.end(process)
        self.check_rows(a=229.3)
        self.assertEqual(len(self.rows("a")), 1)  # its slice lasts an hour

    def test_a_slice_has_one_row_although_the_adapter_went_and_came(self):
        (meter,) = self.meters(229.3)
        link = self.link("a", meter.plug())
        process = self.acquire(self.configure(self.buses(a=link), interval="1 h"))
        self.wait_rows(1, "a")
        for count in range(2):
            link.unlink()
            meter.unplug()
            harness.wait_until(lambda: self.log.read_text().count("cannot be used: " + str(link)) > count, 15)
            self.link("a", meter.plug())
            harness.wait_until(lambda: self.log.read_text().count("can be used again") > count, 15)
        self.end(process)
        self.assertEqual(len(self.rows("a")), 1)

    def test_a_port_without_permission_is_used_when_it_is_given(self):  # fault 14
        (meter,) = self.meters(233.9)
        link = self.link("a", meter.plug())
        os.chmod(os.readlink(link), 0)
        options = {}
        if os.getuid() == 0:  # root may do everything: somebody else runs it
            os.chmod(self.directory, 0o777)
            options = harness.as_nobody()
            os.chown(os.readlink(link), 65534, 65534)
        process = self.acquire(self.configure(self.buses(a=link)), **options)
        harness.wait_until(lambda: "no permission for " in (self.status().get("error") or ""), 15)
        harness.wait_until(lambda: self.status()["state"] == "failed", 15)
        os.chmod(os.readlink(link), 0o600)
        self.wait_new_row("a")
        self.end(process)
        self.check_rows(a=233.9)

    def test_adapters_that_swap_their_names_keep_their_meters(self):  # fault 13
        one, two = self.meters(228.1, 232.2)
        links = {"a": self.link("a", one.plug()), "b": self.link("b", two.plug())}
        process = self.acquire(self.configure(self.buses(**links)))
        self.wait_rows(1, "a")
        self.wait_rows(1, "b")
        for meters in ((two, one), (one, two)):
            for name, meter in (("a", one), ("b", two)):
                links[name].unlink()
                meter.unplug()
            # the one that is plugged in first gets the name that the other had
            paths = {meter: meter.plug() for meter in meters}
            self.link("a", paths[one])
            self.link("b", paths[two])
            for name in ("a", "b"):
                self.wait_new_row(name, RETURN_S + 3)  # it went twice within a few seconds
        self.end(process)
        self.check_rows(a=228.1, b=232.2)

    def test_a_second_talker_costs_attempts_and_never_a_wrong_row(self):  # fault 15
        rng = harness.random_source()
        (meter,) = self.meters(230.5)
        strange = dict(test_acquire.LOGGED, voltage=111.1)
        other = registers.server(registers.registers(test_acquire.MODEL, strange), "rtu")
        last = [time.monotonic()]

        def babble():
            """Somebody else's request and its meter's answer, as both are heard on the wire."""
            if time.monotonic() - last[0] < rng.uniform(0.05, 0.3):
                return b""
            last[0] = time.monotonic()
            request = bytes((rng.choice((2, 9)), 3, 0x0B, 0xD3, 0, 2))
            request += harness.crc16(request)
            return request + b"".join(data for _, data in other(request))

        def answer(request):
            """The meter's own answer, now and then with somebody else's bytes in it."""
            answers = registers.server(meter.tables, "rtu")(request) if request[0] == 1 else []
            if rng.random() < 0.2 and answers:
                (delay, data), noise = answers[0], bytes(rng.randrange(256) for _ in range(rng.randrange(1, 9)))
                cut = rng.randrange(len(data))
                return [(delay, data[:cut] + noise + data[cut:])]
            return answers

        liar = harness.Liar("rtu", answer, babble)
        self.addCleanup(liar.close)
        process = self.acquire(self.configure(self.buses(a=liar.where), interval="200 ms"))
        self.wait_rows(20, "a", 60)
        self.end(process)
        rows = self.rows("a")
        self.check_rows(a=230.5)
        self.assertGreater(sum(row[3]["voltage"] == 230.5 for row in rows), len(rows) // 2)

    def test_a_driver_that_cannot_turn_the_transceiver_is_a_fault_of_the_port(self):
        (meter,) = self.meters(230.5)
        link = self.link("a", meter.plug())
        config = self.configure(self.buses(a=link).replace("[meter", "rs485 = kernel\n[meter"))
        process = self.acquire(config)
        harness.wait_until(lambda: "cannot turn an RS-485 transceiver" in (self.status().get("error") or ""), 15)
        self.assertEqual(self.status()["state"], "failed")
        self.end(process)
        self.assertEqual(self.rows("a"), [])
        result = self.meterstick("read", "--config", config)
        self.assertEqual(result.returncode, 69)
        self.assertIn("rs485 = adapter", result.stderr)


@unittest.skipUnless(pathlib.Path(testbed.WRAPPER).exists(), "umockdev is not here (package umockdev)")
class Machine(Case):
    """A make-believe machine with udev."""

    def setUp(self):
        super().setUp()
        self.machine = testbed.Testbed(self)

    def acquire(self, config, **options):
        program = harness.BIN / "meterstick-acquire"
        return super().acquire(config, environment=self.machine.environment(program), **options)

    def ports(self):
        program = harness.BIN / "meterstick"
        return self.meterstick("ports", status=0, env=dict(os.environ, **self.machine.environment(program))).stdout

    def test_ports_prints_every_name_that_a_port_may_have(self):
        one, two = self.meters(230, 231)
        self.machine.plug("ttyUSB0", "1-1.2", one.plug(), "A50285BI")
        self.machine.plug("ttyUSB1", "1-1.3", two.plug(), None, "USB Serial")
        links = pathlib.Path(self.machine.root) / "dev" / "serial"
        for folder, name in (("by-id", "usb-FTDI_A50285BI-if00-port0"), ("by-path", "pci-0-usb-0:1.2:1.0-port0")):
            (links / folder).mkdir(parents=True)
            (links / folder / name).symlink_to("../../ttyUSB0")
        words = [line.split()[0] for line in self.ports().splitlines()]
        self.assertEqual(words, ["/dev/ttyUSB0", "serial:A50285BI", "/dev/serial/by-id/usb-FTDI_A50285BI-if00-port0",
                                 "usb:1-1.2", "/dev/serial/by-path/pci-0-usb-0:1.2:1.0-port0",
                                 "/dev/ttyUSB1", "usb:1-1.3"])
        environment = dict(os.environ, METERSTICK_MODELS=str(harness.MODELS),
                           **self.machine.environment(harness.BIN / "meterstick"))
        for name in words:
            result = self.meterstick("read", "--model", test_acquire.MODEL, "--port", name, "--points", "voltage",
                                     "--format", "csv", env=environment)
            expect = "231" if name in ("/dev/ttyUSB1", "usb:1-1.3") else "230"
            self.assertIn(expect, result.stdout, f"{name}: {result.stderr}")

    def test_udev_says_that_it_is_back_and_the_bus_looks_at_once(self):
        (meter,) = self.meters(227.7)
        self.machine.plug("ttyUSB0", "1-1.2", meter.plug(), "FTA")
        process = self.acquire(self.configure("[appliance]\nlog_level = debug\n" + self.buses(a="auto")))
        self.wait_rows(1, "a")
        self.machine.unplug("ttyUSB0")
        meter.unplug()
        self.wait_gone("a")
        self.machine.plug("ttyUSB1", "1-1.4", meter.plug(), "FTA")
        self.wait_new_row("a")
        self.end(process)
        log = self.log.read_text()
        self.assertRegex(log, r"/dev/ttyUSB0 is gone")
        self.assertRegex(log, r"/dev/ttyUSB1 is there")
        # told, looked, found: no second had to pass
        self.assertRegex(log, r"told of a port\n.*bus 'a' can be used again")
        self.check_rows(a=227.7)

    def test_auto_stays_with_the_adapter_though_the_board_has_a_uart(self):  # fault 13
        here, board = self.meters(230, 231)
        self.machine.solder("ttyS0", board.plug())
        self.machine.plug("ttyUSB0", "1-1.2", here.plug(), "A50285BI")
        process = self.acquire(self.configure(self.buses(a="auto")))
        self.wait_new_row("a")
        for name in ("ttyUSB1", "ttyUSB0"):
            self.machine.unplug("ttyUSB0" if name == "ttyUSB1" else "ttyUSB1")
            here.unplug()
            harness.wait_until(lambda: "ttyS0 is not taken for it" in self.log.read_text(), 30, "it is missed")
            self.machine.plug(name, "1-1.2", here.plug(), "A50285BI")
            self.wait_new_row("a")
            self.log.write_text("")
        self.end(process)
        self.check_rows(a=230)

    def test_auto_leaves_a_uart_where_nobody_has_answered_for_an_adapter(self):
        here, board = self.meters(230, 231)
        board.unit = 9
        self.machine.solder("ttyS0", board.plug())
        process = self.acquire(self.configure(self.buses(a="auto")))
        harness.wait_until(lambda: self.status()["state"] == "failed", 20, self.log.read_text())
        self.machine.plug("ttyUSB0", "1-1.2", here.plug(), "A50285BI")
        self.wait_new_row("a", 60)  # a dead meter is found again by then
        self.assertIn("an adapter is there now", self.log.read_text())
        self.end(process)
        self.check_rows(a=230)

    def test_auto_stays_with_a_uart_where_somebody_has_answered(self):
        here, board = self.meters(230, 231)
        self.machine.solder("ttyS0", board.plug())
        process = self.acquire(self.configure(self.buses(a="auto")))
        self.wait_new_row("a", 30)
        self.machine.plug("ttyUSB0", "1-1.2", here.plug(), "A50285BI")
        for _ in range(3):
            self.wait_new_row("a")
        self.end(process)
        self.check_rows(a=231)

    def test_a_search_on_a_uart_where_nobody_is_goes_to_an_adapter(self):
        here, board = self.meters(230, 231)
        here.tables = registers.registers(test_acquire.MODEL, dict(
            test_acquire.LOGGED, voltage=230, meter_model="iEM2150", manufacturer="Schneider Electric"))
        board.unit = 200
        self.machine.solder("ttyS0", board.plug())
        process = self.acquire(self.configure("[bus a]\nport = auto\n"))
        harness.wait_until(lambda: self.status().get("scan", {}).get("percent", 0) > 0
                           or "address 3" in str(self.status().get("scan")), 90, self.log.read_text())
        self.machine.plug("ttyUSB0", "1-1.2", here.plug(), "A50285BI")
        name = f"{test_acquire.MODEL}-1"
        try:
            harness.wait_until(lambda: self.rows(name), 60, name)
        except AssertionError:
            self.fail(f"{self.log.read_text()} {self.status()}")
        self.end(process)
        self.check_rows(**{f"{test_acquire.MODEL}-1": 230})

    def test_without_udev_the_same_takes_a_second_longer(self):
        (meter,) = self.meters(227.7)
        self.machine.plug("ttyUSB0", "1-1.2", meter.plug(), "FTA")
        process = self.acquire(self.configure("[appliance]\nlog_level = debug\n" + self.buses(a="auto")))
        self.wait_rows(1, "a")
        self.machine.deafen()
        self.machine.unplug("ttyUSB0")
        meter.unplug()
        self.wait_gone("a")
        self.machine.plug("ttyUSB1", "1-1.4", meter.plug(), "FTA")
        self.wait_new_row("a")
        self.end(process)
        self.assertNotIn("told of a port", self.log.read_text())
        self.check_rows(a=227.7)

    def swap(self, one_port, two_port, sockets, numbers=("FTA", "FTB")):
        """Both are unplugged and come back with their names exchanged, in such sockets."""
        one, two = self.meters(228.1, 232.2)
        self.machine.plug("ttyUSB0", "1-1.2", one.plug(), numbers[0])
        self.machine.plug("ttyUSB1", "1-1.3", two.plug(), numbers[1])
        process = self.acquire(self.configure(self.buses(a=one_port, b=two_port)))
        self.wait_rows(1, "a")
        self.wait_rows(1, "b")
        for name, meter in (("ttyUSB0", one), ("ttyUSB1", two)):
            self.machine.unplug(name)
            meter.unplug()
        self.wait_gone("a")
        self.wait_gone("b")
        self.machine.plug("ttyUSB0", sockets[1], two.plug(), numbers[1])
        time.sleep(1.5)  # a hub brings them one by one: who looks now finds the wrong one
        self.machine.plug("ttyUSB1", sockets[0], one.plug(), numbers[0])
        for name in ("a", "b"):
            self.wait_new_row(name)
        self.end(process)
        self.check_rows(a=228.1, b=232.2)

    def test_sockets_keep_their_meters_when_the_devices_are_swapped(self):  # fault 13
        self.swap("usb:1-1.2", "usb:1-1.3", ("1-1.2", "1-1.3"))

    def test_serial_numbers_go_with_their_adapters_to_other_sockets(self):  # fault 13
        self.swap("serial:FTA", "serial:FTB", ("1-1.3", "1-1.2"))

    def test_a_device_by_name_means_the_adapter_that_it_was(self):  # fault 13
        self.swap("/dev/ttyUSB0", "/dev/ttyUSB1", ("1-1.3", "1-1.2"))

    def test_adapters_without_a_number_are_followed_by_their_sockets(self):
        self.swap("usb:1-1.2", "/dev/ttyUSB1", ("1-1.2", "1-1.3"), (None, None))

    def test_another_adapter_is_a_replacement_when_the_first_stays_away(self):
        one, two = self.meters(228.1, 232.2)
        self.machine.plug("ttyUSB0", "1-1.2", one.plug(), "FTA")
        process = self.acquire(self.configure(self.buses(a="/dev/ttyUSB0")))
        self.wait_rows(1, "a")
        self.machine.unplug("ttyUSB0")
        one.unplug()
        self.wait_gone("a")
        self.machine.plug("ttyUSB0", "1-1.2", two.plug(), "FTB")
        harness.wait_until(lambda: "is another adapter now (serial:FTB); waiting for the one before (serial:FTA)"
                           in (self.status().get("error") or ""), 8)
        harness.wait_until(lambda: any(row[3]["voltage"] == 232.2 for row in self.rows("a")), 40)
        self.end(process)

    def test_a_bus_by_number_waits_for_its_own_adapter(self):
        one, two = self.meters(228.1, 232.2)
        self.machine.plug("ttyUSB0", "1-1.2", two.plug(), "FTB")
        process = self.acquire(self.configure(self.buses(a="serial:FTA")))
        harness.wait_until(lambda: "no serial adapter with serial number FTA" in (self.status().get("error") or ""), 15)
        self.assertIn("/dev/ttyUSB0", self.status()["error"])
        self.machine.plug("ttyUSB1", "1-1.3", one.plug(), "FTA")
        self.wait_new_row("a")
        self.end(process)
        self.check_rows(a=228.1)

    def test_a_hub_that_dips_ten_times_is_a_few_lines_of_the_log(self):
        (meter,) = self.meters(227.7)
        self.machine.plug("ttyUSB0", "1-1.2", meter.plug(), "FTA")
        process = self.acquire(self.configure(self.buses(a="serial:FTA")))
        self.wait_rows(1, "a")
        end = time.monotonic() + 6
        dips = 0
        while time.monotonic() < end:
            self.machine.unplug(f"ttyUSB{dips}")
            meter.unplug()
            time.sleep(0.15)  # the dip itself
            dips += 1
            self.machine.plug(f"ttyUSB{dips}", "1-1.2", meter.plug(), "FTA")
            time.sleep(0.15)
        self.assertGreater(dips, 5)
        self.wait_new_row("a")
        self.end(process)
        self.check_rows(a=227.7)
        self.assertLess(len(re.findall("can(not)? be used", self.log.read_text())), 12)


if __name__ == "__main__":
    unittest.main()
