#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Make the card of the lights, docs/leds.svg and the list in docs/leds.md, from the table in leds/indicator.c.

    docs/lights.py           write both
    docs/lights.py --check   say what is out of date; exits 1 if anything is
"""

import collections
import html
import pathlib
import re
import sys
import textwrap

import made

DOCS = pathlib.Path(__file__).resolve().parent
TABLE = DOCS.parent / "leds" / "indicator.c"
CARD, PAGE = DOCS / "leds.svg", DOCS / "leds.md"
BEGIN, END = "<!-- from leds/indicator.c by docs/lights.py -->\n", "<!-- end -->\n"

Light = collections.namedtuple("Light", "name pixel colour blinks word text alternate")

# What to do, in the words of somebody who stands at the cupboard and knows nothing of computers.
REMEDIES = {
    "PROGRAM_DEAD": "It starts again by itself. Not within a minute? Take the power away for 10 s.",
    "PROGRAM_ENDED": "Believe no other light. If it stays so for a minute: take the power away for 10 s.",
    "ACQUISITION_SILENT": "The red number (see below) says which. Look at that meter's power and its two bus wires.",
    "ACQUISITION_FAILED": "Look at the adapter's plug, at the two bus wires (A and B), and at the meters' power.",
    "ACQUISITION_SEARCHING": "Wait (see Bar below). Nothing is found? Look at the bus wires and the meters' power.",
    "WRITING_NOW": "Do not pull the stick. Wait until it is dark.",
    "WRITING_FAILED": "Light 3 blinks too? Begin there. Else try another stick. If it blinks without a stick as well, it is "
                      "the memory card: leave the power on, let a stick copy everything, change the card.",
    "WRITING_BOTH": "Do not pull the stick yet. When blue is gone: as above.",
    "STICK_BEHIND": "Leave it in until it is white. If it is pulled while light 2 is dark, the rest comes next time.",
    "STICK_REFUSED": "Nothing on it was changed. Take one that is formatted with FAT32 or exFAT, as it is sold.",
    "STICK_DEAD": "It starts again by itself. Not within a minute? Take the power away for 10 s.",
    "CLOCK_UNKNOWN": "Readings are kept, and dated later. A network or a clock module tells the time.",
    "POWER_LOW": "Take a stronger power supply and a short, thick cable. It blinks until the next start.",
}
UNUSED = {"OUTLETS", "ALARM"}  # nothing sets them yet

NAMES = {"PROGRAM": "program", "ACQUISITION": "meters", "WRITING": "writing", "STICK": "stick", "CLOCK": "clock",
         "OUTLETS": "outlets", "ALARM": "alarm", "POWER": "power"}
PIXELS = list(NAMES)
INKS = {"DARK": "#444", "RED": "#e2231a", "GREEN": "#18a538", "BLUE": "#1f5fff", "YELLOW": "#f5d000", "CYAN": "#16c5d9",
        "PURPLE": "#b02fd0", "WHITE": "#fff"}
LETTERS = {".": "DARK", "R": "RED", "G": "GREEN", "B": "BLUE", "Y": "YELLOW", "C": "CYAN", "P": "PURPLE", "W": "WHITE"}
DIGITS = ("...BB...", "B.......", "BB......", "BBB.....", "BBBB....", "BBBBB...", "BBBBBB..", "BBBBBBB.", "BBBBBBBB",
          "BBB..BBB", "W......W")
WIDTH, HEIGHT, MARGIN = 794, 1123, 40  # A4, 96 to the inch
PIXEL_X, SHOWN_X, SAYS_X = MARGIN + 80, MARGIN + 101, MARGIN + 224
REMEDY_COLUMNS = 98  # that still fit in a wider font


def read_table():
    """The lights, in the order of their pixels."""
    pattern = re.compile(r'\[LIGHT_(\w+)\] = \{ PIXEL_(\w+), COLOUR_(\w+), (\w+), "(.*?)",\s*"(.*?)"(?:, COLOUR_(\w+))? \}')
    lights = [Light(name, pixel, colour, blinks == "BLINKS", word, text, alternate or "DARK") for
              name, pixel, colour, blinks, word, text, alternate in pattern.findall(TABLE.read_text(encoding="utf-8"))]
    lights = [light for light in lights if light.name != "UNSAID"]
    lacking = {light.name for light in lights if light.blinks and light.pixel not in UNUSED} - set(REMEDIES)
    strange = set(REMEDIES) - {light.name for light in lights}
    if len(lights) < 28 or lacking or strange:
        sys.exit(f"{TABLE}: {len(lights)} lights can be read; no remedy for {sorted(lacking)}, and for {sorted(strange)} "
                 "there is no light")
    return lights


def shown(light):
    """A light's colour in words."""
    both = light.colour.lower() + (f" and {light.alternate.lower()}" if light.alternate != "DARK" else "")
    return both + (" blinking" if light.blinks else "")


