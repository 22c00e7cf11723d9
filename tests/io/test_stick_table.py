# SPDX-License-Identifier: MIT
"""The tables on a stick, opened as people open them, and over the days on which the clocks are changed."""

import collections
import datetime
import shutil
import subprocess
import unittest
import zoneinfo

import test_stick

HOUR_MS = 3600000
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")


class Import(test_stick.StickCase):
    def sqlite(self, *commands):
        if not shutil.which("sqlite3"):
            self.fail("no sqlite3 (package sqlite3)")
        result = subprocess.run(["sqlite3", "-batch", ":memory:", *commands], capture_output=True, text=True,
                                timeout=30, check=True)
        self.assertEqual(result.stderr, "")
        return result.stdout.splitlines()

    def test_sqlite_imports_the_file_as_it_is(self):
        self.journal.add(230.1, -1250)
        self.journal.add(None, 0.042)
        self.journal.add(1e-9, 123456789012)
        self.once()
        said = self.sqlite(".mode csv", f".import '{self.day}' t", ".mode list",
                           "SELECT group_concat(name, ' ') FROM pragma_table_info('t')",
                           "SELECT count(*), total(power_active_w), count(nullif(voltage_v, '')) FROM t",
                           "SELECT utc, unixepoch(utc), voltage_v + 0, seq + 0 FROM t WHERE seq + 0 = 1",
                           "SELECT datetime(local) FROM t WHERE quality = 'Nm'")
        self.assertEqual(said, ["utc local quality voltage_v power_active_w seq",
                                "3|123456787762.042|2",
                                "2026-11-20T10:00:01.000Z|1795168801|230.1|1",
                                "2026-11-20 11:00:02"])

    def test_names_that_need_quotes_come_through(self):
        self.journal.db.execute("""INSERT INTO meter VALUES(2,'odd','exec','[{"quantity":"=a,\\"b","unit":"x y"}]')""")
        self.journal.add(5, meter=2)
        self.once()
        path = self.day.parent.parent / "odd" / self.day.name
        said = self.sqlite(".mode csv", f".import '{path}' t", ".mode list",
                           "SELECT count(*) FROM pragma_table_info('t')", "SELECT seq + 0 FROM t")
        self.assertEqual(said, ["5", "1"])


class ChangedClocks(test_stick.StickCase):
    """A row every ten minutes, from noon of the day before to noon of the day after."""

    def log_over(self, day, hours):
        noon = datetime.datetime.combine(day - datetime.timedelta(days=1), datetime.time(12), BERLIN)
        self.journal.db.execute("UPDATE epoch SET wall_ms=?", (int(noon.timestamp() * 1000),))
        count = (24 + hours) * 6 + 1
        for number in range(count):
            self.journal.add(number, number, boot_ms=number * HOUR_MS // 6)
            if number % 50 == 0:
                self.once()
        self.once()
        return count

    def check_over(self, day, hours):
        count = self.log_over(day, hours)
        rows = {path.stem: self.rows(path) for path in sorted(self.day.parent.glob("*.csv"))}
        self.assertEqual(list(rows), [str(day + datetime.timedelta(days=n)) for n in (-1, 0, 1)])
        self.assertEqual([len(table) for table in rows.values()], [72, hours * 6, 73])
        table = sum(rows.values(), [])
        self.assertEqual([int(row["seq"]) for row in table], list(range(1, count + 1)))
        times = [datetime.datetime.fromisoformat(row["utc"].replace("Z", "+00:00")) for row in table]
        self.assertEqual(len(set(times)), count)
        self.assertEqual({after - before for before, after in zip(times, times[1:])}, {datetime.timedelta(minutes=10)})
        for row, time in zip(table, times):
            self.assertEqual(row["local"], time.astimezone(BERLIN).strftime("%Y-%m-%d %H:%M:%S"))
        return collections.Counter(row["local"] for row in rows[str(day)])

    def test_the_day_of_25_hours_has_an_hour_twice_and_no_key(self):
        local = self.check_over(datetime.date(2026, 10, 25), 25)
        self.assertEqual(sorted(text for text, n in local.items() if n == 2),
                         [f"2026-10-25 02:{minute:02}:00" for minute in range(0, 60, 10)])

    def test_the_day_of_23_hours_lacks_an_hour(self):
        local = self.check_over(datetime.date(2026, 3, 29), 23)
        self.assertFalse([text for text in local if text.startswith("2026-03-29 02:")])
        self.assertEqual(set(local.values()), {1})


if __name__ == "__main__":
    unittest.main()
