# SPDX-License-Identifier: MIT
"""
Faults 1 to 10 of reliability.md section 7, and meters that flap, in the real logger: what the lights say, what is in
the rows, what in the events and in the log. Each bus has a fault of its own, all of them in one run; what a line can do
wrong to a single reading is in test_faults.py.
"""

import contextlib
import json
import os
import re
import struct
import threading
import time
import unittest

import harness
import test_acquire
import test_faults
from test_faults import REGISTERS, RIGHT, Request

INTERVAL_MS = 500
RUN_S = 10
POINTS = len(RIGHT)

# As test_faults.MODEL, but joined over what lies between: register 5 is a hole, and 20 is not there at all.
HOLES = """
[model]
id        = holes
title     = A meter with a hole in its registers
addresses = from 0
serial    = 115200 8N1
source    = tests/io/test_meter_faults.py
verified  = document
log       = voltage, current, power_active, frequency

[points]
voltage               holding 0    u16       0.1 V
current               holding 1    u16       0.01 A
power_active          holding 10   i32.abcd  1 W
frequency             holding 20   u16       0.01 Hz
"""


class Bus:
    """A serial line with meters of the model `liar`, and a fault."""

    def __init__(self, name, units, behaviour, interval_ms=INTERVAL_MS, babble=None, model="liar", more=""):
        self.name, self.units, self.interval_ms, self.model = name, units, interval_ms, model
        self.more = more         # lines of its section
        self.times = []          # (when, unit) of each request
        self.behaviour = behaviour
        self.liar = harness.Liar("rtu", self.answer, babble)
        self.fd = self.liar.descriptor()

    def answer(self, frame):
        request = Request("rtu", frame)
        self.times.append((time.monotonic(), request.unit))
        said = self.behaviour(self, request)
        return [(0, said)] if isinstance(said, bytes) else said

    def say_later(self, delay_s, data):
        """A meter that answers while others are asked."""
        def say():
            with contextlib.suppress(OSError):  # the test may be over
                os.write(self.fd, data)
        timer = threading.Timer(delay_s, say)
        timer.daemon = True
        timer.start()
        return b""

    def config(self):
        text = f"[bus {self.name}]\nport = {self.liar.where}\nserial = 115200 8N1\n{self.more}"
        for unit in self.units:
            text += (f"[meter {self.name}-{unit}]\nbus = {self.name}\nmodel = {self.model}\naddress = {unit}\n"
                     f"interval = {self.interval_ms} ms\nlog = all\n")
        return text


class Case(test_acquire.Case):
    def setUp(self):
        super().setUp()
        self.models = self.directory / "models"
        self.models.mkdir()
        (self.models / "liar.meter").write_text(test_faults.MODEL)
        (self.models / "holes.meter").write_text(HOLES)
        self.rng = harness.random_source()
        self.buses = {}

    def bus(self, *arguments, **options):
        bus = Bus(*arguments, **options)
        self.addCleanup(bus.liar.close)
        self.buses[bus.name] = bus
        return bus

    def run_buses(self):
        return self.acquire(self.configure("".join(bus.config() for bus in self.buses.values())),
                            environment={"METERSTICK_MODELS": str(self.models)})

    def told(self, meter):
        """[(code, text)] of a meter's events."""
        return [(code, text) for code, text in self.query("SELECT code, text FROM event ORDER BY boot_ms, id")
                if text.startswith(meter + ":")]

    def log_of(self, meter):
        return [line for line in self.log.read_text().splitlines() if f"'{meter}'" in line]


# --- what the meters do ---

def well(_, request):
    return request.answer()


def not_unit(silent):
    return lambda _, request: b"" if request.unit in silent else request.answer()


def exceptions(_, request):
    """Unit n answers with exception n; 12 is a good one."""
    return request.answer() if request.unit == 12 else request.exception(request.unit)