class Card:
    """Pieces of an SVG, drawn from the top down."""

    def __init__(self):
        self.parts = []
        self.y = MARGIN

    def text(self, x, y, style, words, anchor=""):
        more = f' text-anchor="{anchor}"' if anchor else ""
        self.parts.append(f'<text x="{x:g}" y="{y:g}" class="{style}"{more}>{html.escape(words, quote=False)}</text>')

    def box(self, x, y, width, height, fill, radius=2):
        self.parts.append(f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius}" fill="{fill}"/>')

    def pixel(self, x, y, size, colour, alternate=None):
        """One pixel; a blinking one has its second half below the diagonal."""
        self.box(x, y, size, size, INKS[colour], size / 6)
        if alternate:
            self.parts.append(f'<path d="M{x + size:g} {y:g}V{y + size:g}H{x:g}z" fill="{INKS[alternate]}"/>')

    def strip(self, x, y, letters, size):
        """Eight pixels on their board."""
        step = size * 1.35
        self.box(x, y, step * 8 + size * 0.35, size * 1.7, "#222", size / 5)
        for index, letter in enumerate(letters):
            self.pixel(x + size * 0.35 + index * step, y + size * 0.35, size, LETTERS[letter])

    def header(self):
        self.text(MARGIN, self.y + 18, "title", "Meterstick: what the eight lights say")
        self.y += 36
        self.strip(MARGIN, self.y, "PG.WG..G", 30)
        for index, name in enumerate(NAMES.values()):
            x = MARGIN + 10.5 + index * 40.5 + 15
            self.text(x, self.y + 64, "small", str(index), "middle")
            self.text(x, self.y + 75, "small", name, "middle")
        rules = (("big", "Light 0 is not purple? Believe no other light."),
                 ("n", "What blinks wants something; what is steady is well."),
                 ("n", "Several blink? Begin with the lowest number."),
                 ("big", "Pull a stick while light 2 is dark, never while it is blue."),
                 ("n", "On the left: all is well, and the stick has every reading."))
        for index, (style, words) in enumerate(rules):
            self.text(MARGIN + 354, self.y + 8 + index * 17, style, words)
        self.y += 90

    def line(self):
        self.parts.append(f'<path d="M{MARGIN} {self.y:g}H{WIDTH - MARGIN}" stroke="#aaa"/>')

    def table(self, lights):
        for pixel in PIXELS:
            self.line()
            self.text(MARGIN, self.y + 16, "b", f"{PIXELS.index(pixel)} {NAMES[pixel]}")
            if pixel in UNUSED:
                self.pixel(PIXEL_X, self.y + 4, 15, "DARK")
                self.text(SHOWN_X, self.y + 16, "n", "dark")
                self.text(SAYS_X, self.y + 16, "n", "this version does not use it")
                self.y += 23
                continue
            for light in (light for light in lights if light.pixel == pixel):
                self.row(light)
            self.y += 3

    def row(self, light):
        self.pixel(PIXEL_X, self.y + 4, 15, light.colour, light.alternate if light.blinks else None)
        if light.colour == "WHITE":
            self.parts.append(f'<rect x="{PIXEL_X}" y="{self.y + 4:g}" width="15" height="15" rx="2.5" fill="none" '
                              'stroke="#444"/>')
        self.text(SHOWN_X, self.y + 16, "n", shown(light))
        self.text(SAYS_X, self.y + 16, "b" if light.colour == "RED" or light.blinks else "n", light.text)
        for line in textwrap.wrap("\u2192 " + REMEDIES[light.name], REMEDY_COLUMNS) if light.name in REMEDIES else ():
            self.text(SAYS_X, self.y + 29.5, "do", line)
            self.y += 13
        self.y += 20

    def digits(self):
        self.line()
        self.text(MARGIN, self.y + 17, "b", "Digits")
        self.text(PIXEL_X, self.y + 17, "n", "In blue: the network address, one digit after another, twice after the start. "
                                             "White at both ends is the dot.")
        self.text(PIXEL_X, self.y + 32, "n", "In red: the number of a silent meter, each half minute.")
        self.y += 41
        strips = [(str(char), DIGITS[char]) for char in (1, 2, 3, 4, 5, 6, 7, 8, 9, 0)]
        for index, (char, letters) in enumerate((*strips, ("dot", DIGITS[-1]), ("7", DIGITS[7].replace("B", "R")))):
            x, y = PIXEL_X + index % 4 * 160, self.y + index // 4 * 22
            self.text(x + 22, y + 13, "b", char, "end")
            self.strip(x + 28, y, letters, 10)
        self.y += 3 * 22 + 4

    def bar(self):
        self.line()
        self.text(MARGIN, self.y + 19, "b", "Bar")
        self.strip(PIXEL_X + 28, self.y + 6, "WWWBBBBB", 10)
        self.text(PIXEL_X + 160, self.y + 19, "n", "A stick gets all that it does not have yet: white is done, blue is to "
                                                   "come. Do not pull it.")
        self.y += 22
        self.strip(PIXEL_X + 28, self.y + 6, "WWWCCCCC", 10)
        self.text(PIXEL_X + 160, self.y + 19, "n", "Meters are looked for: white is done, cyan is to come; then, in cyan, "
                                                   "the minutes left.")
        self.y += 29
        self.line()
        self.text(MARGIN, self.y + 17, "b", "All dark")
        self.text(PIXEL_X, self.y + 17, "n", "No power, or the lights are not plugged in. Readings do not need the lights.")
        self.y += 25

    def meters(self):
        """Lines to write on."""
        self.line()
        self.text(MARGIN, self.y + 17, "b", "Meters")
        for index in range(6):
            x, y = PIXEL_X + index // 3 * 322, self.y + 21 + index % 3 * 22
            self.text(x + 14, y, "b", str(index + 1), "end")
            self.parts.append(f'<path d="M{x + 20} {y + 2:g}H{x + 300}" stroke="#aaa" stroke-dasharray="1 3"/>')
        self.y += 3 * 22 + 4

    def svg(self):
        style = ("@page{size:A4;margin:0}.title{font-size:22px;font-weight:bold}.big{font-size:13px;font-weight:bold}"
                 ".n,.b{font-size:12px}.b{font-weight:bold}.do{font-size:11.5px;fill:#222}.small{font-size:9.5px}")
        return "\n".join((f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="210mm" '
                          'height="297mm" font-family="DejaVu Sans Condensed, Liberation Sans, Helvetica, Arial, sans-serif">',
                          "<title>What the eight lights say</title>", f"<style>{style}</style>",
                          '<rect width="100%" height="100%" fill="#fff"/>', *self.parts, "</svg>", ""))


