# SPDX-License-Identifier: MIT
"""
SIGHUP: another configuration while the program runs. What it does not change goes on as if nothing had been, what is
not valid changes nothing and says why, and the last good one serves at the next start.
"""

import os
import pathlib
import select
import signal
import socket
import sqlite3
import struct
import threading
import time
import unittest

import harness
import registers
from test_acquire import LOGGED, MODEL, Case as AcquireCase, Line

INTERVAL_MS = 300


def bus(name, where):
    return f"[bus {name}]\nport = {where}\nserial = 115200 8N1\n"


def meter(name, bus_name, more="", address=1):
    return f"[meter {name}]\nbus = {bus_name}\nmodel = {MODEL}\naddress = {address}\nlog = voltage, current\n{more}\n"


class Case(AcquireCase):
    def configure(self, text, interval=f"{INTERVAL_MS} ms", commit="1 s", journal=""):
        return super().configure(f"{journal}\n{text}", interval, commit)

    def reload(self, process, text, **options):
        """Configure anew, tell it, and wait for its answer. Returns the new event."""
        before = len(self.events("config"))
        self.configure(text, **options)
        process.send_signal(signal.SIGHUP)
        return harness.wait_until(lambda: self.events("config")[before:], 30, self.log.read_text())[0]

    @staticmethod
    def threads(process):
        """{name: (thread id, when it began)}"""
        result = {}
        for task in pathlib.Path(f"/proc/{process.pid}/task").iterdir():
            try:
                status = (task / "stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            name, rest = status[status.index("(") + 1:].rsplit(") ", 1)
            result[name] = (int(task.name), rest.split()[19])
        return result

    @staticmethod
    def open_files(process):
        return sorted(os.readlink(path) for path in pathlib.Path(f"/proc/{process.pid}/fd").iterdir())

    def check_no_gap(self, name, since_ms, until_ms):
        """A row each interval: one that is late for 0.9 of it would have lost its slice."""
        times = [row[1] for row in self.rows(name) if since_ms <= row[1] <= until_ms]
        slices = [round(t / INTERVAL_MS) for t in [t - times[0] for t in times]]
        self.assertEqual(slices, list(range(len(slices))), f"{name}: {[b - a for a, b in zip(times, times[1:])]}")
        self.assertGreater(len(slices), 5)
        self.assertEqual(self.events("missed"), [])
        self.assertEqual(self.meter(name)["skipped"], 0)


class Valid(Case):
    def test_what_did_not_change_goes_on_and_the_rest_follows(self):
        """One bus of three changes, one goes, one comes; the one that stays misses nothing and keeps its line."""
        calm = self.pymodbus_slave("rtu", {1: registers.registers(MODEL, LOGGED), 2: registers.registers(MODEL, LOGGED)})
        busy = self.pymodbus_slave("rtu", {1: registers.registers(MODEL, LOGGED), 2: registers.registers(MODEL, LOGGED)})
        going, coming = Line(self, [1], transport="tcp"), Line(self, [1], transport="tcp")
        stays = bus("calm", calm) + meter("calm-1", "calm") + meter("calm-2", "calm", address=2)
        process = self.acquire(self.configure(stays + bus("busy", busy) + meter("busy-1", "busy")
                                              + bus("going", going.where) + meter("gone", "going")))
        since = self.wait_rows(3, "calm-1")[0][1]
        for name in ("calm-2", "busy-1", "gone"):
            self.wait_rows(3, name)
        before = self.threads(process)
        good = self.state / "good.conf"
        first_good = good.read_text()

        event = self.reload(process, stays.replace("[meter calm-1]", "[meter calm-1]\nlabel = Kitchen") + bus("busy", busy)
                            + meter("busy-1", "busy", "interval = 600 ms") + meter("busy-2", "busy", address=2)
                            + bus("coming", coming.where) + meter("new", "coming"))
        self.assertEqual(event, "taken: 1 buses go on, 1 changed, 1 new, 1 removed; 5 meters")
        rows = {name: self.wait_rows(4, name) for name in ("new", "busy-2")}
        count = len(self.rows("busy-1"))
        until = self.wait_rows(count + 4, "busy-1")[-1][1]

        self.check_no_gap("calm-1", since, until)
        self.check_no_gap("calm-2", since, until)
        after = self.threads(process)
        self.assertEqual(before["calm"], after["calm"])
        self.assertNotEqual(before["busy"], after["busy"])
        self.assertNotIn("going", after)
        times = [row[1] for row in self.rows("busy-1")][-4:]
        self.assertTrue(all(b - a > 500 for a, b in zip(times, times[1:])), times)
        self.assertEqual(rows["new"][0][3], {"voltage": 230.1, "current": 5.12})

        gone = len(self.rows("gone"))
        self.assertEqual([entry["name"] for entry in self.status()["meters"]],
                         ["calm-1", "calm-2", "busy-1", "busy-2", "new"])
        self.assertIsNone(self.status()["error"])
        harness.wait_until(lambda: good.read_text() != first_good, 5, "good.conf is the new one")
        self.assertIn("[meter busy-2]", good.read_text())
        self.assertFalse(going.liar.connected())
        sequence = [row[0] for row in self.rows()]
        self.assertEqual(sequence, list(range(sequence[0], sequence[0] + len(sequence))))
        self.end(process)
        self.assertEqual(gone, len(self.rows("gone")))

    def test_two_buses_may_swap_their_ports(self):
        """Who comes begins only when who had the port has let it go."""
        lines = [Line(self, [1]), Line(self, [1], values=dict(LOGGED, voltage=111))]
        process = self.acquire(self.configure(
            "".join(bus(name, line.where) + meter(f"m{name}", name) for name, line in zip("ab", lines))))
        self.assertEqual(self.wait_rows(3, "ma")[0][3]["voltage"], 230.1)
        self.wait_rows(3, "mb")
        event = self.reload(process, "".join(bus(name, line.where) + meter(f"m{name}", name)
                                             for name, line in zip("ab", reversed(lines))))
        self.assertIn("2 changed", event)
        harness.wait_until(lambda: self.rows("ma")[-1][3]["voltage"] == 111
                           and self.rows("mb")[-1][3]["voltage"] == 230.1, 15, self.log.read_text())
        self.assertEqual(self.events("lost"), [])
        self.assertNotIn("cannot be used", self.log.read_text())
        values = [row[3]["voltage"] for row in self.rows("ma")]
        self.assertEqual(values, sorted(values, reverse=True))  # 230.1, and from some row on 111

    def test_rows_in_the_queue_outlive_their_meter(self):
        """Removed while its rows wait for the next commit: they are stored under its name."""
        line, other = Line(self, [1]), Line(self, [1])
        process = self.acquire(self.configure(bus("a", line.where) + meter("ma", "a") + bus("b", other.where)
                                              + meter("mb", "b"), commit="30 s"))
        self.wait_rows(1, "ma")
        harness.wait_until(lambda: self.meter("ma").get("values"), 10)
        time.sleep(1.5)  # some rows in the queue, until the next commit in 30 s
        self.configure(bus("b", other.where) + meter("mb", "b") + bus("c", line.where) + meter("mc", "c"), commit="30 s")
        process.send_signal(signal.SIGHUP)
        self.wait_rows(1, "mc")
        names = [name for name, in self.query("SELECT name FROM sample JOIN meter ON meter.id = meter ORDER BY seq")]
        self.assertGreaterEqual(names.count("ma"), 4)
        self.assertLess(max(i for i, name in enumerate(names) if name == "ma"), names.index("mc"))
        self.end(process)

    def test_the_settings_of_the_journal_and_the_clock_count_at_once(self):
        line = Line(self, [1])
        text = bus("a", line.where) + meter("ma", "a")
        process = self.acquire(self.configure(text, commit="60 s", journal="[journal]\nkeep_words = no\n"))
        self.wait_rows(1, "ma")
        before = self.threads(process)["a"]
        self.configure(text, commit="1 s", journal="[journal]\nkeep_words = yes\n[appliance]\nlog_level = debug\n")
        process.send_signal(signal.SIGHUP)
        count = len(self.wait_rows(4, "ma"))
        self.wait_rows(count + 5, "ma", 10)  # each second, not each minute
        self.assertEqual(self.threads(process)["a"], before)
        harness.wait_until(lambda: self.events("config"), 5)
        path = self.directory / "meterstick.conf"
        path.write_text(path.read_text().replace("clock = trusted", "clock = auto"))
        process.send_signal(signal.SIGHUP)
        harness.wait_until(lambda: self.rows("ma")[-1][2] != "N", 10, "the clock is no longer trusted")
        self.assertEqual(self.rows("ma")[-1][2], "H")  # it was, earlier in this boot
        path.write_text(path.read_text().replace("clock = auto", "clock = trusted"))
        process.send_signal(signal.SIGHUP)
        harness.wait_until(lambda: self.rows("ma")[-1][2] == "N", 10, "it is again")
        self.assertEqual(self.threads(process)["a"], before)

    def test_a_hundred_at_once_are_as_good_as_one(self):
        """No matter how they fall: nothing is left open, no thread is left, and the last word counts."""
        calm, busy = Line(self, [1], transport="tcp"), Line(self, [1, 2, 3], transport="tcp")
        stays = bus("calm", calm.where) + meter("quiet", "calm")
        process = self.acquire(self.configure(stays + bus("busy", busy.where) + meter("m1", "busy")))
        since = self.wait_rows(3, "quiet")[0][1]
        self.wait_rows(1, "m1")
        before, files = self.threads(process), len(self.open_files(process))
        random = harness.random_source()
        for i in range(100):
            self.configure(stays + bus("busy", busy.where) + meter(f"m{i % 3 + 1}", "busy", address=i % 3 + 1)
                           if random.random() < 0.9 else "nonsense")
            process.send_signal(signal.SIGHUP)
            time.sleep(random.choice((0, 0, 0.001, 0.05)))
        self.configure(stays + bus("busy", busy.where) + meter("last", "busy", address=3))
        process.send_signal(signal.SIGHUP)
        until = self.wait_rows(5, "last", 30)[-1][1]
        harness.wait_until(lambda: [entry["name"] for entry in self.status()["meters"]] == ["quiet", "last"], 10)
        self.assertIsNone(self.status()["error"])
        self.check_no_gap("quiet", since, until)
        after = self.threads(process)
        self.assertEqual(after["calm"], before["calm"])
        self.assertEqual(sorted(after), sorted(before))
        harness.wait_until(lambda: len(self.open_files(process)) == files, 10, self.open_files(process))
        self.assertEqual(calm.liar.connections, 1)
        self.end(process)

    def test_the_service_manager_is_told(self):
        """As Type=notify-reload wants it: RELOADING with the time, then READY, also after one that was refused."""
        line = Line(self, [1])
        address = self.directory / "notify"
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(notify.close)
        notify.bind(str(address))
        notify.settimeout(20)
        text = bus("a", line.where) + meter("ma", "a")
        process = self.acquire(self.configure(text), environment={"NOTIFY_SOCKET": str(address)})

        def next_of(*words):
            while True:
                message = notify.recv(4096).decode()
                if any(message.startswith(word) for word in words):
                    return message
        self.assertEqual(next_of("READY", "RELOADING"), "READY=1")
        for new in (text + meter("mb", "a", address=2), "nonsense", text):
            self.configure(new)
            begin = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
            process.send_signal(signal.SIGHUP)
            reloading = next_of("READY", "RELOADING")
            self.assertRegex(reloading, r"^RELOADING=1\nMONOTONIC_USEC=\d+$")
            self.assertGreaterEqual(int(reloading.split("=")[-1]), begin)
            self.assertEqual(next_of("READY", "RELOADING"), "READY=1")


class Refused(Case):
    def test_one_that_is_not_valid_changes_nothing_and_says_why(self):
        line = Line(self, [1], transport="tcp")
        text = bus("a", line.where) + meter("ma", "a")
        process = self.acquire(self.configure(text))
        since = self.wait_rows(3, "ma")[0][1]
        before = self.threads(process)["a"]
        good = (self.state / "good.conf").read_text()
        number = len(self.configure(text).read_text().splitlines()) + 1
        for new, words in ((text + "[meter mb]\nbus = a\nmodel = schneider-iem21500\nadress = 3\n",
                            (f"meterstick.conf:{number + 3}: ", "adress", "(and 1 more)")),
                           ("", ("there is no meter in the configuration",)),
                           ("\0", ("meterstick.conf",))):
            event = self.reload(process, new)
            self.assertTrue(event.startswith("refused: "), event)
            for word in (*words, "the one before goes on"):
                harness.wait_until(lambda word=word: word in (self.status().get("error") or ""), 5, word)
            for word in words:
                self.assertIn(word, event)
        (self.directory / "meterstick.conf").unlink()
        process.send_signal(signal.SIGHUP)
        harness.wait_until(lambda: len(self.events("config")) == 4, 10, self.log.read_text())
        self.assertEqual((self.state / "good.conf").read_text(), good)
        until = self.rows("ma")[-1][1]
        self.check_no_gap("ma", since, until)
        self.assertEqual(self.threads(process)["a"], before)
        self.assertEqual(line.liar.connections, 1)
        self.assertEqual(self.status()["state"], "running")

        # A good one mends it.
        self.assertIn("1 buses go on, 0 changed", self.reload(process, text))
        harness.wait_until(lambda: self.status()["error"] is None, 5)
        self.end(process)

    def test_the_last_good_one_serves_at_the_next_start_and_a_reload_ends_that(self):
        line = Line(self, [1, 2], transport="tcp")
        process = self.acquire(self.configure(bus("a", line.where) + meter("m1", "a")))
        self.wait_rows(1, "m1")
        self.reload(process, bus("a", line.where) + meter("m2", "a", address=2))
        self.wait_rows(1, "m2")
        self.assertIn("refused", self.reload(process, bus("a", line.where) + meter("m3", "a", "interval = never")))
        self.end(process)

        process = self.acquire(self.directory / "meterstick.conf")
        count = len(self.rows("m2"))
        self.wait_rows(count + 2, "m2")
        self.assertIn("last good", self.status()["error"])
        self.assertIn("interval = never", self.status()["error"])
        self.assertIn("taken", self.reload(process, bus("a", line.where) + meter("m1", "a")))
        count = len(self.rows("m1"))
        self.wait_rows(count + 2, "m1")
        harness.wait_until(lambda: self.status()["error"] is None, 5)

    def test_a_bus_that_waits_for_a_silent_meter_delays_nobody(self):
        """The changed bus is in the middle of a poll that takes long; the others go on, and it ends all the same."""
        deaf, calm = Line(self, [2], transport="tcp"), Line(self, [1], transport="tcp")
        stays = bus("calm", calm.where) + meter("quiet", "calm")
        process = self.acquire(self.configure(stays + bus("deaf", deaf.where) + meter("m1", "deaf", "timeout = 3 s")))
        since = self.wait_rows(2, "quiet")[0][1]
        harness.wait_until(lambda: deaf.unheard, 10)
        self.configure(stays + bus("deaf", deaf.where) + meter("m2", "deaf", address=2))
        process.send_signal(signal.SIGHUP)
        until = self.wait_rows(2, "m2", 30)[-1][1]
        self.assertEqual(self.meter("m2")["state"], "live")
        times = [row[1] for row in self.rows("quiet") if since <= row[1] <= until]
        self.assertTrue(all(b - a < 1.9 * INTERVAL_MS for a, b in zip(times, times[1:])), times)
        self.end(process)


if __name__ == "__main__":
    unittest.main()
