#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Draw how things are wired, docs/wiring-*.svg, from the tables below.

    docs/wiring.py           write them
    docs/wiring.py --check   say what is out of date; exits 1 if anything is
"""

import html
import pathlib
import sys

import made

DOCS = pathlib.Path(__file__).resolve().parent
INK, PAPER, BOARD, FAINT = "#222", "#fff", "#e9f3ea", "#777"
WIRES = {"A": "#1f5fff", "B": "#d98a00", "GND": "#222", "5 V": "#d0211c", "USB": "#777", "data": "#18a538", "clock": "#8a2be2",
         "TXD": "#0a8a9a", "RXD": "#b5338a", "RTS": "#8a6d3b", "I2C": "#556b2f", "3.3 V": "#e07b39"}
LINE = ("A", "B", "GND")

# What the makers call the three terminals.
NAMES = {"A": "A  (−, D0)", "B": "B  (+, D1)", "GND": "GND  (C, 0V)"}

# Pins of the header that somebody uses: pin -> wire, what for.
PINS = {1: ("3.3 V", "3.3 V: clock module"), 2: ("5 V", "5 V: Blinkt"), 3: ("I2C", "GPIO 2, SDA: clock module"),
        4: ("5 V", "5 V: RS-485 board"), 5: ("I2C", "GPIO 3, SCL: clock module"), 6: ("GND", "GND: all of them"),
        8: ("TXD", "GPIO 14, TXD: RS-485 board"), 10: ("RXD", "GPIO 15, RXD: RS-485 board"),
        11: ("RTS", "GPIO 17, RTS: boards that are turned by it"), 16: ("data", "GPIO 23: data of the Blinkt"),
        18: ("clock", "GPIO 24: clock of the Blinkt")}
GROUNDS = (9, 14, 20, 25, 30, 34, 39)

# The line: what hangs on it, from one end to the other.
DEVICES = (("adapter", "at an end"), ("meter", "address 1"), ("meter", "address 2"), ("meter", "address 3, at the other end"))


class Picture:
    """Pieces of an SVG."""

    def __init__(self, title, width, height):
        self.title, self.width, self.height = title, width, height
        self.parts = []

    def text(self, x, y, words, size=13, weight="normal", anchor="start", ink=INK):
        self.parts.append(f'<text x="{x:g}" y="{y:g}" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" '
                          f'fill="{ink}">{html.escape(words, quote=False)}</text>')

    def box(self, x, y, width, height, fill=PAPER, radius=6, ink=INK):
        self.parts.append(f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius}" fill="{fill}" '
                          f'stroke="{ink}" stroke-width="1.5"/>')

    def wire(self, ink, path, width=3):
        self.parts.append(f'<path d="{path}" fill="none" stroke="{ink}" stroke-width="{width}" stroke-linejoin="round"/>')

    def dot(self, x, y, ink, radius=4.5):
        self.parts.append(f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" fill="{ink}"/>')

    def resistor(self, x, top, bottom, words, side):
        """Across two wires."""
        self.wire(INK, f"M{x:g} {top:g}V{bottom:g}", 1.5)
        self.box(x - 7, (top + bottom) / 2 - 17, 14, 34, PAPER, 2)
        self.text(x + 13 * side, (top + bottom) / 2 + 4, words, 12, "bold", "start" if side > 0 else "end")

    def svg(self):
        return "\n".join((f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" '
                          f'width="{self.width}" height="{self.height}" '
                          'font-family="DejaVu Sans, Liberation Sans, Helvetica, Arial, sans-serif">',
                          f"<title>{html.escape(self.title)}</title>",
                          f'<rect width="100%" height="100%" fill="{PAPER}"/>', *self.parts, "</svg>", ""))


def draw_adapter():
    """One meter, and all that belongs to the logger."""
    picture = Picture("The logger, its adapter and one meter", 860, 300)
    picture.box(20, 70, 220, 160, BOARD)
    picture.text(130, 160, "Raspberry Pi", 16, "bold", "middle")
    picture.text(130, 180, "SD card below", 12, "normal", "middle", FAINT)
    picture.box(32, 82, 150, 24, "#222")
    for index, ink in enumerate(("#b02fd0", "#18a538", "#222", "#fff", "#18a538", "#222", "#222", "#18a538")):
        picture.box(41 + index * 17, 88, 11, 11, ink, 2, "#555")
    picture.text(20, 44, "Blinkt on the header:", 12)
    picture.text(20, 60, "its rounded corners over those of the board", 12)
    picture.wire(WIRES["5 V"], "M90 230V262")
    picture.text(90, 280, "power supply", 12, "normal", "middle")
    picture.wire(WIRES["USB"], "M240 210H300", 5)
    picture.box(300, 196, 84, 28, "#cfd8e6")
    picture.text(342, 215, "stick", 13, "normal", "middle")
    picture.wire(WIRES["USB"], "M240 125H330", 5)
    picture.text(285, 116, "USB", 12, "normal", "middle", FAINT)
    picture.box(330, 66, 130, 116, "#dfe9fb")
    picture.text(395, 56, "RS-485 adapter", 14, "bold", "middle")
    picture.box(660, 50, 180, 148, "#fbf3dc")
    picture.text(750, 40, "meter", 14, "bold", "middle")
    for index, name in enumerate(LINE):
        y = 92 + index * 34
        picture.wire(WIRES[name], f"M460 {y}H660")
        picture.dot(460, y, WIRES[name])
        picture.dot(660, y, WIRES[name])
        picture.text(450, y + 5, name, 13, "bold", "end")
        picture.text(672, y + 5, NAMES[name], 13, "bold")
    picture.text(560, 82, "one twisted pair", 12, "normal", "middle", FAINT)
    picture.text(750, 188, "address, speed, parity", 12, "normal", "middle", FAINT)
    picture.text(400, 250, "Nothing answers? Swap A and B at one end: it breaks nothing.", 12, "bold")
    picture.text(400, 272, "The meter's own power and mains wiring: by its manual, by an electrician.", 12)
    return picture.svg()


def draw_bus():
    """Several meters: a line from device to device, a resistor at each end."""
    picture = Picture("Several meters on one line", 860, 330)
    tops = {"A": 60, "B": 125, "GND": 160}
    left, step, width = 40, 210, 150
    centres = [left + width / 2 + index * step for index in range(len(DEVICES))]
    for name, y in tops.items():
        picture.wire(WIRES[name], f"M{centres[0] - 30:g} {y}H{centres[-1] + 30:g}")
        picture.text(centres[0] + step / 2 + 15, y - 7, name, 13, "bold", "middle", WIRES[name])
    picture.text(centres[1] + step / 2 + 15, 97, "one twisted pair", 12, "normal", "middle", FAINT)
    picture.text(centres[1] + step / 2 + 15, 176, "a wire of its own", 12, "normal", "middle", FAINT)
    for (kind, words), x in zip(DEVICES, centres):
        picture.box(x - width / 2, 215, width, 62, "#dfe9fb" if kind == "adapter" else "#fbf3dc")
        picture.text(x, 255, kind, 15, "bold", "middle")
        picture.text(x, 298, words, 12, "normal", "middle")
        for index, name in enumerate(LINE):
            at = x - 30 + index * 30
            picture.wire(WIRES[name], f"M{at:g} {tops[name]}V215")
            picture.dot(at, tops[name], WIRES[name])
            picture.text(at, 231, name, 10, "bold", "middle", WIRES[name])
    picture.resistor(centres[0] - 30 - 26, tops["A"], tops["B"], "", 1)
    picture.resistor(centres[-1] + 30 + 26, tops["A"], tops["B"], "", -1)
    for x, end in ((centres[0] - 56, centres[0] - 30), (centres[-1] + 56, centres[-1] + 30)):
        picture.wire(WIRES["A"], f"M{x:g} {tops['A']}H{end:g}")
        picture.wire(WIRES["B"], f"M{x:g} {tops['B']}H{end:g}")
    picture.text(centres[0] - 56, 42, "120 Ω", 13, "bold", "middle")
    picture.text(centres[-1] + 56, 42, "120 Ω", 13, "bold", "middle")
    picture.text(430, 24, "From device to device, not as a star. A resistor across A and B at the two ends, and nowhere else.", 13,
                 "bold", "middle")
    picture.text(430, 322, "An address of its own for each meter, and best the same speed and parity. The shield goes to earth at one end.", 12, "normal",
                 "middle")
    return picture.svg()


def draw_header():
    """The 40 pins, from above, as they lie when the board's sockets for USB are below."""
    picture = Picture("The header: whose pins are whose", 860, 500)
    picture.text(430, 24, "The 40 pins of the header; pin 1 is nearest to the corner", 14, "bold", "middle")
    picture.box(396, 40, 68, 444, "#333")
    for pin in range(1, 41):
        right = pin % 2 == 0
        x, y = 446 if right else 414, 54 + (pin - 1) // 2 * 21.8
        name, words = PINS.get(pin, ("GND", "GND") if pin in GROUNDS else ("", ""))
        ink = WIRES.get(name, "#999")
        picture.dot(x, y, "#eee" if name == "GND" else ink, 8)
        picture.text(x, y + 3.5, str(pin), 9, "bold", "middle", "#222" if name == "GND" or not name else "#fff")
        if words:
            edge = 464 if right else 396
            out = 484 if right else 376
            strong = pin in PINS
            picture.wire(ink if strong else "#bbb", f"M{edge} {y:g}H{out}", 2)
            picture.text(out + (6 if right else -6), y + 4, words, 12, "bold" if strong else "normal",
                         "start" if right else "end", INK if strong else FAINT)
    picture.text(20, 380, "Blinkt: GPIO 23, 24, 5 V, GND", 12)
    picture.text(20, 400, "RS-485 board: GPIO 14, 15, some 17; 5 V or 3.3 V", 12)
    picture.text(20, 420, "clock module (DS3231): GPIO 2, 3, 3.3 V, GND", 12)
    return picture.svg()


def main():
    wanted = {DOCS / "wiring-adapter.svg": draw_adapter(), DOCS / "wiring-bus.svg": draw_bus(),
              DOCS / "wiring-header.svg": draw_header()}
    return made.keep(wanted)


if __name__ == "__main__":
    sys.exit(main())
