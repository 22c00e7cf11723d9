# SPDX-License-Identifier: MIT
"""
Counters that lie (reliability.md section 7, faults 11 and 12), through the whole chain: literal register words on a
line, the logger, its journal, and the export. What is held back has an empty cell for good and an event with its words;
what is left adds up to the energy that was used.
"""

import csv
import json
import re
import struct
import time
import unittest

import harness
import test_acquire

INTERVAL_S = 0.5
MAX_POWER = "10 kW"  # and a resolution of 1 Wh: 2 Wh more are possible in a slice, and more where it stood still

CVM = ("circutor-cvm-nrg96", "energy_active_import")        # u32.abcd, 1 Wh
IEM = ("schneider-iem2150", "energy_active_import")         # f32.abcd, 1 Wh
PM51 = ("schneider-pm5100", "energy_active_import")         # i64.abcd, 1 Wh
HIKING = ("hiking-dds238-2-zn-s", "energy_active_total")    # u32.abcd, 0.01 kWh

# name: (meter, words as they stand in the registers, a poll each; what the rows have, None for a cell that is held;
# the codes of the events; what the last of them says; last minus first, in Wh)
GLITCHES = {
    "zero": (CVM, "0012D687 0012D688 00000000 0012D68A 0012D68B", [1234567, 1234568, None, 1234570, 1234571],
             "held dropped", "1 held since seq", 4),
    "all-ones": (CVM, "0012D687 0012D688 FFFFFFFF 0012D68A 0012D68B", [1234567, 1234568, None, 1234570, 1234571],
                 "held dropped", "1 held since seq", 4),
    "back-by-one": (CVM, "0012D687 0012D688 0012D687 0012D68A", [1234567, 1234568, None, 1234570],
                    "held dropped", "goes on from 1234568 Wh", 3),
    "swapped": (CVM, "0012D687 0012D688 D6890012 0012D68A", [1234567, 1234568, None, 1234570], "held dropped",
                "words 0012d68a value 1234570 Wh goes on", 3),
    "bit-set": (CVM, "0012D687 0012D688 0052D689 0012D68A", [1234567, 1234568, None, 1234570], "held dropped",
                "dropped", 3),
    "bit-cleared": (CVM, "0012D687 0012D688 0002D689 0012D68A", [1234567, 1234568, None, 1234570], "held dropped",
                    "dropped", 3),
    "torn-old-high": (CVM, "0012FFFE 0012FFFF 00120000 00130001", [1245182, 1245183, None, 1245185], "held dropped",
                      "value 1245185 Wh goes on from 1245183 Wh", 3),
    "torn-old-low": (CVM, "0012FFFE 0012FFFF 0013FFFF 00130001", [1245182, 1245183, None, 1245185], "held dropped",
                     "dropped", 3),
    "jump-and-back": (CVM, "0012D687 0012D688 0012E688 0012D68A", [1234567, 1234568, None, 1234570], "held dropped",
                      "dropped", 3),
    "starting": (CVM, "0012D687 0012D688 00000000 00000000 00000000 00000000 00000000 0012D68C",
                 [1234567, 1234568, None, None, None, None, None, 1234572], "held held held held held dropped",
                 "5 held since seq", 5),
    "every-second": (CVM, "0012D687 00000000 0012D689 00000000 0012D68B 00000000 0012D68D",
                     [1234567, None, 1234569, None, 1234571, None, 1234573],
                     "held dropped held dropped held dropped", "1 held since seq", 6),
    "garbage": (CVM, "0012D687 00000000 FFFFFFFF D6890012 7FFFFFFF 00010001 0012D68D",
                [1234567, None, None, None, None, None, 1234573], "held held held held held dropped",
                "5 held since seq", 6),
    "float-zero": (IEM, "4730AF00 4730B000 00000000 4730B200", [45231, 45232, None, 45234], "held dropped",
                   "words 4730b200 value 45234 Wh goes on", 3),
    "float-exponent": (IEM, "4730AF00 4730B000 4830B100 4730B200", [45231, 45232, None, 45234], "held dropped",
                       "dropped", 3),
    "long-zero": (PM51, "00000000003ADE68 00000000003ADE69 0000000000000000 00000000003ADE6B",
                  [3858024, 3858025, None, 3858027], "held dropped", "words 00000000003ade6b value 3858027 Wh", 3),
    "display": (HIKING, "0012D687 0012D688 0000D689 0012D689", [12345670, 12345680, None, 12345690], "held dropped",
                "words 0012d689 value 12345690 Wh goes on", 20),
    # what follows makes these another level: the event has where the old one ended
    "reset": (CVM, "0012D687 0012D688 00000000 00000001 00000002 00000003", [1234567, 1234568, None, None, 2, 3],
              "held held released", "value 2 Wh is a reset, from 1234568 Wh; 2 held since seq", 3 - 1234567),
    "rollover": (CVM, "FFFFFFFD FFFFFFFE 00000000 00000001 00000002 00000003",
                 [4294967293, 4294967294, None, None, 2, 3], "held held released",
                 "is a rollover at 4294967296 Wh, from 4294967294 Wh; 2 held since seq", 3 - 4294967293),
    "exchange": (CVM, "0012D687 0012D688 05397FB1 05397FB2 05397FB3 05397FB4",
                 [1234567, 1234568, None, None, 87654323, 87654324], "held held released",
                 "is another level (meter exchange), from 1234568 Wh; 2 held since seq", 87654324 - 1234567),
}


