# SPDX-License-Identifier: MIT
"""
What lies beside the data on a stick: READ-ME.txt, status.txt and open-me.html. The page's numbers are held against sums
made here, reading by reading, from the journal's segments and from the CSV files.
"""

import csv
import datetime
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import time
import unittest
import xml.etree.ElementTree as tree

import harness
import pagebed
from pagebed import HOUSE, at, layout

BOTH = layout("power_active_total W", "energy_active_import Wh", "energy_active_export Wh")


class Page:
    """open-me.html, which is well-formed XML as well."""

    def __init__(self, path):
        self.text = pathlib.Path(path).read_text(encoding="utf-8")
        self.size = len(self.text.encode())
        self.root = tree.fromstring(self.text.replace("<!DOCTYPE html>\n", ""))

    def words(self):
        return " ".join("".join(self.root.find("body").itertext()).split())

    def title(self):
        return self.root.find("head/title").text

    def meters(self):
        return {section.find("h2").text: section for section in self.root.findall("body/main/section")}

    @staticmethod
    def value(cell):
        """The number for machines; None where there is none."""
        data = cell.find(".//data")
        return None if data is None else float(data.get("value"))

    def table(self, name):
        """{heading of a line: its numbers}"""
        lines = {}
        for line in self.meters()[name].findall(".//table[@class='numbers']/tbody/tr"):
            lines.setdefault(line.find("th").text, []).extend(self.value(cell) for cell in line.findall("td"))
        return lines

    def days(self, name):
        """The energy of the last seven days, oldest first."""
        return [self.value(span) for span in self.meters()[name].findall(".//*[@class='days']/span")]

    def months(self, name):
        return {line.find("th").text: self.value(line.findall("td")[1])
                for line in self.meters()[name].findall("table[@class='months']/tbody/tr")}

    def path(self, name, kind):
        return self.meters()[name].find(f".//*[@class='power']/*[@class='{kind}']").get("d")


def columns_of(path):
    """Which columns the steps of a line cross."""
    columns, x = set(), 0
    for command, numbers in re.findall(r"([MhV])([\d ]+)", path):
        if command == "M":
            x = int(numbers.split()[0])
        elif command == "h":
            columns.update(range(x, x + int(numbers)))
            x += int(numbers)
    return columns


class PagesCase(harness.Case):
    def setUp(self):
        super().setUp()
        self.state = self.directory / "state"
        self.run_dir = self.directory / "run"
        self.stick = self.directory / "stick"
        for path in (self.state, self.run_dir, self.stick):
            path.mkdir()
        (self.state / "appliance").write_text("here\n")
        self.folder = self.stick / "kwhmeter" / "here"
        self.command = [harness.BIN / "meterstick-stick", "--dir", self.stick, "--state-dir", self.state,
                        "--run-dir", self.run_dir]

    def once(self, **options):
        result = subprocess.run([*self.command, "--once"], capture_output=True, text=True, timeout=120, check=False,
                                **options)
        self.assertEqual(result.returncode, 0, result.stderr)
        return Page(self.folder / "open-me.html") if (self.folder / "open-me.html").is_file() else None

    def check_page(self, page):
        """What holds for each page."""
        self.assertLessEqual(page.size, 1000000)
        for word in ("http", "<script", "src=", "url(", "@import", "javascript", "NaN", "nan", "inf<"):
            self.assertNotIn(word, page.text)
        self.assertIn("width=device-width", page.text)
        for size in re.findall(r"font-size:([\d.]+)rem", page.text):
            self.assertGreaterEqual(float(size) * 16, 14)
        for picture in page.root.iter("svg"):
            if picture.get("aria-hidden") != "true":
                self.assertTrue(picture.find("title").text and picture.find("desc").text)
        for table in page.root.iter("table"):
            self.assertTrue(all(head.get("scope") for head in table.iter("th")))

    def check_sums(self, page, journal, names, now, rollover=None):
        """Days and months of the first counter, and those of a second one."""
        newest = datetime.date.fromisoformat(now)
        before = newest - datetime.timedelta(1)
        last_month = newest.replace(day=1) - datetime.timedelta(1)
        for number, (name, _, columns) in enumerate(journal.meters, 1):
            if name not in names:
                continue
            column = next(i for i, one in enumerate(columns) if one["quantity"] == "energy_active_import")
            days = journal.sums(number, column, "%Y-%m-%d", rollover)
            months = journal.sums(number, column, "%b %Y", rollover)
            self.assertGreater(len(days), 0)
            expect = [days.get((newest - datetime.timedelta(6 - i)).isoformat()) for i in range(7)]
            self.assertEqual(page.days(name), expect, name)
            table = page.table(name)
            self.assertEqual([values[0] for values in table.values()],
                             [days.get(newest.isoformat()), days.get(before.isoformat()),
                              months.get(newest.strftime("%b %Y")), months.get(last_month.strftime("%b %Y"))], name)
            self.assertEqual(page.months(name), months, name)


