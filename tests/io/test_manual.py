# SPDX-License-Identifier: MIT
"""The manual against the programs: every option of --help has its place, every light its line, groff has no complaint."""

import re
import subprocess
import sys
import unittest

from harness import BIN, SOURCE

MAN = SOURCE / "docs" / "man"
PAGES = {"acquire": "meterstick-acquire.8", "scan": "meterstick-scan.1", "stick": "meterstick-stick.8", "leds": "meterstick-leds.8"}


def page(name):
    """A page as plain text, without its markup."""
    text = (MAN / name).read_text(encoding="utf-8")
    return re.sub(r"\\f[A-Z]|\\\(dq", "", text).replace("\\-", "-")


def keys(path):
    """{section: its keys} of a table in C; a key that ends in a dot begins a family."""
    found = {}
    for section, name in re.findall(r'^    \{ "(\w+)", +"([\w.]+)",', (SOURCE / path).read_text(encoding="utf-8"),
                                    re.MULTILINE):
        found.setdefault(section, set()).add(name)
    return found


class Configuration(unittest.TestCase):
    def setUp(self):
        self.known = keys("app/config/keys.c") | keys("app/config/keys_meter.c")
        self.assertEqual(set(self.known), {"appliance", "bus", "journal", "leds", "meter", "stick"})
        self.page = page("meterstick.conf.5")

    def test_every_key_is_in_the_page_and_no_other(self):
        for section, names in self.known.items():
            text = re.search(rf"(?ms)^\.SS \[{section}[^]]*\]\n(.*?)(?=^\.S[SH])", self.page).group(1)
            tags = " ".join(re.findall(r"(?m)^\.TP\n\.[BIR]+ (.*)", text))
            for name in names - {"command", "columns"}:  # they are told with driver
                self.assertRegex(tags, rf"(?<![\w.]){re.escape(name)}(?!\w)" if name[-1] != "." else re.escape(name))
            for tag in re.findall(r"[a-z_0-9]+(?:\.[a-z]?)?", re.sub('" to "|= *" exec| = " exec', " ", tags)):
                self.assertTrue(tag in names or re.sub(r"\..", ".", tag) in names, f"[{section}] has no {tag}")
        for name in ("command", "columns"):
            self.assertIn(name, self.known["meter"])
            self.assertRegex(self.page, rf"(?m)^\.B {name}$")

    def test_what_may_be_adopted_is_what_the_page_says(self):
        adoptable = keys("app/config/closed.c")
        self.assertEqual(adoptable["appliance"], {"name", "interval", "timezone"})
        self.assertEqual(adoptable["leds"], self.known["leds"])
        self.assertEqual(self.known["bus"] - adoptable["bus"], {"lock"})
        self.assertEqual(self.known["meter"] - adoptable["meter"], {"command", "columns"})
        self.assertEqual(set(adoptable), {"appliance", "leds", "bus", "meter"})
        adopted = re.search(r"(?ms)^\.SH ADOPTED\n(.*?)^\.SH", self.page).group(1)
        for name in ("name", "interval", "timezone", "brightness", "colours", "lock", "command", "columns"):
            self.assertRegex(adopted, rf"\b{name}\b")


class Manual(unittest.TestCase):
    def verbs(self):
        text = subprocess.run([BIN / "meterstick", "--help"], capture_output=True, text=True, check=True).stdout
        return re.findall(r"^  (\w+) ", text, re.MULTILINE)

    def test_every_option_of_every_verb_is_in_its_page(self):
        verbs = self.verbs()
        self.assertIn("read", verbs)
        for verb in verbs:
            help_text = subprocess.run([BIN / "meterstick", verb, "--help"], capture_output=True, text=True,
                                       check=False, timeout=20)
            self.assertEqual(help_text.returncode, 0, f"{verb}: {help_text.stderr}")
            text = page(PAGES.get(verb, "meterstick.1"))
            for option in re.findall(r"^  (--[a-z0-9-]+)", help_text.stdout, re.MULTILINE):
                self.assertRegex(text, re.escape(option) + r"(?![a-z-])", f"{verb} {option} is not in its page")

    def test_every_verb_has_a_place(self):
        text = page("meterstick.1")
        for verb in self.verbs():
            self.assertTrue(f".SS {verb}\n" in text or verb in PAGES, f"{verb} is not described")

    def test_every_event_is_in_the_manual(self):
        sources = "".join(path.read_text(encoding="utf-8") for path in (SOURCE / "app").glob("*/*.c"))
        section = page("meterstick-acquire.8").split(".SH EVENTS")[1].split(".SH")[0]
        told = {word for line in re.findall(r"(?m)^\.TP\n\.BR? (.*)", section) for word in re.findall("[a-z]+", line)}
        raised = set(re.findall(r'event\((?:[^;"]|\n)*?"([a-z]+)"', sources))
        self.assertGreater(len(raised), 8)
        self.assertLessEqual(raised, told)
        for code in told:  # some are chosen elsewhere than where they are raised
            self.assertTrue(re.search(rf"""["']{code}['"]""", sources), f"nobody raises {code}")

    def test_every_light_is_in_the_manual_that_is_built(self):
        source = (SOURCE / "leds" / "indicator.c").read_text(encoding="utf-8")
        lights = re.findall(r"\{ PIXEL_\w+, COLOUR_(\w+), (?:STEADY|BLINKS), \"[^\"]*\",\s*\"(.*?)\"", source)
        text = (BIN.parent / "man" / "meterstick-leds.8").read_text(encoding="utf-8")
        self.assertGreater(len(lights), 20)
        self.assertNotIn("@LIGHTS@", text)
        for colour, meaning in lights:
            if not meaning.startswith("nothing: "):
                self.assertRegex(text, f"(?m)^{colour.lower()}.*: {re.escape(meaning)}$")

    def test_groff_has_no_complaint(self):
        result = subprocess.run([sys.executable, SOURCE / "tests" / "manpages.py"], capture_output=True, text=True,
                                check=False)
        if "not installed" in result.stdout:
            self.skipTest("man or groff is not installed")
        self.assertEqual(result.returncode, 0, result.stdout)


if __name__ == "__main__":
    unittest.main()
