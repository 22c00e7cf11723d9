# SPDX-License-Identifier: MIT
"""
The services as they are installed, under systemd as process 1 on a real kernel: killed, stopped, short of memory, their
clock set, their adapter and stick pulled. What was committed is there, once; and what the lights showed meanwhile, in
the frames that were recorded, was true. Numbers are those of the list of faults.
"""

import time
import unittest

import harness
import registers
import rig
import stickbed
import unitbed
from unitbed import LIGHT_MS, UNITS, unit

FAREWELL = ["c80000"] + ["000000"] * 7
PURPLE = "c800c8"
STOPPED = {"acquire": {"program": "dead", "meters": "failed", "writing": "failed"},
           "stick": {"writing": "failed", "stick": "dead"}}


def setUpModule():
    stickbed.prepare_or_skip()


class Killed(unitbed.Bed):
    def kill(self, name):
        """SIGKILL to a unit's main process, or to all it has. Returns the boot ms of that, and when it was back."""
        pid, begin_ms = self.pid(name), self.guest.boot_ms()
        self.guest.run(self.random.choice((f"kill -9 {pid}", f"systemctl kill -s KILL {unit(name)}")))
        self.wait_new(name, pid)
        return begin_ms, self.guest.boot_ms()

    def check_lights(self, times, end_ms):
        """Until `end_ms` no light said that a program was dead which was not, or not long ago."""
        def was(name, at_ms, more_ms):
            return any(begin <= at_ms <= end + more_ms for begin, end in times[name])
        frames = self.frames()
        begin = next(number for number, frame in enumerate(frames) if frame["words"][:2] == ["running", "all read"]
                     and frame["words"][3] != "dead")
        for frame in frames[begin:]:
            words, at_ms = frame["words"], frame["boot_ms"]
            if at_ms < end_ms:
                self.assertTrue(frame["pixels"] != FAREWELL or was("leds", at_ms, 0), (frame, times))
                if stickbed.limit(1) == 1:  # else one may be silent for as long as if it was dead
                    self.assertTrue(words[0] != "dead" or was("acquire", at_ms, LIGHT_MS), (frame, times))
                    self.assertTrue(words[3] != "dead" or was("stick", at_ms, LIGHT_MS), (frame, times))
        for begin_ms, back_ms in times["leds"]:
            told = [frame["pixels"] for frame in frames if begin_ms <= frame["boot_ms"] <= back_ms]
            self.assertIn(FAREWELL, told, "what is lit while nobody looks after it")

    def test_59_each_unit_is_killed_and_no_committed_row_is_lost_or_doubled(self):
        count = harness.share(100)
        self.begin(meters=2, interval_ms=500)
        stick = self.make("fat32")
        self.wait_served(self.plug(stick))
        names, seqs = list(UNITS) * count, []
        self.random.shuffle(names)
        times = {name: [] for name in UNITS}
        for name in names:
            time.sleep(self.random.uniform(0, 2))
            seqs.append(self.committed_seq())
            times[name].append(self.kill(name))
        self.assertEqual({name: int(self.show(name, "NRestarts")[0]) for name in UNITS}, dict.fromkeys(UNITS, count))
        longest_ms = max(back - begin for each in times.values() for begin, back in each)
        self.assertLess(longest_ms, stickbed.limit(10000), times)
        self.wait_well()
        self.check_lights(times, self.guest.boot_ms())
        self.wait_caught_up()
        for name in UNITS:
            self.stop_unit(name)
        self.pull(stick)
        rows = self.check_journal(seqs, stick)
        harness.figure(f"{len(names)} kills of units: back in at most {longest_ms / 1000:.1f} s, none of {rows} rows "
                       "lost or doubled")