class Numbers(PagesCase):
    def test_energy_and_power_are_those_of_the_journal(self):
        journal = pagebed.Journal(self.state, [("kitchen", "schneider-iem2150", HOUSE),
                                               ("heat-pump", "hiking-dds238-2-zn-s", HOUSE)])
        gap = range(at("2026-10-24 08:00"), at("2026-10-24 19:00"))
        journal.boot(at("2026-08-20 10:00"))
        pagebed.fill(journal, at("2026-08-20 10:00:05"), at("2026-10-20 00:00"), 1200, [1, 2])
        pagebed.fill(journal, at("2026-10-20 00:00"), at("2026-10-27 12:34"), 120, [1, 2],
                     skip=lambda ms, number: number == 1 and ms in gap, start_wh=9876543)
        journal.event(at("2026-10-24 19:00"), "back", "kitchen: answers again, 330 slices without a row")
        journal.close()
        page = self.once()

        self.check_page(page)
        self.assertEqual(page.title(), "here")
        self.assertIn("Readings up to Tue 27 Oct 2026, 12:32 local time", page.words())
        # the counter's jump between the two fills has no event: it is what the journal says
        self.check_sums(page, journal, ["kitchen", "heat-pump"], "2026-10-27")

        power = [value for stamp, value in journal.readings(1, 1) if stamp.date().isoformat() == "2026-10-26"]
        shown = page.table("kitchen")["Mon 26 Oct"][1:]
        self.assertEqual([shown[0], shown[2]], [min(power), max(power)])
        self.assertAlmostEqual(shown[1], sum(power) / len(power), delta=0.001)

        # No line across what is missing: the day with 25 hours is among them.
        begin = at("2026-10-21 00:00")
        columns = {(stamp.timestamp() * 1000 - begin) // 1800000 for stamp, _ in journal.readings(1, 1)
                   if stamp.timestamp() * 1000 >= begin}
        self.assertEqual(columns_of(page.path("kitchen", "mean")), columns)
        self.assertEqual(page.path("kitchen", "gap"), "M160 0h22v400h-22z")  # 80 hours after the beginning, for 11
        self.assertEqual(page.path("heat-pump", "gap"), "")
        self.assertIn("330 readings are missing in the last 7 days", page.words())
        self.assertIn("flex-grow:25", page.text)

    def test_the_csv_files_have_the_same_sums(self):
        journal = pagebed.Journal(self.state, [("kitchen", "schneider-iem2150", HOUSE)])
        journal.boot(at("2026-03-27 10:00"))
        pagebed.fill(journal, at("2026-03-27 10:00:05"), at("2026-03-30 09:00"), 300, [1])  # 29 March has 23 hours
        journal.close()
        page = self.once()
        expect = []
        for day in range(24, 31):
            path = self.folder / f"kitchen/2026-03-{day}.csv"
            rows = list(csv.DictReader(path.read_text().splitlines())) if path.exists() else []
            energies = [float(row["energy_active_import_wh"]) for row in rows if row["energy_active_import_wh"]]
            expect.append(energies[-1] - energies[0] if energies else None)
        self.assertEqual(page.days("kitchen"), expect)
        self.assertIsNone(expect[0])
        self.assertIn("flex-grow:23", page.text)
        self.check_sums(page, journal, ["kitchen"], "2026-03-30")

    def test_a_counter_that_begins_anew_is_summed_in_parts(self):  # docs/counters.md
        journal = pagebed.Journal(self.state, [("old", "schneider-iem2150", HOUSE), ("new", "schneider-iem2150", HOUSE),
                                               ("roll", "schneider-iem2150", HOUSE)])
        journal.boot(at("2026-11-18 10:00"))
        change = at("2026-11-20 12:00")
        pagebed.fill(journal, at("2026-11-18 10:00:05"), change, 300, [1, 2, 3],
                     start_wh={1: 500000, 2: 700000, 3: 983000})
        last = [values[2] for _, _, _, _, values in journal.all[-3:]]
        first = [20, 0, (last[2] + 60) - 1000000 if last[2] + 60 >= 1000000 else 5]
        for held in range(2):  # not believed at first: their cells are empty
            for meter in (1, 2, 3):
                journal.add(change + held * 300000 + meter, meter, 230, 100.0, None, quality="g")
        seqs = [journal.add(change + 600000 + meter, meter, 230, 100.0, first[meter - 1]) for meter in (1, 2, 3)]
        for meter, name, what in ((1, "old", "another level (meter exchange),"), (2, "new", "a reset,"),
                                  (3, "roll", "a rollover at 1000000 Wh,")):
            journal.event(change + 600000, "released",
                          f"{name}: energy_active_import seq {seqs[meter - 1]} words 00000005 value {first[meter - 1]} "
                          f"Wh is {what} from {last[meter - 1]} Wh; 2 held since seq {seqs[0] - 6} released")
        pagebed.fill(journal, change + 900000, at("2026-11-21 09:00"), 300, [1, 2, 3],
                     start_wh={1: first[0], 2: first[1], 3: first[2]})
        journal.close()
        page = self.once()
        self.check_page(page)
        self.check_sums(page, journal, ["old", "new"], "2026-11-21")
        self.check_sums(page, journal, ["roll"], "2026-11-21", rollover=1000000)
        self.assertIn("1 time the counter began anew", page.words())
        self.assertIn("2 readings of the last 7 days with a counter that was not believed", page.words())

    def test_a_meter_that_is_silent_at_the_ends_of_a_month_is_found(self):
        names = [(f"m{i}", "schneider-iem2150", HOUSE) for i in range(1, 6)]
        journal = pagebed.Journal(self.state, names)
        journal.boot(at("2026-09-28 00:00"))
        alive = range(at("2026-10-12 01:00"), at("2026-10-12 03:00"))
        pagebed.fill(journal, at("2026-09-28 00:00:05"), at("2026-11-03 07:00"), 900, [1, 2, 3, 4, 5],
                     skip=lambda ms, number: number == 3 and ms not in alive)
        journal.close()
        page = self.once()
        self.check_sums(page, journal, ["m1", "m2", "m4", "m5"], "2026-11-03")
        self.assertEqual(page.months("m3"), {"Nov 2026": None, **journal.sums(3, 2, "%b %Y")})
        self.assertEqual(page.days("m3"), [None] * 7)

    def test_steps_of_the_clock_and_boots_are_runs_of_their_own(self):
        journal = pagebed.Journal(self.state, [("kitchen", "schneider-iem2150", HOUSE)])
        journal.boot(at("2026-11-15 06:00"), "R")
        pagebed.fill(journal, at("2026-11-15 06:00:05"), at("2026-11-17 23:30"), 600, [1])
        journal.epoch(at("2026-11-15 05:00"))  # the clock goes back an hour, across nothing
        pagebed.fill(journal, at("2026-11-17 22:40"), at("2026-11-18 04:00"), 600, [1], start_wh=1270000)
        journal.boot(at("2026-11-18 06:00"))
        pagebed.fill(journal, at("2026-11-18 06:00:05"), at("2026-11-19 11:00"), 600, [1], start_wh=1280000)
        journal.close()
        self.check_sums(self.once(), journal, ["kitchen"], "2026-11-19")

    def test_unknown_time_is_in_no_sum_until_it_is_known(self):
        journal = pagebed.Journal(self.state, [("kitchen", "schneider-iem2150", HOUSE)])
        journal.boot(at("2026-11-15 06:00"))
        pagebed.fill(journal, at("2026-11-15 06:00:05"), at("2026-11-16 06:00"), 600, [1])
        journal.boot(at("1970-01-01 01:00"), "U")  # a boot that never learns it
        pagebed.fill(journal, at("1970-01-01 01:00:05"), at("1970-01-01 03:00:05"), 600, [1], start_wh=1250000)
        journal.boot(at("1970-01-01 01:00"), "U")
        pagebed.fill(journal, at("1970-01-01 01:00:05"), at("1970-01-01 05:00:05"), 600, [1], start_wh=1260000)
        journal.close()
        page = self.once()
        self.check_sums(page, journal, ["kitchen"], "2026-11-16")
        self.assertIn("About 36 readings are in no number here", page.words())

        journal.learn(at("2026-11-20 01:00"))
        shutil.rmtree(self.stick)
        self.stick.mkdir()
        page = self.once()
        self.check_sums(page, journal, ["kitchen"], "2026-11-20")
        self.assertIn("About 12 readings are in no number here", page.words())
        self.assertIn("24 readings of the last 7 days whose time was learned later (C)", page.words())


