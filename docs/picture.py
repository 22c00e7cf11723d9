#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Make the README's picture: run the real demo in a terminal (tmux), kill a meter, and draw what it shows as an SVG.

    ./dev build && docs/picture.py docs/demo.svg [SECONDS]
"""

import html
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
COLUMNS, ROWS = 104, 25
CELL_WIDTH, CELL_HEIGHT, MARGIN = 8.4, 18, 14
BACKGROUND, FOREGROUND, FAINT = "#16181d", "#d7dae0", "#7d8590"
PALETTE = ("#3b4048", "#e06c75", "#7fc97f", "#e5c07b", "#6cb6ff", "#c678dd", "#56b6c2", "#d7dae0")
SEQUENCE = re.compile(r"\x1b\[([0-9;]*)m")


def capture(seconds):
    """What the demo's terminal shows after so long, with its colours."""
    tmux = ["tmux", "-L", f"meterstick-picture-{os.getpid()}", "-f", "/dev/null"]
    demo = f"{ROOT}/{os.environ.get('METERSTICK_BIN', 'build/bin')}/meterstick demo"
    subprocess.run([*tmux, "new-session", "-d", "-x", str(COLUMNS), "-y", str(ROWS), demo], check=True)
    try:
        time.sleep(seconds)
        subprocess.run([*tmux, "send-keys", "k"], check=True)
        time.sleep(8)
        for _ in range(50):
            screen = subprocess.run([*tmux, "capture-pane", "-e", "-p"], check=True, capture_output=True, text=True).stdout
            if "48;2;200;200;0" in screen:  # the lit half of the yellow blink
                break
            time.sleep(0.2)
        return screen
    finally:
        subprocess.run([*tmux, "send-keys", "q"], check=False)
        time.sleep(8)
        subprocess.run([*tmux, "kill-server"], check=False, capture_output=True)


class Pen:
    """The colours that are in force."""

    def __init__(self):
        self.reset()

    def reset(self):
        self.fore, self.back, self.bold, self.faint = None, None, False, False

    def take(self, sequence):
        codes = [int(code or 0) for code in sequence.split(";")]
        while codes:
            code = codes.pop(0)
            if code == 0:
                self.reset()
            elif code == 1:
                self.bold = True
            elif code == 2:
                self.faint = True
            elif code in (38, 48) and codes[:1] == [2]:
                colour = "#%02x%02x%02x" % tuple(codes[1:4])
                del codes[:4]
                if code == 38:
                    self.fore = colour
                else:
                    self.back = colour
            elif 30 <= code <= 37:
                self.fore = PALETTE[code - 30]
            elif code == 39:
                self.fore = None
            elif code == 49:
                self.back = None

    def style(self):
        colour = self.fore or (FAINT if self.faint else FOREGROUND)
        return f'fill="{colour}"' + (' font-weight="bold"' if self.bold else "")


def draw(text):
    """The SVG of a captured screen."""
    lines = text.rstrip("\n").split("\n")
    width = COLUMNS * CELL_WIDTH + 2 * MARGIN
    height = len(lines) * CELL_HEIGHT + 2 * MARGIN
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
           f'font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="14" xml:space="preserve">',
           "<title>meterstick demo in a terminal</title>",
           f'<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>']
    pen = Pen()
    for row, line in enumerate(lines):
        column = 0
        top = MARGIN + row * CELL_HEIGHT
        for index, part in enumerate(SEQUENCE.split(line)):
            if index % 2:
                pen.take(part)
                continue
            left = MARGIN + column * CELL_WIDTH
            if pen.back:
                out.append(f'<rect x="{left:.1f}" y="{top}" width="{len(part) * CELL_WIDTH:.1f}" '
                           f'height="{CELL_HEIGHT}" fill="{pen.back}"/>')
            for match in re.finditer(r"\S+(?: \S+)*", part):
                x = left + match.start() * CELL_WIDTH
                out.append(f'<text x="{x:.1f}" y="{top + 13.5:.1f}" textLength="{len(match[0]) * CELL_WIDTH:.1f}" '
                           f"{pen.style()}>{html.escape(match[0])}</text>")
            column += len(part)
    out.append("</svg>")
    return "\n".join(out) + "\n"


def main():
    path = pathlib.Path(sys.argv[1])
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 30
    path.write_text(draw(capture(seconds)), encoding="utf-8")


if __name__ == "__main__":
    main()