class Stopped(unitbed.Bed):
    def test_61_what_stands_still_is_started_again_and_the_lights_say_so(self):
        self.begin()
        pids, begin_ms = dict(self.pids), self.guest.boot_ms()
        seq = self.committed_seq()
        self.guest.run(f"kill -STOP {pids['acquire']} {pids['stick']}")
        for name in ("acquire", "stick"):
            late_ms = self.wait_words(since_ms=begin_ms, **STOPPED[name])
            self.assertLess(late_ms, stickbed.limit(LIGHT_MS), f"the light of {name}")

        leds_ms = self.guest.boot_ms()
        self.guest.run(f"kill -STOP {pids['leds']}")
        still_ms = self.guest.boot_ms()
        self.wait_new("leds", pids["leds"], 60)
        self.check_barked("leds", leds_ms, 10)
        first = next(frame for frame in self.frames() if frame["boot_ms"] > still_ms)
        self.assertEqual(first["pixels"], FAREWELL, "it stands still")
        self.assertLess(first["boot_ms"] - leds_ms, stickbed.limit(LIGHT_MS))

        for name in ("acquire", "stick"):
            self.wait_new(name, pids[name], 90)
            self.check_barked(name, begin_ms, 40)
        again_ms = int(self.show("acquire", "ExecMainStartTimestampMonotonic")[0]) / 1000
        self.assertNotIn(PURPLE, [frame["pixels"][0] for frame in self.frames()
                                  if begin_ms + stickbed.limit(LIGHT_MS) < frame["boot_ms"] < again_ms])
        self.wait_words(60, program="running", meters="all read", writing="no", stick="none")
        for name in UNITS:
            self.stop_unit(name)
        self.check_journal([seq])

    def check_barked(self, name, begin_ms, seconds):
        """The watchdog ended it, and the next process was begun soon enough."""
        started_us, restarts = map(int, self.show(name, "ExecMainStartTimestampMonotonic", "NRestarts"))
        self.assertEqual(restarts, 1)
        self.assertLess(started_us / 1000 - begin_ms, 1000 * stickbed.limit(seconds), name)
        self.assertIn("Watchdog timeout", self.guest.run(f"journalctl -q --no-pager -u {unit(name)}"))


class Memory(unitbed.Bed):
    def limit_memory(self, name, value):
        self.guest.run(f"systemctl set-property --runtime {unit(name)} MemoryMax={value}")

    @harness.for_full_counts
    def test_60_a_unit_out_of_memory_is_started_again_until_there_is_enough(self):
        self.begin()
        stick = self.make("exfat")
        self.wait_served(self.plug(stick))
        seqs = []
        for names in ("acquire", "stick"), ("leds",):
            seqs.append(self.committed_seq())
            pids, begin_ms = {name: self.pid(name) for name in names}, self.guest.boot_ms()
            limits = {name: self.show(name, "MemoryMax")[0] for name in names}
            for name in names:
                self.limit_memory(name, "64K")  # less than its first process has
            for name in names:
                self.wait_until(lambda: int(self.show(name, "NRestarts")[0]) > 1, 60, f"{name} is tried again")
                if name in STOPPED:
                    late_ms = self.wait_words(since_ms=begin_ms, **STOPPED[name])
                    self.assertLess(late_ms, stickbed.limit(LIGHT_MS), f"the light of {name}")
            for name in names:
                self.limit_memory(name, limits[name])
            for name in names:
                self.wait_new(name, pids[name])
            self.wait_well()
        self.assertNotEqual(self.guest.run("dmesg | grep -c 'Memory cgroup out of memory'"), "0")
        self.wait_caught_up()
        for name in UNITS:
            self.stop_unit(name)
        self.pull(stick)
        self.check_journal(seqs, stick)


class Clock(unitbed.Bed):
    @harness.for_full_counts
    def test_55_and_58_the_clock_is_set_and_nobody_is_late_or_killed(self):
        self.begin()
        stick = self.make("fat32")
        self.wait_served(self.plug(stick))
        years = 50 * 366 * 86400
        for seconds, clock in ((3600, "known"), (-3600, "known"), (years, "unknown"), (-years, "known"),
                               (-5, "known"), (86397, "known"), (-86397, "known")):
            begin_ms = self.guest.boot_ms()
            self.guest.run(f"date -s @$(($(date +%s) + {seconds}))")
            time.sleep(1)
            self.assertLess(self.wait_words(since_ms=begin_ms, clock=clock), stickbed.limit(LIGHT_MS), seconds)
        self.wait_caught_up()
        self.wait_well()
        quiet = stickbed.limit(1) == 1  # else one may be silent for so long that it counts as dead
        words = [frame["words"] for frame in self.frames()]
        begin = next(number for number, each in enumerate(words) if each[:2] == ["running", "all read"])
        if quiet:
            self.assertEqual({tuple(each[:2]) for each in words[begin:]}, {("running", "all read")}, self.log())
        self.finish(stick, slices=quiet)


