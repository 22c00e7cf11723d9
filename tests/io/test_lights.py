# SPDX-License-Identifier: MIT
"""The decoder of lights.py, against frames that are drawn here by the words of ES-03, ES-04 and ES-08; and the card."""

import importlib.util
import random
import subprocess
import sys
import unittest
from xml.etree import ElementTree

import lights
from harness import SOURCE, Case, random_source

PARTS = {"R": "c80000", "G": "00c800", "B": "0000c8", "Y": "c8c800", "C": "00c8c8", "P": "c800c8", "W": "c8c8c8",
         ".": "000000"}
STATUS = "PG.WG..."
DIGITS = ["...BB...", "B.......", "BB......", "BBB.....", "BBBB....", "BBBBB...", "BBBBBB..", "BBBBBBB.", "BBBBBBBB",
          "BBB..BBB"]


class Film:
    """Frames, one after another."""

    def __init__(self):
        self.frames = []
        self.time = 5000

    def show(self, seen, ms):
        self.frames.append({"boot_ms": self.time, "brightness": 3, "pixels": [PARTS[letter] for letter in seen]})
        self.time += ms
        return self

    def symbol(self, char, share=1.0, colour="B"):
        if char == ".":
            return self.show("W......W", int(3000 * share))
        return self.show(DIGITS[int(char)].replace("B", colour), int(2000 * share))

    def spell(self, text, colour="B"):
        self.show("." * 8, 2000)
        for index, char in enumerate(text):
            if index:
                self.show("." * 8, 300)
            self.symbol(char, colour=colour)
        return self

    def addresses(self):
        return lights.addresses(self.frames, self.time)

    def numbers(self):
        return lights.numbers(self.frames, self.time)


class Decoder(unittest.TestCase):
    def test_any_address_comes_back(self):
        source = random_source()
        for _ in range(200):
            address = ".".join(str(source.randrange(256)) for _ in range(4))
            film = Film().show(STATUS, 700).spell(address).spell(address).show("." * 8, 2000).show(STATUS, 1)
            self.assertEqual(film.addresses(), [address, address])
            self.assertEqual(film.numbers(), [])

    def test_the_numbers_of_meters_come_back(self):
        film = Film().show(STATUS, 700)
        for number in (1, 42, 1000, 79, 8):
            film.spell(str(number), "R").show("." * 8, 2000).show("PY.WG...", 500).show("P..WG...", 500)
        self.assertEqual(film.numbers(), [1, 42, 1000, 79, 8])
        self.assertEqual(film.addresses(), [])

    def test_what_was_cut_off_is_told_as_such(self):
        film = Film().show(STATUS, 700).spell("10.0.0.1").show(STATUS, 9000).spell("10.0.0.12").show("." * 8, 300)
        film.show(STATUS, 3000)
        self.assertEqual(film.addresses(), [])
        self.assertEqual([text.text for text in lights.spelled(film.frames, film.time)], ["10.0.0.1", "10.0.0.12"])
        self.assertEqual([text.whole for text in lights.spelled(film.frames, film.time)], [False, False])
        film.spell("10.0.0.123").show("." * 8, 2000).show(STATUS, 3000)
        self.assertEqual(film.addresses(), ["10.0.0.123"])

    def test_a_burst_between_two_symbols_or_in_one_is_not_in_the_way(self):
        film = Film().show(STATUS, 700).spell("10.7").show("." * 8, 100).show("PGBWG...", 900).show(STATUS, 1000)
        film.show("." * 8, 300).symbol("2", 0.3).show("PGBWG...", 900).show("." * 8, 300).symbol("2")
        film.show("." * 8, 300).symbol("3", 0.6).show("PGBWG...", 900).show("." * 8, 300).symbol("3")
        self.assertEqual([text.text for text in lights.spelled(film.frames, film.time)], ["10.7233"])
        film.show("." * 8, 2000).show(STATUS, 10)
        self.assertEqual(film.addresses(), ["10.7233"])

    def test_what_follows_a_status_is_not_the_end_of_what_was_before(self):
        film = Film().show(STATUS, 700).show("." * 8, 2000).symbol("1").show("PGBWG...", 900).show("." * 8, 1700)
        self.assertEqual([text.whole for text in lights.spelled(film.frames, film.time)], [False])
        film.show("PGBWG...", 900)
        self.assertEqual([text.whole for text in lights.spelled(film.frames, film.time)], [False])

    def test_a_status_that_blinks_all_dark_ends_no_address(self):
        film = Film().spell("10.0.0.1").show("." * 8, 2000)
        for _ in range(4):
            film.show("RRR.Y...", 500).show("." * 8, 500)
        self.assertEqual(film.addresses(), ["10.0.0.1"])

    def test_the_last_frame_of_all_is_no_digit(self):
        film = Film().show(STATUS, 700).show("R.......", 5000)
        self.assertEqual(lights.spelled(film.frames, film.time), [])

    def test_lights_come_back_from_colours_and_blinking(self):
        film = Film().show("PYBWY...", 100)
        for _ in range(3):
            film.show("PYRCG..Y", 500).show("P.BCG..Y", 500)
        self.assertEqual(lights.status_at(film.frames, film.time),
                         ["purple", "yellow blinking", "red and blue blinking", "cyan", "green", "dark", "dark", "yellow"])
        film.show("PGBCG..Y", 200)
        self.assertEqual(lights.status_at(film.frames, film.time)[0], "purple")
        self.assertIsNone(lights.status_at(film.frames, film.time - 8000))
        film.spell("7")
        self.assertIsNone(lights.status_at(film.frames, film.time))
        film.show(STATUS, 2000)
        self.assertEqual(lights.status_at(film.frames, film.time),
                         ["purple", "green", "dark", "white", "green", "dark", "dark", "dark"])
        film.show("PGYWG...", 200)
        self.assertIsNone(lights.status_at(film.frames, film.time)[2])

    def test_the_bar_comes_back(self):
        film = Film().show("PGBCG...", 5000).show("WBBBBBBB", 1000).show("WWWWBBBB", 4000).show("WWWWWWWG", 4000)
        self.assertEqual([done for _, done in lights.bars(film.frames)], [1, 4, 7])
        self.assertEqual([lights.kind(frame) for frame in film.frames], ["status", "bar", "bar", "bar"])
        self.assertEqual(lights.spelled(film.frames), [])
        self.assertEqual(lights.search_bars(film.frames), [])

    def test_a_search_comes_back(self):
        film = Film().show("PC..G...", 5000).show("WWCCCCCC", 5000).spell("14", "C").show("." * 8, 2000).show("PC..G...", 5000)
        self.assertEqual([done for _, done in lights.search_bars(film.frames)], [2])
        self.assertEqual(lights.minutes(film.frames, film.time), [14])
        self.assertEqual((lights.bars(film.frames), lights.numbers(film.frames), lights.addresses(film.frames)),
                         ([], [], []))

    def test_bits_come_back_as_a_frame(self):
        source = random.Random(8)
        pixels = [source.randbytes(3).hex() for _ in range(8)]
        wire = b"".join(bytes([0xE3]) + bytes(reversed(bytes.fromhex(pixel))) for pixel in pixels)
        bits = [0] * 32 + [byte >> i & 1 for byte in wire for i in range(7, -1, -1)] + [0] * 36
        self.assertEqual(lights.unpack(bits), {"brightness": 3, "pixels": pixels})
        for spoiled in (bits[1:], [1, *bits[1:]], bits[:-1] + [1], [*bits[:32], 0, *bits[33:]]):
            self.assertRaises(ValueError, lights.unpack, spoiled)

    def test_brightness_0_is_dark(self):
        frame = dict(Film().show(STATUS, 1).frames[0], brightness=0)
        self.assertEqual(lights.letters(frame), "........")
        self.assertEqual(lights.kind(frame), "dark")


