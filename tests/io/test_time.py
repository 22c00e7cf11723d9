# SPDX-License-Identifier: MIT
"""
DESIGN section 5, faults 54 to 58: whatever the wall clock does, rows keep their order, none is lost, doubled or pruned,
and each has its true time as soon as that can be known. The clocks of `acquire` are the test's own (virtual_clock.py);
the meter is one whose counter is the boot clock, so that a row tells when it was read.
"""

import csv
import datetime
import io
import json
import pathlib
import signal
import socket
import sqlite3
import subprocess
import threading
import time
import unittest
import zoneinfo

import harness
import registers
import timedate
import virtual_clock

MODEL = "schneider-iem2150"
COUNTER = "energy_active_import"
YEAR_S = 31557600
HOUR_S = 3600
BASE = time.time() // 3600 * 3600 + 86400  # a clock before the day of the build is not believed
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
UTC = datetime.timezone.utc
PLACE = "kwhmeter/here/m"


def wall_of(*date):
    return datetime.datetime(*date, tzinfo=UTC).timestamp()


def seconds_of(utc):
    return datetime.datetime.fromisoformat(utc.replace("Z", "+00:00")).timestamp()


class Manager:
    """What systemd is to a service: it wants a WATCHDOG=1 every 30 s."""

    def __init__(self, case, clock):
        self.path = case.directory / "notify"
        self.clock = clock
        self.fed_s = []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()
        case.addCleanup(self.close)

    def listen(self):
        while (message := self.socket.recv(4096)) != b"end":
            if b"WATCHDOG=1" in message:
                self.fed_s.append(self.clock.boot_ns() / virtual_clock.SECOND)

    def close(self):
        self.socket.sendto(b"end", str(self.path))
        self.thread.join()
        self.socket.close()

    def longest_s(self):
        return max((after - before for before, after in zip(self.fed_s, self.fed_s[1:])), default=0)