def draw(lights):
    card = Card()
    card.header()
    card.table(lights)
    card.digits()
    card.bar()
    card.meters()
    if card.y > HEIGHT - MARGIN * 3 / 4:
        sys.exit(f"the card ends at {card.y}, and the page at {HEIGHT}")
    return card.svg()


def write_list(lights):
    """The same as text, for whoever cannot see the picture."""
    lines = []
    for pixel in PIXELS:
        if pixel in UNUSED:
            lines.append(f"| **{PIXELS.index(pixel)} {NAMES[pixel]}** | dark | this version does not use it | |")
            continue
        for light in (light for light in lights if light.pixel == pixel):
            first = light is next(other for other in lights if other.pixel == pixel)
            name = f"**{PIXELS.index(pixel)} {NAMES[pixel]}**" if first else ""
            lines.append(f"| {name} | {shown(light)} | {light.text} | {REMEDIES.get(light.name, '')} |")
    return "\n".join(("| light | is | says | what to do |", "|---|---|---|---|", *lines, ""))


def main():
    lights = read_table()
    page = PAGE.read_text(encoding="utf-8")
    head, rest = page.split(BEGIN)
    wanted = {CARD: draw(lights), PAGE: head + BEGIN + write_list(lights) + END + rest.split(END)[1]}
    return made.keep(wanted)


if __name__ == "__main__":
    sys.exit(main())