class Shape(PagesCase):
    def test_a_plant_fits_and_says_what_it_leaves_out(self):
        for count in (79, 200):
            with self.subTest(meters=count):
                shutil.rmtree(self.state)
                shutil.rmtree(self.stick)
                self.state.mkdir()
                self.stick.mkdir()
                (self.state / "appliance").write_text("here\n")
                names = [(f"hall-{i:03}", "schneider-pm8000", BOTH) for i in range(count)]
                journal = pagebed.Journal(self.state, names)
                journal.boot(at("2026-10-28 00:00"))
                energy = [i * 1e6 for i in range(count)]
                for ms in range(at("2026-10-28 00:00:10"), at("2026-11-04 18:00"), 1800000 * (1 if count == 79 else 8)):
                    for i in range(count):
                        watt = round(pagebed.load(ms / 1000, i) * (i + 1), 1)
                        energy[i] += watt
                        journal.add(ms + i * 11, i + 1, watt, int(energy[i]), int(energy[i] / 3))
                journal.close()
                page = self.once()
                self.check_page(page)
                overview = page.root.findall("body/table/tbody/tr")
                self.assertEqual(len(overview), count)
                shown = len(page.meters())
                self.assertGreaterEqual(shown, min(count, 79))
                if shown < count:
                    self.assertIn(f"The parts of {count - shown} meters are left out", page.words())
                self.check_sums(page, journal, ["hall-000", "hall-042", "hall-078"], "2026-11-04")
                harness.figure(f"open-me.html of {count} meters: {page.size} bytes, parts of {shown}")

    def test_no_row_one_row_and_none_with_a_known_time(self):
        journal = pagebed.Journal(self.state, [("kitchen", "schneider-iem2150", HOUSE)])
        journal.boot(at("2026-11-20 10:00"))
        journal._open(0)
        journal.close()
        page = self.once()
        self.check_page(page)
        self.assertIn("There is no reading yet whose time is known", page.words())

        shutil.rmtree(self.state / "journal")
        journal = pagebed.Journal(self.state, [("kitchen", "schneider-iem2150", HOUSE)])
        journal.boot(at("2026-11-20 10:00"))
        journal.add(at("2026-11-20 10:00:10"), 1, 230, 42.0, 5)
        journal.close()
        page = self.once()
        self.check_page(page)
        self.assertEqual(page.table("kitchen")["Fri 20 Nov, so far"], [0, 42, 42, 42])

        shutil.rmtree(self.stick)
        self.stick.mkdir()
        shutil.rmtree(self.state / "journal")
        journal = pagebed.Journal(self.state, [("kitchen", "schneider-iem2150", HOUSE)])
        journal.boot(at("1970-01-01 01:00"), "U")
        journal.add(at("1970-01-01 01:00:10"), 1, 230, 42.0, 5)
        journal.close()
        page = self.once()
        self.check_page(page)
        self.assertIn("About 1 readings are in no number here", page.words())

    def test_names_and_labels_are_text(self):  # CWE-79
        label = "<b>Küche</b> & \"Bad\" \u202e"
        (self.state / "good.conf").write_text(
            f"[bus a]\nport = tcp:127.0.0.1:1\n[meter kitchen]\nbus = a\nmodel = schneider-iem2150\nlabel = {label}\n")
        model = "</h2><script>alert(1)</script>"
        journal = pagebed.Journal(self.state, [("kitchen", model, HOUSE), ("x\"'<y>", "m", layout("power_active W"))])
        journal.boot(at("2026-11-20 10:00"))
        journal.add(at("2026-11-20 10:00:10"), 1, 230, 42.0, 5)
        journal.add(at("2026-11-20 10:00:11"), 2, 7.5)
        journal.close()
        page = self.once(env=dict(os.environ, METERSTICK_MODELS=str(harness.MODELS)))
        self.check_page(page)
        section = page.meters()["kitchen"]
        self.assertEqual(section.find("p").text, f"{label} \u00b7 {model}")
        self.assertIn("x\"'<y>", page.meters())

    def test_a_meter_without_power_or_energy_says_so(self):
        journal = pagebed.Journal(self.state, [("flat", "hdhk-hdxxaxxa16gk", layout("current_a A", "current_b A")),
                                               ("radio", "currentcost-cc128", layout("power_active_s0 W"))])
        journal.boot(at("2026-11-20 10:00"))
        for i in range(100):
            journal.add(at("2026-11-20 10:00:10") + i * 60000, 1, 1.5, 2.5)
            journal.add(at("2026-11-20 10:00:10") + i * 60000 + 1, 2, 100.0 + i)
        journal.close()
        page = self.once()
        self.check_page(page)
        self.assertIn("logs neither power nor energy", "".join(page.meters()["flat"].itertext()))
        self.assertEqual(page.table("radio")["Fri 20 Nov, so far"], [100, 149.5, 199])