class Faults(Case):
    """One run for all: see the names of the checks for what is expected."""

    def damaged(self, share):
        def behave(_, request):
            frame = bytearray(request.answer())
            if self.rng.random() < share:
                frame[self.rng.randrange(len(frame))] ^= 1 << self.rng.randrange(8)
            return bytes(frame)
        return behave

    def wrong(self, _, request):
        """Whole frames with good checksums, but of another unit, function or length."""
        return self.rng.choice((request.answer(unit=request.unit + 1), request.answer(function=4),
                                request.answer(count=request.count + 1)))

    def late(self, bus, request):
        """Unit 1 answers late at every third question, by up to 1.9 s; its blocks at 100 and 200 are of one length."""
        self.asked_late += request.unit == 1
        if request.unit == 1 and self.asked_late % 3 == 0:
            return bus.say_later(self.rng.uniform(0.11, 1.9), request.answer())
        return request.answer()

    def late_and_worse(self, bus, request):
        """Both answer late or refuse late, cut some of that, and damage what comes in time."""
        frame = request.answer() if self.rng.random() < 0.9 else request.exception(self.rng.choice((2, 3, 4, 6)))
        if self.rng.random() < 0.4:
            return bus.say_later(self.rng.uniform(0.02, 1.9), frame[:-3] if self.rng.random() < 0.1 else frame)
        damage = bytearray(frame)
        if self.rng.random() < 0.05:
            damage[self.rng.randrange(len(damage))] ^= 4
        return bytes(damage)

    def cut(self, _, request):
        """Cut off, or with gaps of many characters in it (1.5 are 143 us here)."""
        frame = request.answer()
        if self.rng.random() < 0.25:
            return frame[:self.rng.randrange(1, len(frame))]
        middle = self.rng.randrange(1, len(frame))
        return [(0, frame[:middle]), (0.003, frame[middle:])]

    def burst(self, _, request):
        """Noise from 3 s to 5 s; what refusals in it do is in test_modbus_meter.c, where the clock runs faster."""
        if 3 < time.monotonic() - self.began < 5:
            return self.rng.randbytes(self.rng.randrange(1, 40))
        return request.answer()

    def flapping(self, _, request):
        """Unit 2 is silent in one of three 200 ms, after 2 s."""
        number = int(time.monotonic() / 0.2)
        silent = time.monotonic() - self.began > 2 and (number * 2654435761 >> 11) % 3 == 0
        return b"" if request.unit == 2 and silent else request.answer()

    def dying(self, _, request):
        """Unit 2 is dead from 5 s on."""
        return b"" if request.unit == 2 and time.monotonic() - self.began > 5 else request.answer()

    def setUp(self):
        super().setUp()
        self.asked_late = 0
        self.bus("dead", (1, 2, 3), not_unit([3]))
        self.bus("gone", (1, 2), not_unit([1, 2]))
        self.bus("few", (1,), self.damaged(0.01), interval_ms=250)
        self.bus("half", (1,), self.damaged(0.5))
        self.bus("noise", (1,), lambda *_: b"", babble=lambda: self.rng.randbytes(23))  # each 2 ms: 115200 baud
        self.bus("wrong", (1,), self.wrong)
        self.bus("late", (1, 2), self.late)
        for number in range(5):
            self.bus(f"worse{number}", (1, 2), self.late_and_worse, interval_ms=200)
        self.bus("cut", (1,), self.cut)
        self.bus("says", tuple(range(1, 13)), exceptions)
        self.bus("burst", (1, 2), self.burst)
        self.bus("flap", (1, 2), self.flapping, interval_ms=100)
        self.bus("dying", (1, 2), self.dying, interval_ms=100, more="timeout = 2 s\n")

    def test_faults_1_to_10_each_on_a_bus_of_its_own(self):
        self.began = time.monotonic()
        process = self.run_buses()
        self.wait_rows(1, "dead-1", 30)
        self.began = began = time.monotonic()
        while time.monotonic() < began + RUN_S:
            time.sleep(0.2)
        self.last = self.status()
        self.end(process, within=8)

        for meter, (_, _, quality, values) in ((f"{name}-{unit}", row) for name, bus in self.buses.items()
                                               for unit in bus.units for row in self.rows(f"{name}-{unit}")):
            for name, value in values.items():
                self.assertIn(value, (RIGHT[name], None), f"a wrong number of {meter}")
            self.assertEqual("m" in quality, None in values.values())
        for name in [name for name in dir(self) if name.startswith("check_")]:
            with self.subTest(name[6:]):
                getattr(self, name)()

    def shown(self, name):
        return next(meter for meter in self.last["meters"] if meter["name"] == name)

    def whole(self, meter):
        """Its rows with all their values."""
        return [row for row in self.rows(meter) if None not in row[3].values()]

    def longest_gap_ms(self, meter):
        boot = [row[1] for row in self.rows(meter)]
        return max(b - a for a, b in zip(boot, boot[1:]))

    def slices(self, meter):
        """What its events say of slices without a row."""
        return sum(int(number) for _, text in self.told(meter)
                   for number in re.findall(r"(\d+) slices without a row", text))

    def check_1_a_dead_meter_backs_off_and_the_others_are_on_schedule(self):
        for name in ("dead-1", "dead-2"):
            self.assertGreaterEqual(len(self.whole(name)), 0.9 * len(self.rows(name)))
            self.assertLess(self.longest_gap_ms(name), 6000)
        self.assertEqual(self.rows("dead-3"), [])
        self.assertEqual(self.shown("dead-3")["state"], "silent")
        self.assertGreaterEqual(self.shown("dead-3")["next_probe_s"], 1)
        self.assertLessEqual(self.shown("dead-3")["next_probe_s"], 60)
        times = self.buses["dead"].times
        cost_s = sum(after - when for (when, unit), (after, _) in zip(times, times[1:]) if unit == 3)
        self.assertLess(sum(unit == 3 for _, unit in times), RUN_S)  # not once a slice
        self.assertLess(cost_s, 0.05 * RUN_S + 1 + 2)  # of the bus's time, what was saved up, and what may be owed
        self.assertEqual([code for code, _ in self.told("dead-3")], ["missed", "lost", "missing"])
        self.assertEqual(len(self.log_of("dead-3")), 1)

    def check_2_all_dead_write_no_rows_and_are_asked_each_slice(self):
        for unit in (1, 2):
            self.assertEqual(self.rows(f"gone-{unit}"), [])
            self.assertEqual(self.shown(f"gone-{unit}")["state"], "silent")
            self.assertGreater(sum(asked == unit for _, asked in self.buses["gone"].times), 6)
            self.assertEqual(len(self.log_of(f"gone-{unit}")), 1)

    def check_4_one_damaged_answer_in_a_hundred_costs_nothing(self):
        self.assertGreaterEqual(len(self.whole("few-1")), 0.9 * len(self.rows("few-1")))
        self.assertGreater(len(self.rows("few-1")), RUN_S * 4 * 0.5)
        self.assertEqual(self.shown("few-1")["state"], "live")

    def check_5_half_of_them_leave_right_numbers_and_nulls(self):
        values = [value for row in self.rows("half-1") for value in row[3].values()]
        self.assertGreater(sum(value is not None for value in values), 5)
        self.assertGreater(sum(value is None for value in values), 0)
        self.assertLess(len(self.log_of("half-1")), 25)

    def check_6_random_bytes_never_become_a_row(self):
        self.assertEqual(self.rows("noise-1"), [])
        self.assertEqual([code for code, _ in self.told("noise-1")], ["missed", "lost", "missing"])

    def check_7_answers_to_something_else_are_refused_and_named(self):
        self.assertEqual(self.rows("wrong-1"), [])
        self.assertIn("another unit, function or length", dict(self.told("wrong-1"))["missed"])

    def check_8_a_late_answer_is_never_credited_to_another_block_or_meter(self):
        # wrong numbers were looked for above, also of `worse`; here: that there were some, and the other had its slices
        self.assertGreater(sum(value is not None for row in self.rows("late-1") for value in row[3].values()), 10)
        self.assertGreater(len(self.whole("late-2")), RUN_S / 4)

    def check_9_cut_answers_are_asked_again_and_gaps_do_not_matter(self):
        values = [value for row in self.rows("cut-1") for value in row[3].values()]
        self.assertGreater(sum(value is not None for value in values), len(values) // 2)

    def check_10_exceptions_are_flagged_with_their_code(self):
        flagged = 0
        for code in range(1, 12):
            meter = f"says-{code}"
            text = "unknown exception" if code == 9 else f"exception {code}"  # Modbus knows no 9
            self.assertEqual(self.rows(meter), [])
            if any(text in event for _, event in self.told(meter)):
                flagged += self.shown(meter)["state"] == ("silent" if code in (10, 11) else "refused")
        self.assertGreaterEqual(flagged, 8)  # a machine that is too busy took the others for silent
        self.assertEqual(len(self.whole("says-12")), len(self.rows("says-12")))
        self.assertGreater(len(self.rows("says-12")), RUN_S / 2)

    def check_a_burst_of_noise_costs_no_register(self):
        for unit in (1, 2):
            self.assertEqual(self.shown(f"burst-{unit}")["state"], "live")
            self.assertNotIn(None, self.rows(f"burst-{unit}")[-1][3].values())

    def check_a_flapping_meter_neither_stalls_the_bus_nor_floods_the_log(self):
        self.assertGreater(len(self.rows("flap-1")), RUN_S * 10 * 0.4)
        self.assertLess(self.longest_gap_ms("flap-1"), 6000)
        self.assertGreater(len(self.rows("flap-2")), 5)
        self.assertLessEqual(len(self.log_of("flap-2")), 25)  # ten of a kind a minute
        self.assertLessEqual(len([line for line in self.log.read_text().splitlines() if "bus 'flap'" in line]), 12)
        self.assertLessEqual(sum(code == "missed" for code, _ in self.told("flap-2")), 60)
        # each slice is a row or counted by an event: of two meters on one bus it is the same number
        slices = [len(self.rows(meter)) + self.slices(meter) for meter in ("flap-1", "flap-2")]
        self.assertAlmostEqual(*slices, delta=1)
        self.assertGreater(slices[0], 10 * RUN_S)

    def check_the_time_out_follows_the_latency(self):
        """A meter that always answered at once is not waited for as long as it may take, which is 2 s."""
        times = [(when, unit) for when, unit in self.buses["dying"].times if when > self.began + 5.1]
        waits = [after - when for (when, unit), (after, _) in zip(times, times[1:]) if unit == 2]
        self.assertGreater(len(waits), 2)
        self.assertLess(sorted(waits)[len(waits) // 2], 1, waits)
        self.assertEqual(self.shown("dying-2")["state"], "silent")


class Lights(Case):
    def test_faults_1_to_3_on_the_lights(self):
        dead = set()
        self.bus("b", (1, 2), lambda _, request: b"" if request.unit in dead else request.answer())
        process, record = self.run_buses(), self.directory / "frames"
        self.start(harness.BIN / "meterstick-leds", "--run-dir", self.run_dir, "--state-dir", self.state, "--record",
                   record)

        def wait_for(colour, word):
            def shown():
                lines = record.read_text().split("\n")[:-1] if record.exists() else []
                frame = json.loads(lines[-1]) if lines else {"words": ["", ""], "pixels": ["", ""]}
                return frame["words"][1] == word and frame["pixels"][1] in (colour, "000000")
            harness.wait_until(shown, 20, f"{word}: {self.log.read_text()}")

        wait_for("00c800", "all read")
        dead.add(2)
        wait_for("c8c800", "silent")
        self.assertEqual(self.meterstick("status", "--run-dir", self.run_dir).returncode, 1)
        dead.add(1)
        wait_for("c80000", "failed")
        dead.clear()
        wait_for("00c800", "all read")
        self.end(process)
        for unit in (1, 2):
            told = [code for code, _ in self.told(f"b-{unit}")]
            self.assertEqual((told[0], told.count("lost"), "back" in told), ("missed", 1, True))


class Holes(Case):
    def test_refused_gaps_are_found_at_once_and_remembered_over_a_restart(self):
        words = {**REGISTERS, 10: 0, 11: 1170}
        asked = []

        def answer(_, request):
            registers = range(request.address, request.address + request.count)
            asked.append(registers)
            if 5 in registers or 20 in registers:
                return request.exception(2 if request.count > 6 else 3)
            body = struct.pack(f">BB{request.count}H", 3, 2 * request.count, *(words.get(n, 0) for n in registers))
            return request.wrap(request.unit, body)

        def run():
            asked.clear()
            process, count = self.run_buses(), len(self.rows("b-1"))
            self.wait_rows(count + 4, "b-1")
            self.end(process)
            return [registers for registers in asked if 5 in registers]

        self.bus("b", (1,), answer, model="holes")
        self.assertTrue(1 <= len(run()) <= 2)   # the joined request, and perhaps a half of it
        first = len(self.rows("b-1"))
        self.assertEqual(run(), [])             # it is known now,
        self.assertEqual(sum(20 in registers for registers in asked), 1)  # and what is not there was asked for alone
        for _, _, quality, values in self.rows("b-1"):
            self.assertEqual(values, {"voltage": 230.1, "current": 5.12, "power_active": 1170, "frequency": None})
            self.assertEqual(quality, "Nm")
        self.assertGreater(len(self.rows("b-1")), first)
        self.assertIn("b-1 ", (self.state / "learned").read_text())


if __name__ == "__main__":
    unittest.main()
