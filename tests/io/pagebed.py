# SPDX-License-Identifier: MIT
"""Journals of some days or months, written with Python's sqlite3, and what their counters sum up to."""

import datetime
import json
import math
import sqlite3
import zoneinfo

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
ID = "01234567-89ab-4cde-8f01-23456789abcd"
DAY = 86400
SCHEMA = """
    PRAGMA page_size=1024; PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;
    BEGIN;
    CREATE TABLE journal(id TEXT);
    CREATE TABLE epoch(n INTEGER PRIMARY KEY, boot_id TEXT, wall_ms INTEGER, source TEXT, error_ms INTEGER);
    CREATE TABLE meter(id INTEGER PRIMARY KEY, name TEXT, model TEXT, layout TEXT);
    CREATE TABLE sample(seq INTEGER PRIMARY KEY, epoch INTEGER, boot_ms INTEGER, meter INTEGER, quality TEXT, vals TEXT);
    CREATE TABLE event(id INTEGER PRIMARY KEY, epoch INTEGER, boot_ms INTEGER, code TEXT, text TEXT);
    PRAGMA user_version=1;
"""


def at(text):
    """Local time in Berlin, in ms."""
    return int(datetime.datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp() * 1000)


def layout(*columns):
    """ "power_active W" ... """
    return [dict(zip(("quantity", "unit"), (column + " ").split(" ")[:2])) for column in columns]


HOUSE = layout("voltage V", "power_active W", "energy_active_import Wh")


class Journal:
    """Rows in the order in which they are added; a segment for each boot and each 24 h of boot clock."""

    def __init__(self, state, meters):
        """meters: [(name, model, layout)]"""
        self.directory = state / "journal"
        self.directory.mkdir(parents=True)
        (self.directory / "id").write_text(ID + "\n")
        self.meters = meters
        self.epochs = []            # all there ever were
        self.db = None
        self.seq, self.event_id, self.boots = 0, 0, 0
        self.rows = []              # of the open segment
        self.all = []               # (seq, epoch, boot_ms, meter, values)

    def boot(self, wall_ms, source="N"):
        """Another boot, whose boot clock was 0 at that wall time."""
        self._close()
        self.boots += 1
        self.seq = self.seq if self.boots == 1 else (self.seq // 2**32 + 1) * 2**32 - 1
        self.boot_id = f"{self.boots:08x}-0000-4000-8000-000000000000"
        self.epoch(wall_ms, source)

    def epoch(self, wall_ms, source="N"):
        self.epochs.append((len(self.epochs) + 1, self.boot_id, wall_ms, source, 0))
        if self.db:
            self._flush()
            self.db.execute("INSERT INTO epoch VALUES(?,?,?,?,?)", self.epochs[-1])

    def add(self, wall_ms, meter, *values, quality=""):
        """A row at a wall time (by the newest epoch)."""
        boot_ms = wall_ms - self.epochs[-1][2]
        if self.db and boot_ms - self.begin_ms >= DAY * 1000:
            self._close()
        if not self.db:
            self._open(boot_ms)
        self.seq += 1
        letters = self.epochs[-1][3] + (quality or ("m" if None in values else ""))
        self.rows.append((self.seq, len(self.epochs), boot_ms, meter, letters, json.dumps(values)))
        self.all.append((self.seq, len(self.epochs), boot_ms, meter, values))
        return self.seq

    def event(self, wall_ms, code, text):
        self.event_id += 1
        self.db.execute("INSERT INTO event VALUES(?,?,?,?,?)",
                        (self.event_id, len(self.epochs), wall_ms - self.epochs[-1][2], code, text))

    def learn(self, wall_ms, source="N"):
        """The present boot learns the time: known to each of its segments."""
        self.epoch(wall_ms, source)
        self._close()
        for path in self.directory.glob("*.db"):
            db = sqlite3.connect(path, isolation_level=None)
            if db.execute("SELECT 1 FROM epoch WHERE boot_id=?", (self.boot_id,)).fetchone():
                db.execute("INSERT OR IGNORE INTO epoch VALUES(?,?,?,?,?)", self.epochs[-1])
            db.close()

    def _open(self, boot_ms):
        self.begin_ms = boot_ms
        self.db = sqlite3.connect(self.directory / f"{self.seq + 1:016}.db", isolation_level=None)
        self.db.executescript(SCHEMA)
        self.db.execute("INSERT INTO journal VALUES(?)", (ID,))
        self.db.executemany("INSERT INTO epoch VALUES(?,?,?,?,?)",
                            [epoch for epoch in self.epochs if epoch[1] == self.boot_id])
        self.db.executemany("INSERT INTO meter VALUES(?,?,?,?)",
                            [(number + 1, name, model, json.dumps(columns))
                             for number, (name, model, columns) in enumerate(self.meters)])

    def _flush(self):
        self.db.executemany("INSERT INTO sample VALUES(?,?,?,?,?,?)", self.rows)
        self.rows = []

    def _close(self):
        if self.db:
            self._flush()
            self.db.execute("COMMIT")
            self.db.execute("PRAGMA journal_mode=DELETE")
            self.db.close()
            self.db = None

    close = _close

    def wall_ms(self, epoch, boot_ms):
        """None: not known."""
        own = self.epochs[epoch - 1]
        if own[3] in "NHR":
            return own[2] + boot_ms
        known = [other for other in self.epochs if other[1] == own[1] and other[3] in "NHR"]
        return known[0][2] + boot_ms if known else None

    def readings(self, meter, column):
        """(local time, value) of each that is there, in order: read from the segments, not from what was added."""
        for path in sorted(self.directory.glob("*.db")):
            db = sqlite3.connect(path)
            for epoch, boot_ms, text in db.execute("SELECT epoch, boot_ms, vals FROM sample WHERE meter=? ORDER BY seq",
                                                   (meter,)):
                value = json.loads(text)[column]
                wall_ms = self.wall_ms(epoch, boot_ms)
                if value is not None and wall_ms is not None:
                    yield datetime.datetime.fromtimestamp(wall_ms / 1000, BERLIN), value
            db.close()

    def sums(self, meter, column, form, rollover=None):
        """{period: energy}: a period is strftime's form. Each level for itself; at a rollover the count goes on."""
        sums, before = {}, {}
        for time, value in self.readings(meter, column):
            period = time.strftime(form)
            if period in before:
                step = value - before[period]
                if step < 0:
                    step = rollover + step if rollover else 0
                sums[period] += step
            else:
                sums[period] = 0
            before[period] = value
        return sums


def load(seconds, number=0):
    """The power of a house at a time, W."""
    hour = seconds / 3600
    daily = 350 + 250 * math.sin((hour - 9 + number) / 24 * 2 * math.pi) + 120 * math.sin(hour / 3 * 2 * math.pi + number)
    kettle = 2000 if int(hour * 4) % 31 in (3, 4) else 0
    return max(40.0, daily) + kettle * (1 + number % 3) / 2


def fill(journal, begin_ms, end_ms, step_s, meters, skip=lambda ms, number: False, start_wh=1234567):
    """Rows of meters (1, 2 ...) with voltage, power and a counter of whole Wh, an interval apart."""
    energy = dict.fromkeys(meters, start_wh) if not isinstance(start_wh, dict) else start_wh
    for ms in range(begin_ms, end_ms, step_s * 1000):
        for number in meters:
            watt = round(load(ms / 1000, number), 1)
            energy[number] += watt * step_s / 3600
            if not skip(ms, number):
                journal.add(ms + number * 7, number, 230.1, watt, int(energy[number]))
    return energy