class Card(Case):
    """The page that is put beside the meter."""

    def setUp(self):
        super().setUp()
        sys.path.append(str(SOURCE / "docs"))  # for what it imports; another lights.py is here
        spec = importlib.util.spec_from_file_location("card", SOURCE / "docs" / "lights.py")
        self.card = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.card)

    def test_the_card_is_that_of_the_table(self):
        result = subprocess.run([sys.executable, SOURCE / "docs" / "lights.py", "--check"], capture_output=True, text=True,
                                check=False)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def test_it_is_one_small_page_of_a4(self):
        path = SOURCE / "docs" / "leds.svg"
        self.assertLess(path.stat().st_size, 50000)
        root = ElementTree.parse(path).getroot()
        self.assertEqual((root.get("width"), root.get("height")), ("210mm", "297mm"))
        width, height = map(float, root.get("viewBox").split()[2:])
        for part in root.iter():
            if part.get("x"):
                self.assertLess(float(part.get("x")) + float(part.get("width") or 0), width)
                self.assertLess(float(part.get("y")) + float(part.get("height") or 0), height - 20)

    def test_every_light_is_on_it_and_each_failure_has_something_to_do(self):
        text = " ".join(" ".join(ElementTree.parse(SOURCE / "docs" / "leds.svg").getroot().itertext()).split())
        page = (SOURCE / "docs" / "leds.md").read_text(encoding="utf-8")
        for light in self.card.read_table():
            if light.pixel in self.card.UNUSED:
                continue
            self.assertIn(light.text, text)
            self.assertIn(f"| {self.card.shown(light)} | {light.text} |", page)
            if light.blinks:
                self.assertIn(self.card.REMEDIES[light.name], text)
        self.assertIn("Light 0 is not purple? Believe no other light.", text)

    def test_the_settings_on_its_page_are_right(self):
        page = (SOURCE / "docs" / "leds.md").read_text(encoding="utf-8")
        block = "".join(line[4:] for line in page.splitlines(keepends=True) if line.startswith("    "))
        self.assertIn("[leds]", block)
        path = self.directory / "test.conf"
        path.write_text(block + "[bus a]\nport = /dev/ttyUSB0\n[meter b]\nmodel = schneider-iem2150\n")
        self.meterstick("check", path, "--state-dir", self.directory, status=0)

    def test_its_digits_are_those_that_are_shown(self):
        for char, seen in zip("0123456789.", self.card.DIGITS):
            film = Film().show(seen, 1)
            self.assertEqual(lights.symbol(film.frames[0])[0], char)


if __name__ == "__main__":
    unittest.main()