class Plugged(unitbed.Bed):
    @rig.again_if_qemu_ends
    def test_13_26_adapter_and_stick_are_pulled_at_once_inside_the_sandbox(self):
        tables = registers.registers(stickbed.MODEL, {"voltage": 230.1, "energy_active_import": 7918565})
        where = self.pymodbus_slave("rtu-tcp", {1: tables})
        slave = "127.0.0.1", int(where.rpartition(":")[2])
        text = unitbed.configuration(burst_s=5).replace("tcp:127.0.0.1:5020", "serial:FTA")
        self.configure(text=text)
        self.guest.plug_adapter("one", slave, 1, "FTA")
        self.start_all()
        stick = self.make("fat32")
        self.wait_served(self.plug(stick, 4))
        for _ in range(harness.share(20)):
            time.sleep(self.random.uniform(0, 3))
            begin_ms = self.guest.boot_ms()
            for pull in self.random.sample((lambda: self.pull(stick), lambda: self.guest.unplug_adapter("one")), 2):
                pull()
            late_ms = self.wait_words(since_ms=begin_ms, meters="failed", stick="none")
            self.assertLess(late_ms, stickbed.limit(LIGHT_MS))
            mark = self.plug(stick, 4)
            self.guest.plug_adapter("one", slave, 1, "FTA")
            self.wait_served(mark)
            self.wait_well()
        self.wait_caught_up()
        self.check_alive()
        for name in UNITS:
            self.stop_unit(name)
        self.pull(stick)
        self.guest.unplug_adapter("one")
        self.assertGreater(self.check_journal([], stick), 3)


class Asked(unitbed.Bed):
    """What a person asks of them with systemctl."""

    def meters_live(self):
        return sorted(meter["name"] for meter in self.try_status("acquire").get("meters", [])
                      if meter["state"] == "live" and meter["committed_boot_ms"])

    def test_a_reload_keeps_what_did_not_change_running(self):
        both = unitbed.configuration() + "[bus b]\nport = tcp:127.0.0.1:5021\n"
        other = f"[meter m{{0}}]\nbus = b\nmodel = {stickbed.MODEL}\naddress = {{0}}\n"
        self.configure(text=both + other.format(2))
        simulated = self.guest.run("cat /run/systemd/system/simulate.service")
        self.guest.push("/run/systemd/system/simulate-b.service",
                        simulated.replace("127.0.0.1:5020", "127.0.0.1:5021").replace(":1-1", ":2-3"))
        self.guest.run("systemctl start simulate-b")
        self.start_all()
        for more, live in (other.format(2) + other.format(3), ["m1", "m2", "m3"]), (other.format(3), ["m1", "m3"]):
            self.guest.push("/etc/meterstick/meterstick.conf", both + more)
            self.guest.run(f"systemctl reload {unit('acquire')}")
            self.wait_until(lambda: self.meters_live() == live, 30, f"{live} are read")
        self.guest.push("/etc/meterstick/meterstick.conf", both + "[meter m3\nbus = q\n")
        self.guest.run(f"systemctl reload {unit('acquire')}")
        self.wait_until(lambda: self.try_status("acquire").get("error"), 30, "what is wrong is told")
        self.assertEqual(self.meters_live(), ["m1", "m3"])
        self.check_alive()
        for name in UNITS:
            self.stop_unit(name)
        rows, events = self.journal()
        self.meters = ["m1"]
        self.check_slices(rows)
        self.assertNotIn("missed", [code for code, _ in events], events)

    @harness.for_full_counts
    def test_63_they_are_stopped_and_started_in_any_order(self):
        self.configure()
        self.guest.run("systemctl start simulate")
        self.random.shuffle(order := list(UNITS))
        for name in order:
            self.start_unit(name)
        self.wait_well()
        seqs = []
        self.random.shuffle(order)
        for name in order:
            seqs.append(self.committed_seq())
            begin_ms = self.guest.boot_ms()
            self.stop_unit(name)
            self.assertLess(self.guest.boot_ms() - begin_ms, stickbed.limit(5000), name)
            if name == "acquire" and "leds" in self.pids:
                late_ms = self.wait_words(since_ms=begin_ms, program="dead", meters="failed")
                self.assertLess(late_ms, stickbed.limit(LIGHT_MS))
        self.assertEqual(self.frames()[-1]["pixels"], FAREWELL)
        self.check_journal(seqs)


if __name__ == "__main__":
    unittest.main()
