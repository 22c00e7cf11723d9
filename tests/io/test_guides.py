# SPDX-License-Identifier: MIT
"""What docs/ tells people to look for, against the words of the programs; and every link, to files and to headings."""

import importlib
import os
import re
import subprocess
import sys
import unittest
from xml.etree import ElementTree

from harness import BIN, MODELS, SOURCE, Case, wait_until

DOCS = SOURCE / "docs"


def read(path):
    return (SOURCE / path).read_text(encoding="utf-8")


def lights():
    """The table of the lights, as docs/lights.py reads it."""
    spec = importlib.util.spec_from_file_location("card", DOCS / "lights.py")
    card = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(card)
    return card


def words(path, function):
    """The texts that a function in C returns."""
    body = re.search(rf"(?ms)^[^\n]*\b{function}\(.*?^}}", read(path)).group()
    return set(re.findall(r'return "([^"]+)"', body))


def anchors(text):
    """The headings of a page, as links name them."""
    heads = re.findall(r"^#+ (.*)", re.sub(r"(?ms)^```.*?^```", "", text), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


class Troubleshooting(unittest.TestCase):
    def setUp(self):
        self.text = read("docs/troubleshooting.md")

    def test_every_light_has_its_row(self):
        card = lights()
        name = ""
        rows = {}
        for line in self.text.split("## Without")[0].splitlines():
            cells = [cell.strip() for cell in line.split("|")]
            if len(cells) > 5 and cells[2] not in ("is", "---"):
                name = cells[1].strip("* ") or name
                rows[name, cells[2], cells[3]] = cells[4]
        for light in card.read_table():
            place = f"{card.PIXELS.index(light.pixel)} {card.NAMES[light.pixel]}"
            if light.pixel in card.UNUSED:
                self.assertIn((place, "dark", ""), rows)
                continue
            key = (place, card.shown(light), light.text)
            self.assertIn(key, rows)
            self.assertTrue(rows.pop(key) or not light.blinks, f"nothing to do about {key}")
        self.assertEqual({key[2] for key in rows}, {""}, "rows of lights that are not there")

    def test_every_state_of_a_stick(self):
        states = words("app/outlet/stick_report.c", "stick_report_state_name")
        self.assertEqual(len(states), 8)
        self.assertEqual(set(re.findall(r"^\| `(\w+)` \|[^|]*, \w+ \|", self.text, re.MULTILINE)), states)

    def test_every_state_of_the_journal(self):
        states = words("app/acquire/writer.c", "writer_state_text")
        section = self.text.split("## The card")[1].split("## ")[0]
        self.assertEqual(set(re.findall(r"^\| `(\w+)`", section, re.MULTILINE)), states)

    def test_every_reason_why_a_value_is_missing(self):
        reasons = words("drivers/sample.c", "reason_text") - {"unknown exception"}
        self.assertIn("timed out", reasons)
        for reason in reasons:
            self.assertIn(reason, self.text)

    def test_every_letter_of_quality(self):
        letters = set(re.findall(r"CLOCK_\w+ = '(\w)'", read("app/journal/journal.h"))) | {"m", "g"}
        self.assertLessEqual({"N", "H", "R", "E", "U", "C"}, letters)
        section = self.text.split("## Gaps")[1]
        self.assertEqual(set(re.findall(r"^\| `(\w)` \|", section, re.MULTILINE)), letters)

    def test_every_event_of_a_gap_is_one(self):
        section = self.text.split("A row that is not there")[1].split("##")[0]
        manual = read("docs/man/meterstick-acquire.8").split(".SH EVENTS")[1].split(".SH")[0]
        events = [event for line in re.findall(r"^\|(.*?)\|", section, re.MULTILINE)
                  for event in re.findall("`(.*?)`", line)]
        self.assertGreater(len(events), 8)
        for event in events:
            self.assertRegex(manual, rf"(?m)^\.BR? .*\b{event}\b")


class FirstCsv(Case):
    """What docs/installing.md shows is what comes out."""

    def test_the_configuration_gives_such_a_file(self):
        text = read("docs/installing.md")
        told = re.search(r"(?s)<!-- first CSV -->\n```csv\n(.*?)```", text).group(1).splitlines()
        config = self.directory / "meterstick.conf"
        line = self.directory / "line"
        config.write_text(re.search(r"(?s)```ini\n(.*?)```", text).group(1).replace("port   = auto", f"port = {line}")
                          .replace("[appliance]\n", "[appliance]\nclock = trusted\n"))
        self.simulate("--model", "schneider-iem2150", "--pty", line, "--seed", "7")
        options = ("--config", config, "--state-dir", self.directory / "state", "--run-dir", self.directory / "run")
        self.start(BIN / "meterstick", "acquire", *options, env=dict(os.environ, METERSTICK_MODELS=str(MODELS)))
        stick = self.directory / "stick"
        stick.mkdir()

        def written():
            self.meterstick("stick", "--dir", stick, "--once", *options)
            return [path.read_text().splitlines() for path in stick.glob("kwhmeter/workshop/lathe/????-??-??.csv")]
        rows = wait_until(lambda: next((rows for rows in written() if len(rows) > 1), None), 90, "the first row")
        self.assertEqual(rows[0], told[0])
        for row in told[1:] + rows[1:]:
            self.assertRegex(row, r"^(\d+-){2}\d+T[\d:.]+Z,(\d+-){2}\d+ [\d:]+,N(,-?\d+(\.\d+)?){9}$")


class Guides(Case):
    def pages(self):
        return [SOURCE / "README.md", SOURCE / "CHANGELOG.md", *sorted(DOCS.glob("*.md"))]

    def test_every_link_leads_somewhere(self):
        for page in self.pages():
            text = page.read_text(encoding="utf-8")
            for target in re.findall(r"\]\(([^)\s]+)\)", text):
                if re.match(r"https?:", target):
                    continue
                path, _, anchor = target.partition("#")
                other = page.parent / path if path else page
                self.assertTrue(other.exists(), f"{page.name}: {target}")
                if anchor:
                    self.assertIn(anchor, anchors(other.read_text(encoding="utf-8")), f"{page.name}: {target}")

    def test_the_pictures_of_the_wiring_are_those_of_their_tables(self):
        result = subprocess.run([sys.executable, DOCS / "wiring.py", "--check"], capture_output=True, text=True,
                                check=False)
        self.assertEqual(result.returncode, 0, result.stdout)
        for path in DOCS.glob("wiring-*.svg"):
            ElementTree.parse(path)
            self.assertTrue(any(path.name in page.read_text(encoding="utf-8") for page in self.pages()), path.name)

    def test_the_pins_are_those_of_the_program(self):
        sys.path.append(str(DOCS))
        wiring = importlib.import_module("wiring")
        lines = dict(re.findall(r"#define (DATA|CLOCK)_LINE +(\d+)", read("app/leds/lamp.c")))
        self.assertEqual(len(lines), 2)
        for what, number in lines.items():
            self.assertTrue(any(name == what.lower() and words.startswith(f"GPIO {number}:")
                                for name, words in wiring.PINS.values()), what)

    def test_commands_of_dev_are_there(self):
        known = set(re.findall(r"(?m)^  \./dev (\w+(?: (?:long|vm|board|package))?)", read("dev"))) | {"test"}
        for page in self.pages():
            text = page.read_text(encoding="utf-8")
            for verb, level in re.findall(r"\./dev (\w+)(?: (long|vm|board|package)\b)?", text):
                self.assertIn(f"{verb} {level}".strip(), known, page.name)

    def test_configurations_are_right(self):
        count = 0
        for page in (SOURCE / "README.md", *(DOCS / f"{name}.md" for name in ("hardware", "installing", "stick"))):
            for block in re.findall(r"(?s)```ini\n(.*?)```", page.read_text(encoding="utf-8")):
                path = self.directory / "meterstick.conf"
                path.write_text(block)
                self.meterstick("check", path, "--state-dir", self.directory, status=0)
                count += 1
        self.assertGreater(count, 4)

    def test_every_page_is_in_the_readme(self):
        readme = read("README.md")
        for page in sorted(DOCS.glob("*.md")):
            self.assertIn(f"(docs/{page.name})", readme)

    def test_commands_have_the_options_that_are_told(self):
        known = {}
        others = DOCS / "from-other-programs.md"  # has commands of others, and a test of its own
        for page in (page for page in self.pages() if page != others):
            for line in re.findall(r"(?m)^\$ (meterstick .*)|`(meterstick [^`]*)`", page.read_text(encoding="utf-8")):
                command = re.sub(r"#.*", "", "".join(line)).split()
                if len(command) < 2 or not re.fullmatch("[a-z]+", command[1]):
                    continue
                verb = command[1]
                if verb not in known:
                    result = subprocess.run([BIN / "meterstick", verb, "--help"], capture_output=True, text=True,
                                            check=False, timeout=60)
                    self.assertEqual(result.returncode, 0, f"{page.name}: meterstick {verb}")
                    known[verb] = set(re.findall(r"^  (--[a-z0-9-]+)", result.stdout, re.MULTILINE))
                for word in command[2:]:
                    if word.startswith("--"):
                        self.assertIn(word.split("=")[0], known[verb], f"{page.name}: {' '.join(command)}")


if __name__ == "__main__":
    unittest.main()