class Script:
    """Meters on one line, each of which holds the next of its words in each slice, and keeps the last."""

    def __init__(self, *words):
        self.words = {unit: [bytes.fromhex(word) for word in text.split()] for unit, text in enumerate(words, 1)}
        self.at = {}             # unit: (which of them, in which slice)
        self.begin = None
        self.disturbed = False   # asked twice in a slice: an answer was late, or the poll

    def answer(self, frame):
        unit, function, _, count = struct.unpack_from(">BBHH", frame, 6)
        self.begin = self.begin or time.monotonic() - 0.3 * INTERVAL_S  # polls come soon after a slice began
        now = int((time.monotonic() - self.begin) / INTERVAL_S)
        index, since = self.at.get(unit, (-1, -1))
        self.disturbed |= now == since and index > 0  # before the first poll it is asked whether it is there
        self.at[unit] = index + (now != since), now
        data = self.words[unit][min(self.at[unit][0], len(self.words[unit]) - 1)]
        assert len(data) == 2 * count, (unit, count)
        pdu = struct.pack(">BBB", unit, function, len(data)) + data
        return [(0, frame[:4] + struct.pack(">H", len(pdu)) + pdu)]

    def are_over(self):
        return self.disturbed or all(self.at.get(unit, (0, 0))[0] >= len(words) for unit, words in self.words.items())


def any_seq(text):
    return re.sub(r"seq \d+", "seq N", text)