class Case(harness.Case):
    def setUp(self):
        super().setUp()
        self.state, self.run_dir = self.directory / "state", self.directory / "run"
        self.log = self.directory / "log"
        self.log.write_text("")
        self.tables = registers.registers(MODEL, {COUNTER: 0})
        self.asked = 0

    def begin(self, interval, clock="auto", more="", **clocks):
        """The clocks, the meter and the configuration; nothing runs yet."""
        self.clock = virtual_clock.VirtualClock(self.directory, **clocks)
        self.addCleanup(self.clock.close)
        self.manager = Manager(self, self.clock)
        liar = harness.Liar("tcp", self.answer)
        self.addCleanup(liar.close)
        self.config = self.directory / "meterstick.conf"
        self.config.write_text(f"[appliance]\nname = here\ninterval = {interval}\nclock = {clock}\n"
                               f"timezone = Europe/Berlin\n[journal]\ncommit = 10 s\n{more}"
                               f"[bus b]\nport = {liar.where}\ntimeout = 5 s\n"
                               f"[meter m]\nbus = b\nmodel = {MODEL}\naddress = 1\nlog = {COUNTER}\n"
                               f"max_power = 100 MW\n")

    def answer(self, request):
        self.asked += 1
        self.tables = registers.registers(MODEL, {COUNTER: self.clock.boot_ns() // virtual_clock.SECOND})
        return registers.server(self.tables, "tcp")(request)

    def acquire(self, **environment):
        environment = self.clock.environment(NOTIFY_SOCKET=str(self.manager.path), WATCHDOG_USEC="30000000",
                                             CLOCK_GRACE_US="500000", **environment)
        with open(self.log, "ab") as log:
            return self.start(harness.PLAIN_BIN / "meterstick-acquire", "--config", self.config, "--state-dir",
                              self.state, "--run-dir", self.run_dir, env=environment, stderr=log)

    def end(self, process):
        """Its last seconds at our own pace: it may take 5 s for them, not 5 s / rate."""
        self.clock.run_at(1)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(20), 0, self.log.read_text())
        self.clock.stand(1)
        self.assertNotIn("has not gone on", self.log.read_text())
        self.assertLess(self.manager.longest_s(), 30)

    def query(self, sql):
        result = []
        for path in sorted((self.state / "journal").glob("*.db")):
            database = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
            try:
                result += database.execute(sql).fetchall()
            finally:
                database.close()
        return result

    def letters(self):
        """Of the epochs, each once."""
        return "".join(letter for number, letter in sorted(set(self.query("SELECT n, source FROM epoch"))))

    def status(self):
        try:
            return json.loads((self.run_dir / "acquire.json").read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return {}

    def wait_letter(self, letter):
        try:
            harness.wait_until(lambda: self.status().get("clock", {}).get("quality") == letter, 20, letter)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.status()} {self.log.read_text()}") from None

    def wait_rows(self, more=3):
        """Until so many more meters were asked."""
        until = self.asked + more
        harness.wait_until(lambda: self.asked >= until, 60, "rows")

    def check_journal(self, interval_s, restarts=0):
        """Order and completeness, which have nothing to do with the wall clock. Returns {seq: boot_ms}."""
        rows = self.query("SELECT seq, boot_ms, vals FROM sample ORDER BY seq")
        self.assertGreater(len(rows), 3)
        for (seq, boot_ms, _), (next_seq, next_ms, _) in zip(rows, rows[1:]):
            self.assertTrue(next_seq == seq + 1 or next_seq % (1 << 32) == 0, (seq, next_seq))
            self.assertGreater(next_ms, boot_ms)
        for seq, boot_ms, values in rows:
            self.assertAlmostEqual(json.loads(values)[0], boot_ms / 1000, delta=2, msg=f"seq {seq}")
        slices = round((rows[-1][1] - rows[0][1]) / 1000 / interval_s)
        counted = sum(int(text.split()[-5]) for text, in self.query(
            "SELECT text FROM event WHERE text LIKE '% slices without a row'"))
        if restarts == 0:  # the first may be late; tests/long/test_soak.py counts exactly
            self.assertAlmostEqual(len(rows) + counted, slices + 1, delta=1,
                                   msg=self.query("SELECT code, text FROM event"))
        self.assertFalse(self.query("SELECT text FROM event WHERE code = 'gap'"))
        return {seq: boot_ms for seq, boot_ms, _ in rows}

    def export(self):
        """[(seq, seconds since 1970, letter)], in order, all rows of the journal."""
        result = subprocess.run([str(harness.PLAIN_BIN / "meterstick-export"), "--meter", "m", "--format", "json",
                                 "--state-dir", str(self.state)], capture_output=True, text=True, timeout=60,
                                check=True)
        rows = [json.loads(line) for line in result.stdout.splitlines()]
        return [(row["seq"], seconds_of(row["time"]) if row["time"] else None, row["quality"]) for row in rows]

    def stick(self):
        """{file: [row]} of a stick that everything was written to."""
        folder = self.directory / "stick"
        folder.mkdir(exist_ok=True)
        result = subprocess.run([str(harness.PLAIN_BIN / "meterstick-stick"), "--dir", str(folder), "--state-dir",
                                 str(self.state), "--run-dir", str(self.run_dir), "--once"], capture_output=True,
                                text=True, timeout=60, check=False, env=self.clock.environment())
        self.assertEqual(result.returncode, 0, result.stderr)
        return {path.name: list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))
                for path in (folder / PLACE).glob("*.csv")}

    def check_days(self, files, seqs):
        """Each row once, in the file of its local day, with its local time."""
        found = []
        for name, rows in files.items():
            if name.startswith("boot-"):
                continue
            for row in rows:
                local = datetime.datetime.fromtimestamp(seconds_of(row["utc"]), BERLIN)
                self.assertEqual(row["local"], local.strftime("%Y-%m-%d %H:%M:%S"))
                self.assertEqual(name, f"{local:%Y-%m-%d}.csv")
                found.append(int(row["seq"]))
            self.assertEqual([int(row["seq"]) for row in rows], sorted(int(row["seq"]) for row in rows), name)
        self.assertEqual(sorted(found), sorted(seqs))


