# SPDX-License-Identifier: MIT
"""
Thirty days of `acquire` in less than an hour: 79 meters on 4 Modbus TCP lines, once a minute, on clocks that run some
thousand times as fast as ours (tests/shim/clock.c). All the while meters die and come back, lines lose, damage and cut,
the wall clock is set, the configuration is read again, and the program is stopped or killed. Each slice of each meter
must be a row or be counted by an event (app/acquire/absence.h says how), and what the program takes must not grow.

$METERSTICK_SOAK_S is how many of our seconds it may take; what was done by then is judged. METERSTICK_SEED repeats the
draws, not the moments.
"""

import json
import os
import pathlib
import re
import selectors
import signal
import socket
import sqlite3
import struct
import threading
import time
import unittest

import harness
import registers
import virtual_clock

MODEL = "schneider-iem2150"
COUNTER = "energy_active_import"
BUSES = 4
METERS = [(number % BUSES, number // BUSES + 1) for number in range(79)]  # (bus, address)
MINUTE_MS, HOUR_S, DAY_S = 60000, 3600, 86400
CLOCK_END_S = 230 * 365 * DAY_S
START_MS = 3000  # the start event is later than the start, 1.5 s once beside much other work
RATE, BUSY_RATE = 10000, 200                 # while all threads wait, and while one works
MOST_S = int(os.environ.get("METERSTICK_SOAK_S") or 7200)  # of our own time; what was done by then is judged
GRACE_US = 1500
HARMS = {"dies": 4, "many die": 2, "line dies": 2, "lossy": 2, "garbled": 2, "cut": 3, "closed": 2, "clock step": 3,
         "reload": 1, "changed reload": 1}
MUST_GROW_KIB = 1024
WITHOUT = re.compile(r"(\S+): .*?(\d+) slices without a row$")


def name_of(bus, address):
    return f"m{bus}-{address}"


def volts(bus, address):
    return 100.0 + BUSES * address + bus  # a row of another meter is seen


class Meters:
    """All meters in one thread, and what is wrong with them."""

    def __init__(self, case, rng, clock):
        self.rng, self.clock = rng, clock
        self.dead = set()              # (bus, address)
        self.lossy = {}                # bus: share of answers that are lost,
        self.garbled = {}              # or damaged
        self.closed = set()            # buses that hang up on everybody
        self.cached = {}
        self.connections = {}
        self.selector = selectors.DefaultSelector()
        self.ports = []
        for bus in range(BUSES):
            listener = socket.create_server(("127.0.0.1", 0))
            listener.setblocking(False)
            self.ports.append(listener.getsockname()[1])
            self.selector.register(listener, selectors.EVENT_READ, (self.accept, bus))
        self.wake, self.woken = socket.socketpair()
        self.wake.setblocking(False)
        self.selector.register(self.wake, selectors.EVENT_READ, (None, None))
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()
        case.addCleanup(self.close)

    def close(self):
        self.woken.send(b"x")
        self.thread.join()
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        self.woken.close()
        self.selector.close()

    def heal(self):
        self.dead, self.lossy, self.garbled, self.closed = set(), {}, {}, set()

    def cut(self, bus):
        for connection, of in list(self.connections.items()):
            if of == bus:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # it was faster

    def serve(self):
        while True:
            for key, _ in self.selector.select():
                function, bus = key.data
                if not function:
                    return
                function(key.fileobj, bus)

    def accept(self, listener, bus):
        connection, _ = listener.accept()
        if bus in self.closed:
            connection.close()
            return
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connections[connection] = bus
        self.selector.register(connection, selectors.EVENT_READ, (self.hear, bus))

    def hear(self, connection, bus):
        try:
            data = connection.recv(4096)
            if not data:
                raise ConnectionError
            while len(data) >= 12:
                answer = self.answer(bus, data[:12])
                data = data[12:]
                if answer:
                    connection.send(answer)
            if data or bus in self.closed:
                raise ConnectionError
            return
        except BlockingIOError:
            return
        except OSError:
            pass
        if connection in self.connections:
            del self.connections[connection]
            self.selector.unregister(connection)
            connection.close()

    def registers(self, bus, address, first, count):
        if (bus, address) not in self.cached:
            values = {"voltage": volts(bus, address), COUNTER: 0}
            self.cached[bus, address] = registers.registers(MODEL, values)["holding"]
        words = self.cached[bus, address]
        return struct.pack(f">{count}H", *(words.get(first + i, 0) for i in range(count)))

    def answer(self, bus, request):
        address, function, first, count = struct.unpack_from(">BBHH", request, 6)
        if (bus, address) in self.dead or self.rng.random() < self.lossy.get(bus, 0):
            return b""
        key = bus, address, first, count
        if key not in self.cached:
            data = self.registers(*key)
            self.cached[key] = struct.pack(">HBBB", len(data) + 3, address, function, len(data)) + data
        answer = request[:4] + self.cached[key]
        return self.garble(answer) if self.rng.random() < self.garbled.get(bus, 0) else answer

    def garble(self, answer):
        kind = self.rng.randrange(4)
        if kind == 0:
            return answer[:4] + struct.pack(">HBBB", 3, answer[6], answer[7] | 0x80, self.rng.choice((1, 4, 6, 10)))
        if kind == 1:
            return answer[:self.rng.randrange(1, len(answer))]
        if kind == 2:
            return self.rng.randbytes(self.rng.randrange(1, 40))
        return answer[:6] + bytes((answer[6] ^ 1,)) + answer[7:]


class Run:
    """One life of the program, by the boot clock."""

    def __init__(self, begin_ms):
        self.begin_ms, self.end_ms, self.killed = begin_ms, None, False
        self.until_ms = 1 << 62  # when the next one began


class Soak(harness.Case):
    def setUp(self):
        super().setUp()
        self.end_s = 0
        self.rng = harness.random_source()
        self.state, self.run_dir, self.log = (self.directory / name for name in ("state", "run", "log"))
        self.config = self.directory / "meterstick.conf"
        self.clock = virtual_clock.VirtualClock(self.directory)
        self.addCleanup(self.clock.close)
        self.meters = Meters(self, self.rng, self.clock)
        self.timeout_s = 5
        self.runs, self.samples = [], []
        self.counts = {}
        self.process = None

    # --- the program ---

    def configure(self):
        text = "[appliance]\ninterval = 60 s\nclock = trusted\n[journal]\ncommit = 60 s\nbudget = 20 GB\n"
        for bus, port in enumerate(self.meters.ports):
            text += f"[bus b{bus}]\nport = tcp:127.0.0.1:{port}\ntimeout = {self.timeout_s if bus == 0 else 5} s\n"
        for bus, address in METERS:
            log = f"voltage,{COUNTER}" if bus == 0 else "voltage"
            text += f"[meter {name_of(bus, address)}]\nbus = b{bus}\nmodel = {MODEL}\n"
            text += f"address = {address}\nlog = {log}\n"
        self.config.write_text(text)

    def said(self):
        return self.log.read_text(errors="replace")[-3000:]

    def slow(self):
        self.clock.run_at(1, 1)

    def fast(self):
        self.clock.run_at(RATE, BUSY_RATE)

    def status(self):
        try:
            status = json.loads((self.run_dir / "acquire.json").read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return {}
        return status if status.get("pid") == self.process.pid else {}

    def begin(self):
        self.configure()
        self.clock.stand(1)
        if self.runs and self.rng.random() < 0.5:
            self.clock.boot()
        with open(self.log, "ab") as log:
            self.process = self.start(
                harness.PLAIN_BIN / "meterstick-acquire", "--config", self.config, "--state-dir", self.state,
                "--run-dir", self.run_dir, stderr=log,
                env=self.clock.environment(CLOCK_NO_SYNC="1", CLOCK_GRACE_US=str(GRACE_US)))
        harness.wait_until(lambda: self.status().get("state") == "running", 60, "it runs")
        run = Run(self.last_event("start")[0])
        if self.runs:
            self.runs[-1].until_ms = run.begin_ms
        self.runs.append(run)
        self.fast()

    def wait_middle(self):
        """Of a slice, so that nobody needs to guess which one it is."""
        run = self.runs[-1]

        def is_middle(least_s, most_s):
            self.check_alive()
            return least_s * 1000 < (self.clock.boot_ms() - run.begin_ms) % MINUTE_MS < most_s * 1000
        while True:
            self.clock.run_at(60, 60)
            harness.wait_until(lambda: is_middle(20, 35), 120, "the middle of a slice")
            self.slow()
            time.sleep(0.05)
            if is_middle(20, 45):
                return

    def end(self, kill):
        run = self.runs[-1]
        self.wait_middle()
        run.killed, run.end_ms = kill, self.clock.boot_ms()
        self.process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        code = self.process.wait(30)
        self.clock.stand(1)
        if not kill:
            self.assertEqual(code, 0, self.said())
            self.assertIn("everything is committed", self.said())
        self.assertEqual((self.clock.boot_ms() - run.begin_ms) // MINUTE_MS, (run.end_ms - run.begin_ms) // MINUTE_MS)

    def check_alive(self):
        if self.process.poll() is not None:
            raise AssertionError(f"it ended by itself, {self.process.returncode}: {self.said()}")

    def last_event(self, code):
        """(boot_ms, text), once there is one of the run that just began."""
        since_ms = self.runs[-1].end_ms if self.runs else 0

        def find():
            path = sorted((self.state / "journal").glob("*.db"))[-1]
            database = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
            try:
                return database.execute("SELECT boot_ms, text FROM event WHERE code = ? AND boot_ms >= ? "
                                        "ORDER BY id DESC", (code, since_ms)).fetchone()
            except sqlite3.OperationalError:
                return None  # just being made
            finally:
                database.close()
        return harness.wait_until(find, 60, code)

    # --- what goes wrong ---

    def count(self, what):
        self.counts[what] = self.counts.get(what, 0) + 1

    def reload(self, change):
        self.timeout_s = 11 - self.timeout_s if change else self.timeout_s
        self.configure()
        self.wait_middle()
        self.process.send_signal(signal.SIGHUP)
        until_ms = self.clock.boot_ms() + 1500
        harness.wait_until(lambda: self.clock.boot_ms() > until_ms, 30)
        self.fast()

    def harm(self):
        bus = self.rng.randrange(BUSES)
        what = self.rng.choices(tuple(HARMS), tuple(HARMS.values()))[0]
        if what == "dies":
            self.meters.dead.add(self.rng.choice(METERS))
        elif what == "many die":
            self.meters.dead |= set(self.rng.sample(METERS, self.rng.randrange(2, 20)))
        elif what == "line dies":
            self.meters.dead |= {meter for meter in METERS if meter[0] == bus}
        elif what in ("lossy", "garbled"):
            getattr(self.meters, what)[bus] = self.rng.choice((0.01, 0.1, 0.5))
        elif what == "cut":
            self.meters.cut(bus)
        elif what == "closed":
            self.meters.closed.add(bus)
            self.meters.cut(bus)
        elif what == "clock step":
            decades_s = 50 * 365 * DAY_S
            step_s = self.rng.choice((-HOUR_S, HOUR_S, -1, 1, -DAY_S, DAY_S, decades_s, -decades_s))
            is_time = 0 < self.clock.wall() + step_s < CLOCK_END_S  # no kernel can be set to what is beyond
            self.clock.step(step_s if is_time else -step_s)
        else:
            self.reload(what == "changed reload")
        self.count(what)

    def go_on(self, until_ms):
        """Harm and heal."""
        while self.clock.boot_ms() < until_ms and time.monotonic() < self.end_s:
            self.check_alive()
            if self.rng.random() < 0.6:
                self.harm()
            else:
                self.meters.heal()
            next_ms = min(self.clock.boot_ms() + self.rng.randrange(2, 90) * MINUTE_MS, until_ms)
            while self.clock.boot_ms() < next_ms:
                self.check_alive()
                time.sleep(0.02)

    def sample(self):
        """When all is well again: (virtual hours, KiB, descriptors, threads)."""
        self.meters.heal()

        def is_well():
            self.check_alive()
            meters = self.status().get("meters", [])
            return len(meters) == len(METERS) and all(meter["state"] == "live" for meter in meters)
        harness.wait_until(is_well, 120, "all meters answer")
        process = pathlib.Path(f"/proc/{self.process.pid}")
        descriptors = min((self.descriptors(), time.sleep(0.1))[0] for _ in range(5))  # a file may be open for a moment
        fields = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
        hours = (self.clock.boot_ms() - self.runs[-1].begin_ms) / 3600000
        self.samples.append((hours, int(fields["VmRSS"].split()[0]), descriptors, int(fields["Threads"])))
        print(f"day {self.clock.boot_ms() / 86400000:.2f}, after {hours:.1f} h: {self.samples[-1][1:]}", flush=True)

    def descriptors(self):
        """How many are open, but for what is open only while the status is written."""
        count = 0
        for path in pathlib.Path(f"/proc/{self.process.pid}/fd").iterdir():
            try:
                count += not os.readlink(path).startswith(str(self.run_dir))
            except FileNotFoundError:
                pass  # so it was
        return count

    # --- the sum ---

    def segments(self):
        for path in sorted((self.state / "journal").glob("*.db")):
            database = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
            try:
                yield database
            finally:
                database.close()

    def add_up(self):
        """{meter: [rows, slices that count beside those of the run, those told by events, when its last row was]}"""
        sums = [{name_of(*meter): [0, 0, 0, 0] for meter in METERS} for _ in self.runs]
        for database in self.segments():
            self.assertEqual(database.execute("SELECT count(*) FROM event WHERE code = 'gap'").fetchone(), (0,))
            for run, of_run in zip(self.runs, sums):
                self.add_run(database, run, of_run)
        return sums

    @staticmethod
    def slice_ms(run, at_ms):
        """When the slice began that a moment is in, or a little before."""
        return run.begin_ms + (at_ms - run.begin_ms) // MINUTE_MS * MINUTE_MS - START_MS

    def add_run(self, database, run, sums):
        end_ms = self.slice_ms(run, run.end_ms)
        for name, rows, last in database.execute(
                "SELECT name, count(*), max(boot_ms) FROM sample JOIN meter ON meter.id = sample.meter "
                "WHERE boot_ms >= ? AND boot_ms < ? GROUP BY name", (run.begin_ms, run.until_ms)):
            sums[name][0] += rows
            sums[name][1] += last > end_ms
            sums[name][3] = last
        # A bus that is made anew begins with the slice it is in: one that had its row already counts once more.
        for change_ms, in database.execute(
                "SELECT boot_ms FROM event WHERE code = 'config' AND text LIKE '% 1 changed%' AND boot_ms >= ? AND "
                "boot_ms < ?", (run.begin_ms, run.until_ms)).fetchall():
            for name, in database.execute(
                    "SELECT DISTINCT name FROM sample JOIN meter ON meter.id = sample.meter WHERE name LIKE 'm0-%' AND "
                    "boot_ms BETWEEN ? AND ?", (self.slice_ms(run, change_ms), change_ms - 1)):
                sums[name][1] += 1
        for text, in database.execute(
                "SELECT text FROM event WHERE text LIKE '% slices without a row' AND boot_ms >= ? AND boot_ms < ?",
                (run.begin_ms, run.until_ms)):
            name, slices = WITHOUT.match(text).groups()
            sums[name][2] += int(slices)

    def check_sums(self, sums):
        """Returns (rows, slices counted by events, slices that only the next start stands for)."""
        untold = 0
        for number, (run, of_run) in enumerate(zip(self.runs, sums)):
            slices = (run.end_ms - run.begin_ms) // MINUTE_MS
            for name, (rows, last, counted, last_ms) in of_run.items():
                what = f"run {number} of {len(self.runs)}, {slices} slices, {name}: {rows} rows, {counted} counted"
                missing = slices + last - rows - counted
                if not run.killed:
                    self.assertEqual(missing, 0, f"{what}; {self.explain(run, name) if missing else ''}")
                    continue
                since_last = slices - (last_ms - run.begin_ms) // MINUTE_MS
                self.assertGreaterEqual(missing, 0, what)
                self.assertLessEqual(missing, since_last + 61, what)  # skipped are told once an hour
                untold += missing
        return (sum(row[0] for of_run in sums for row in of_run.values()),
                sum(row[2] for of_run in sums for row in of_run.values()), untold)

    def explain(self, run, name):
        """Where something is odd: slices with several rows or none, and what was told of the meter."""
        slices, told = {}, []
        for database in self.segments():
            for boot_ms, in database.execute("SELECT boot_ms FROM sample JOIN meter ON meter.id = sample.meter WHERE "
                                             "name = ? AND boot_ms >= ? AND boot_ms < ?",
                                             (name, run.begin_ms, run.until_ms)):
                slices.setdefault((boot_ms - run.begin_ms + START_MS) // MINUTE_MS, []).append(boot_ms - run.begin_ms)
            told += database.execute("SELECT boot_ms - ?, code, text FROM event WHERE boot_ms >= ? AND boot_ms < ? AND "
                                     "(text LIKE ? OR code = 'config')",
                                     (run.begin_ms, run.begin_ms, run.until_ms, f"{name}:%")).fetchall()
        last = (run.end_ms - run.begin_ms) // MINUTE_MS
        return (f"doubled {[row for row in slices.items() if len(row[1]) > 1]}, without "
                f"{[slice for slice in range(last) if slice not in slices]}, told {told}, "
                f"end {run.end_ms - run.begin_ms}")

    def check_values(self):
        """Nobody has a value of another."""
        for database in self.segments():
            for name, least, most in database.execute(
                    "SELECT name, min(json_extract(vals, '$[0]')), max(json_extract(vals, '$[0]')) "
                    "FROM sample JOIN meter ON meter.id = sample.meter GROUP BY name"):
                expected = volts(*map(int, name[1:].split("-")))
                self.assertIn(least, (expected, None), name)
                self.assertIn(most, (expected, None), name)

    def test_thirty_days(self):
        minutes = harness.share(30 * 24 * 60)
        begin = time.monotonic()
        self.end_s = begin + MOST_S
        begin_ms = self.clock.boot_ms()
        restarts = max(2, minutes * 12 // (30 * 24 * 60))
        for number in range(restarts):  # in the first sixth; what comes then is one life
            self.begin()
            self.go_on(begin_ms + (number + 1) * minutes * MINUTE_MS // 6 // restarts)
            self.end(kill=number % 2 == 1)
            self.meters.heal()

        self.begin()
        last_ms, end_ms = self.clock.boot_ms(), begin_ms + minutes * MINUTE_MS
        for part in range(40):
            self.go_on(last_ms + (part + 1) * (end_ms - last_ms) // 40)
            self.sample()
            if time.monotonic() > self.end_s:
                break
        self.end(kill=False)

        warm_h = min(24, self.samples[-1][0] / 3)
        warm = [sample for sample in self.samples if sample[0] >= warm_h]
        growth_kib = max(sample[1] for sample in warm) - warm[0][1]
        half = len(self.samples) // 2
        early, late = (max(sample[2] for sample in part) for part in (self.samples[:half], self.samples[half:]))
        rows, counted, untold = self.check_sums(self.add_up())
        self.check_values()
        days = (self.clock.boot_ms() - begin_ms) / 86400000
        what = ", ".join(f"{number} {name}" for name, number in sorted(self.counts.items()))
        took_min = (time.monotonic() - begin) / 60
        harness.figure(f"{days:.1f} days of virtual time in {took_min:.1f} min, 79 meters, {what}, "
                       f"{restarts} restarts (half of them kill -9): {rows} rows + {counted} slices counted by events "
                       f"+ {untold} that a kill took = all; RSS {warm[0][1]} KiB after {warm[0][0]:.1f} h, growth "
                       f"{growth_kib} KiB in the {warm[-1][0] - warm[0][0]:.1f} h from then on; "
                       f"{early} descriptors at most in the first half of it, {late} in the second, "
                       f"{warm[0][3]} threads")
        self.assertLessEqual(growth_kib, MUST_GROW_KIB, self.samples)
        # a bus whose line has died has one less
        self.assertLessEqual(late, early, self.samples)
        self.assertEqual({sample[3] for sample in self.samples}, {warm[0][3]}, self.samples)


if __name__ == "__main__":
    unittest.main()