class Counters(test_acquire.Case):
    def exported(self, name):
        text = self.meterstick("export", "--meter", name, "--state-dir", self.state, "--run-dir", self.run_dir,
                               status=0).stdout
        rows = list(csv.reader(line for line in text.splitlines() if not line.startswith("#")))
        return rows[0], rows[1:]

    def test_each_glitch_is_held_back_named_and_judged_and_the_energy_is_exact(self):
        self.run_undisturbed({name: (meter, words) for name, (meter, words, *_) in GLITCHES.items()})

        rows, events = self.all_rows(), self.guards_events()
        for name, ((_, point), _, values, codes, says, energy) in GLITCHES.items():
            with self.subTest(name):
                self.check(rows[name], events[name], values, codes, says)
                self.check_export(name, point, values, energy)
        document = (harness.SOURCE / "docs" / "counters.md").read_text()
        for code, text in events["zero"]:
            self.assertIn(f"{code:<8} {any_seq(text.replace('zero:', 'kitchen:'))}", any_seq(document))

    def run_undisturbed(self, *runs):
        """One run after the other, in a state directory of their own. Returns how many rows each left."""
        for attempt in range(4):
            self.state, rows = self.directory / f"state-{attempt}", []
            while len(rows) < len(runs) and self.run_script(runs[len(rows)]):
                rows.append(sum(map(len, self.all_rows().values())))
            if len(rows) == len(runs):
                return rows
        self.fail("this machine is too busy for polls that come in their slices")

    def run_script(self, meters):
        """{name: ((model, point), words)}. False: a poll was late."""
        script = Script(*(words for _, words in meters.values()))
        liar = harness.Liar("tcp", script.answer)
        self.addCleanup(liar.close)
        text = "".join(f"[meter {name}]\nbus = b\nmodel = {model}\naddress = {unit}\nlog = {point}\n"
                       f"max_power = {MAX_POWER}\n"
                       for unit, (name, ((model, point), _)) in enumerate(meters.items(), 1))
        process = self.acquire(self.configure(f"[bus b]\nport = {liar.where}\n{text}", interval=f"{INTERVAL_S} s"))
        harness.wait_until(script.are_over, 60, "all words are read")
        self.end(process, within=20)
        return not script.disturbed

    def test_after_a_restart_a_counter_goes_on_from_the_journal(self):
        before, _ = self.run_undisturbed({"zero": (CVM, "0012D687 0012D688")}, {"zero": (CVM, "00000000 0012D68A")})
        rows = self.all_rows()["zero"]
        self.assertEqual({value for _, _, value in rows[:before]}, {1234567, 1234568})
        self.assertEqual({value for _, _, value in rows[before:]}, {None, 1234570})
        self.assertIsNone(rows[before][2])
        (_, held), *_, (code, judged) = self.guards_events()["zero"]
        self.assertIn("words 00000000 value 0 Wh is held back: a step back from 1234568 Wh", held)
        self.assertEqual(code, "dropped")
        self.assertIn("goes on from 1234568 Wh", judged)

    def all_rows(self):
        """{meter: [(seq, quality, value)]}"""
        rows = {name: [] for name in GLITCHES}
        for seq, name, quality, values in self.query("SELECT seq, name, quality, vals FROM sample JOIN meter ON "
                                                     "meter.id = sample.meter ORDER BY seq"):
            rows[name].append((seq, quality, json.loads(values)[0]))
        return rows

    def guards_events(self):
        events = {name: [] for name in GLITCHES}
        for code, text in self.query("SELECT code, text FROM event ORDER BY id"):
            if code in ("held", "dropped", "released"):
                events[text.split(":")[0]].append((code, text))
        return events

    def check(self, rows, events, values, codes, says):
        """The rows up to the end of the words, and the events with their seqs and words."""
        self.assertEqual([value for _, _, value in rows][:len(values)], values)
        self.assertEqual({value for _, _, value in rows[len(values):]}, {values[-1]})
        self.assertEqual([quality for _, quality, _ in rows], ["Ng" if value is None else "N" for _, _, value in rows])
        self.assertEqual(" ".join(code for code, _ in events), codes)
        self.assertIn(says, events[-1][1])
        held = [seq for seq, _, value in rows if value is None]
        self.assertEqual([int(re.search(r" seq (\d+) words [0-9a-f]+ value ", text).group(1))
                          for code, text in events if code == "held"], held)
        for code, text in events:
            if code != "held":
                self.assertIn(int(re.search(r"held since seq (\d+) ", text).group(1)), held)

    def check_export(self, name, point, values, energy):
        header, rows = self.exported(name)
        quality, counter = header.index("quality"), header.index(f"{point}_wh")
        self.assertEqual([None if row[counter] == "" else float(row[counter]) for row in rows][:len(values)], values)
        self.assertTrue(all(("g" in row[quality]) == (row[counter] == "") for row in rows), rows)
        cells = [row[counter] for row in rows if row[counter]]
        self.assertEqual(float(cells[-1]) - float(cells[0]), energy)


if __name__ == "__main__":
    unittest.main()