class Writing(PagesCase):
    def setUp(self):
        super().setUp()
        self.journal = pagebed.Journal(self.state, [("kitchen", "schneider-iem2150", HOUSE)])
        self.journal.boot(at("2026-11-20 10:00"))
        pagebed.fill(self.journal, at("2026-11-20 10:00:05"), at("2026-11-20 12:00"), 120, [1])
        self.journal.close()

    def test_the_read_me_says_what_is_there(self):
        self.once()
        raw = (self.folder / "READ-ME.txt").read_bytes()
        self.assertEqual(raw.count(b"\n"), raw.count(b"\r\n"))
        text = raw.decode("ascii")
        for words in ("energy_active_import_wh", "Wh, watt-hours; a counter", "power_active_w", "kitchen", "boot-17.csv",
                      "-r1", "EMPTY CELL", ".import --csv", "blue light", "open-me.html", "status.txt",
                      "RESULT.txt"):
            self.assertIn(words, text)
        self.assertLess(max(map(len, text.splitlines())), 100)
        # the line for SQLite as printed
        command = re.search(r'sqlite3 all\.db "(\.import .*)"', text)[1]
        shutil.copy(self.folder / "kitchen/2026-11-20.csv", self.directory)
        subprocess.run(["sqlite3", "all.db", command], cwd=self.directory, check=True)
        count = subprocess.run(["sqlite3", "all.db", "SELECT count(*) FROM kitchen"], cwd=self.directory, check=True,
                               capture_output=True, text=True).stdout
        self.assertEqual(int(count), 60)

    def test_a_text_that_is_right_is_not_written_again(self):
        self.once()
        readme = self.folder / "READ-ME.txt"
        before = readme.stat()
        self.once()
        after = readme.stat()
        self.assertEqual((before.st_ino, before.st_mtime_ns), (after.st_ino, after.st_mtime_ns))
        readme.write_text("changed")
        self.once()
        self.assertIn("kitchen", readme.read_text())

    def test_the_seeds_form_is_described_as_it_is(self):
        (self.state / "good.conf").write_text("[stick]\ncsv = energy-scribe\n")
        self.check_page(self.once())
        self.assertIn("energy-scribe", (self.folder / "READ-ME.txt").read_text())
        self.assertNotIn("seq ", (self.folder / "READ-ME.txt").read_text())

    def test_leftovers_of_a_cut_go(self):
        self.folder.mkdir(parents=True)
        for name in ("READ-ME.txt", "status.txt", "open-me.html"):
            (self.folder / (name + ".new")).write_text("half of i")
        self.once()
        self.assertEqual(sorted(path.name for path in self.folder.iterdir() if path.name[0] != "."),
                         ["READ-ME.txt", "kitchen", "open-me.html", "status.txt"])

    def test_what_goes_wrong_with_them_is_not_the_datas_trouble(self):  # faults 30, 31
        for name in ("READ-ME.txt", "status.txt", "open-me.html"):
            (self.folder / name / "somebody's").mkdir(parents=True)
        self.assertIsNone(self.once())
        self.assertTrue((self.folder / "kitchen/2026-11-20.csv").exists())
        self.assertEqual(sorted(path.name for path in self.folder.iterdir() if path.name.endswith(".new")), [])

    def test_no_room_for_a_page(self):  # faults 30, 31
        most = self.once().size - 1
        shutil.rmtree(self.folder)

        def small_files():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        page = self.once(preexec_fn=small_files, restore_signals=False)
        self.assertIsNone(page)
        self.assertTrue((self.folder / "kitchen/2026-11-20.csv").exists())
        self.assertTrue((self.folder / "READ-ME.txt").exists())
        self.assertEqual(list(self.folder.glob("*.new")), [])

    def status_of_acquire(self, **members):
        boot_id = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        boot_ms = int(time.clock_gettime(time.CLOCK_BOOTTIME) * 1000)
        status = {"program": "acquire", "pid": 1, "boot_id": boot_id, "boot_ms": boot_ms, "state": "running",
                  "error": None, "clock": {"known": True, "quality": "N"}, "journal": {"state": "ok"},
                  "meters": [{"name": "kitchen", "state": "live", "committed_boot_ms": boot_ms - 5000,
                              "last_error": None}]}
        status.update(members)
        (self.run_dir / "acquire.json").write_text(json.dumps(status))

    def test_the_status_in_words(self):
        def status():
            self.once()
            raw = (self.folder / "status.txt").read_bytes()
            self.assertEqual(raw.count(b"\n"), raw.count(b"\r\n"))
            return raw.decode()
        self.assertIn("NOT RUNNING", status())
        self.status_of_acquire()
        text = status()
        self.assertRegex(text, "kitchen +live +last reading 20")
        self.assertIn("known from the network", text)
        self.assertIn("Journal       well", text)
        self.assertRegex(text, r"Network       (\d|[0-9a-f]+:|no address)")
        self.status_of_acquire(journal={"state": "full"}, clock={"quality": "U"}, meters=[
            {"name": "kitchen\x1b[31m", "state": "silent", "committed_boot_ms": None, "last_error": "timed out\r\nX"}])
        text = status()
        self.assertIn("THE CARD IS FULL", text)
        self.assertIn("NOT KNOWN", text)
        self.assertRegex(text, r"kitchen\?\[31m +SILENT +no reading since the start \(timed out[? ]+X\)")
        self.status_of_acquire(boot_ms=1)
        self.assertIn("NOT RUNNING", status())  # stale: not believed

    def test_nothing_is_written_again_while_all_goes_on(self):
        (self.state / "good.conf").write_text("[stick]\nburst = 5 s\n")
        self.status_of_acquire()
        self.start(*self.command)
        page = self.folder / "open-me.html"
        harness.wait_until(lambda: page.exists() and "is not complete" not in page.read_text(), 60, "the page")
        names = ("READ-ME.txt", "status.txt", "open-me.html")
        before = {name: (self.folder / name).stat().st_ino for name in names}
        bursts = lambda: sum(path.stat().st_mtime_ns for path in self.folder.glob(".cursor.*"))
        seen = bursts()
        self.journal.add(at("2026-11-20 12:00"), 1, 230, 50.0, 1300000)
        self.journal.close()
        harness.wait_until(lambda: bursts() != seen, 30, "a burst")
        self.assertEqual({name: (self.folder / name).stat().st_ino for name in names}, before)

        away = self.directory / "away"
        self.stick.rename(away)
        harness.wait_until(lambda: json.loads((self.run_dir / "stick.json").read_text())["sticks"] == [], 10, "gone")
        away.rename(self.stick)
        harness.wait_until(lambda: page.stat().st_ino != before["open-me.html"], 30, "a page at the insertion")


if __name__ == "__main__":
    unittest.main()