class Boot(Case):
    def test_a_boot_in_1970_gets_its_true_time_two_hours_later(self):  # fault 54
        self.begin("30 s", rate=4000, busy_rate=2, wall=20, boot_s=20)
        process = self.acquire()
        self.clock.wait(2 * HOUR_S)
        self.assertEqual(self.letters(), "U")
        self.clock.run_at(20, 2)
        self.manager.fed_s.clear()  # before, 30 s were 30 ms
        self.clock.set(BASE)
        self.wait_letter("R")
        self.clock.run_at(200, 2)
        self.wait_rows()
        self.end(process)
        self.assertEqual(self.letters(), "UR")
        boots = self.check_journal(30)
        rows = self.export()
        self.assertEqual([row[0] for row in rows], sorted(boots))
        for seq, wall_s, quality in rows:
            self.assertAlmostEqual(wall_s, self.clock.zero() + boots[seq] / 1000, delta=1, msg=f"seq {seq}")
        self.assertEqual(len([row for row in rows if row[2] == "C"]), len([
            row for row in self.query("SELECT seq FROM sample WHERE quality = 'U'")]))
        self.assertGreaterEqual([row[2] for row in rows].count("C"), 235)
        self.assertEqual(rows[-1][2], "R")
        self.check_days(self.stick(), boots)

    def test_rows_that_a_stick_already_has_come_again_with_their_time(self):  # fault 44
        self.begin("1 s", rate=20, busy_rate=2, wall=20)
        process = self.acquire()
        self.clock.wait(30)
        self.wait_rows()
        harness.wait_until(lambda: self.query("SELECT seq FROM sample") and self.stick(), 20)
        files = self.stick()
        self.assertEqual(len(files), 1, files)
        name, early = files.popitem()
        self.assertTrue(name.startswith("boot-"), name)
        self.assertEqual({(row["utc"], row["quality"]) for row in early}, {("", "U")})
        self.clock.set(BASE)
        self.wait_letter("R")
        self.wait_rows()
        self.end(process)
        boots = self.check_journal(1)
        self.check_days(self.stick(), boots)

    def test_boots_under_many_clocks_lose_and_prune_nothing(self):
        """Retention (at least 7 days of running) has nothing to do with what the wall clock says; nor has the order."""
        self.begin("1 s", rate=20, busy_rate=2, more="keep = 7 days\n")
        now_s = time.time()
        seqs = []
        for number, wall_s in enumerate((20, now_s, now_s + 50 * YEAR_S, now_s - 50 * YEAR_S, now_s - 10 * 86400, 20,
                                         now_s + 3600, now_s + 30 * 86400, now_s, now_s + 400 * 86400, now_s)):
            if number > 0:
                self.clock.stand(20)
                self.clock.boot(rtc=number % 2 == 0)
            self.clock.run_at(20, 2)
            self.clock.set(wall_s)
            process = self.acquire()
            self.wait_rows(5)
            self.end(process)
            self.assertEqual([seq for seq in self.check_journal(1, restarts=number) if seq in set(seqs)], seqs)
            seqs = sorted(self.check_journal(1, restarts=number))
        self.assertEqual(len(list((self.state / "journal").glob("*.db"))), 11)
        self.assertEqual([row[0] for row in self.export()], seqs)
        self.assertEqual(sorted(int(row["seq"]) for rows in self.stick().values() for row in rows), seqs)


STEPS = {"+1 h": HOUR_S, "-1 h": -HOUR_S, "leap second": -1, "+50 years": 50 * YEAR_S, "back": -50 * YEAR_S,
         "-50 years": -50 * YEAR_S, "and back": 50 * YEAR_S, "back to where it was": 1}


class Steps(Case):
    def step_all(self, then=None):
        """All steps, one after the other. Returns [(boot clock when it was set, what it then was at boot clock 0)]."""
        zeros = [(0, self.clock.zero())]
        self.wait_rows()
        for seconds in STEPS.values():
            self.clock.step(seconds)
            zeros.append((self.clock.boot_ms(), self.clock.zero()))
            if then:
                then()
            self.wait_rows(4)
        return zeros

    def check_times(self, boots, zeros):
        """By the clock that was in force; either of two in the second in which it was set."""
        for seq, wall_s, quality in self.export():
            fits = [zero_s for index, (since_ms, zero_s) in enumerate(zeros)
                    if since_ms - 1000 <= boots[seq]
                    and (index + 1 == len(zeros) or boots[seq] <= zeros[index + 1][0] + 1000)]
            self.assertLess(min(abs(wall_s - zero_s - boots[seq] / 1000) for zero_s in fits), 0.5,
                            f"seq {seq} {quality}: {wall_s} of {boots[seq]}, {zeros}")

    def test_a_clock_that_is_trusted_is_believed_and_nothing_is_lost(self):  # fault 55
        self.begin("1 s", clock="trusted", rate=20, busy_rate=2, wall=BASE)
        process = self.acquire()
        zeros = self.step_all()
        self.end(process)
        boots = self.check_journal(1)
        self.assertEqual([row[0] for row in self.export()], sorted(boots))
        self.check_times(boots, zeros)
        self.assertEqual(self.letters(), "N" * len(zeros))
        self.check_days(self.stick(), boots)

    def test_a_clock_that_jumps_by_decades_is_not_believed(self):  # fault 55
        """Only those steps that can be right are: rows under the others have their time by the first that was known."""
        self.begin("1 s", rate=20, busy_rate=2, wall=BASE)
        self.clock.boot(rtc=True)
        process = self.acquire()
        self.wait_letter("R")
        self.step_all(lambda: self.wait_letter("R" if self.is_sane() else "U" if self.clock.wall() < BASE else "E"))
        self.end(process)
        boots = self.check_journal(1)
        rows = self.export()
        self.assertEqual([row[0] for row in rows], sorted(boots))
        for seq, wall_s, quality in rows:
            self.assertAlmostEqual(wall_s, BASE - 20 + boots[seq] / 1000, delta=HOUR_S + 60,
                                   msg=f"seq {seq} {quality}")
        self.check_days(self.stick(), boots)

    def test_a_clock_that_is_set_again_and_again_stays_watched(self):
        """It may be set before we wait for that again: timerfd_settime(2) itself then says ECANCELED."""
        self.begin("1 s", clock="trusted", rate=1, wall=BASE)
        process = self.acquire()
        self.wait_rows(1)
        for _ in range(1000):
            self.clock.step(0)
        delays_ms = []
        for _ in range(5):
            since_ms = self.clock.boot_ms()
            self.clock.step_twice(10)
            number = len(delays_ms) + 1
            try:
                harness.wait_until(lambda number=number: self.log.read_text().count("the clock was set") == number, 20,
                                   "a step that is noticed")
            except AssertionError as error:
                raise AssertionError(f"{error}: {delays_ms} {self.log.read_text()}") from None
            delays_ms.append(self.clock.boot_ms() - since_ms)
            time.sleep(0.6)  # after a step there is a look in 100 ms, and then every 2 s
        self.assertLess(sorted(delays_ms)[2], 500, delays_ms)
        self.end(process)

    @unittest.skipIf(timedate.missing(), timedate.missing())
    def test_ntp_and_a_person(self):
        """What timedate1 said before a step is not about the clock as it is now."""
        answer = self.directory / "answer"
        answer.write_text("yes")
        address = f"unix:path={self.directory}/bus"
        timedate.serve(self, address, answer)
        self.begin("1 s", rate=2, wall=BASE)
        process = self.acquire(DBUS_SYSTEM_BUS_ADDRESS=address)
        self.wait_letter("N")
        self.wait_rows()
        answer.write_text("no")
        self.clock.step(HOUR_S)                  # a person
        self.wait_letter("R")
        self.wait_rows()
        self.assertNotIn("the clock was set (N)", self.log.read_text())
        self.clock.step(50 * YEAR_S)             # nobody
        self.wait_letter("E")
        answer.write_text("yes")
        self.clock.step(-50 * YEAR_S - HOUR_S)   # NTP
        self.wait_letter("N")
        self.wait_rows()
        self.end(process)
        self.assertRegex(self.letters(), "^[EU]?NRER?N$")
        boots = self.check_journal(1)
        self.assertEqual([row[0] for row in self.export()], sorted(boots))
        self.check_days(self.stick(), boots)

    def is_sane(self):
        return abs(self.clock.wall() - BASE) < 86400


class Days(Case):
    def test_days_on_which_the_clocks_change(self):  # fault 55
        """Of 23 and of 25 hours in Berlin: each row in the file of its day, those of the hour that comes twice too."""
        self.begin("10 s", clock="trusted", rate=200, busy_rate=2, wall=wall_of(2026, 3, 28, 22, 58))
        process = self.acquire()
        moments = [wall_of(2026, 3, 28, 23), wall_of(2026, 3, 29, 1), wall_of(2026, 3, 29, 22),
                   wall_of(2026, 10, 24, 22), wall_of(2026, 10, 25, 0), wall_of(2026, 10, 25, 1),
                   wall_of(2026, 10, 25, 23)]
        for moment in moments:
            self.clock.set(moment - 60)
            self.clock.wait(120)
        self.end(process)
        boots = self.check_journal(10)
        rows = self.export()
        self.assertEqual([row[0] for row in rows], sorted(boots))
        for moment in moments:
            self.assertGreaterEqual(len([row for row in rows if moment - 60 <= row[1] < moment]), 5, moment)
            self.assertGreaterEqual(len([row for row in rows if moment <= row[1] < moment + 60]), 5, moment)
        files = self.stick()
        self.check_days(files, boots)
        self.assertEqual(sorted(files), ["2026-03-28.csv", "2026-03-29.csv", "2026-03-30.csv", "2026-10-24.csv",
                                         "2026-10-25.csv", "2026-10-26.csv"])
        for name, of_day in files.items():
            self.assertEqual([row["utc"] for row in of_day], sorted(row["utc"] for row in of_day), name)
        hours = [row["local"][11:13] for row in files["2026-10-25.csv"]]
        self.assertIn(["02", "02", "02"], [hours[at:at + 3] for at in range(len(hours))])
        self.assertFalse([row for row in files["2026-03-29.csv"] if row["local"][11:13] == "02"])


if __name__ == "__main__":
    unittest.main()
