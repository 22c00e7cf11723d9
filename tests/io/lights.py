# SPDX-License-Identifier: MIT
"""
Reads back what eight pixels said: the frames of `leds --record`, or those of a waveform, as a person beside the meter
would, from colours and times alone.

    frames = lights.read_frames(path)       # dicts: boot_ms, brightness, pixels ("c800c8", ...), words
    lights.letters(frame)                   # "PG.WG...": R G B Y C P W, "." dark
    lights.kind(frame)                      # "status", "dark", "symbol" or "bar"
    lights.addresses(frames)                # ["192.168.1.7", ...]: what was read out in blue, to its end
    lights.numbers(frames)                  # [5, 42, ...]: silent meters, spelled in red, to their end
    lights.spelled(frames)                  # both, and what was cut off: Spelled(text, colour, begin_ms, end_ms, whole)
    lights.status_at(frames, at_ms)         # ["purple", "green", "dark", "red blinking", ...], one a pixel
    lights.minutes(frames)                  # [14, 13, ...]: left of a search for meters, spelled in cyan, to their end
    lights.bars(frames)                     # [(boot_ms, 1 to 7)]: how far a stick's catch-up bar was filled
    lights.search_bars(frames)              # the same of a search for meters
    lights.unpack(bits)                     # a frame from the 324 data bits that were clocked out

Functions that look over time take end_ms, until when the last frame was shown (now_ms() if nobody knows better). Frames
in which `meterstick led` holds a pixel are read as they look.
"""

import collections
import json
import re
import time

COLOURS = {".": "dark", "R": "red", "G": "green", "B": "blue", "Y": "yellow", "C": "cyan", "P": "purple", "W": "white"}
LETTERS = ".RGYBPCW"  # red is 1, green 2, blue 4

# ES-03; in the colour that is asked for, but a dot is white
DIGITS = {"...XX...": "0", "X.......": "1", "XX......": "2", "XXX.....": "3", "XXXX....": "4", "XXXXX...": "5",
          "XXXXXX..": "6", "XXXXXXX.": "7", "XXXXXXXX": "8", "XXX..XXX": "9"}
DOT = "W......W"
DIGIT_MS, DOT_MS, GAP_MS, EDGE_MS = 2000, 3000, 300, 2000
LONG_DARK_MS = EDGE_MS * 3 // 4   # nothing else is dark for so long: half of a blink and a gap are 800 ms
SHORT_DARK_MS = GAP_MS // 2
CLOCKS = 32 + 8 * 32 + 36         # ES-08

Spelled = collections.namedtuple("Spelled", "text colour begin_ms end_ms whole")


def now_ms():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000000


def read_frames(path):
    """All whole lines recorded so far."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


def letters(frame):
    """What the eye sees of a frame, a letter a pixel."""
    if frame.get("brightness") == 0:
        return "." * 8
    parts = ([int(pixel[i:i + 2], 16) for i in (0, 2, 4)] for pixel in frame["pixels"])
    return "".join(LETTERS[sum(1 << i for i, part in enumerate(pixel) if part)] for pixel in parts)


def symbol(frame):
    """A digit or dot and its colour, ("7", "blue"); None if it is none."""
    seen = letters(frame)
    if seen == DOT:
        return ".", "white"
    for letter in "BRC":
        digit = DIGITS.get(seen.replace(letter, "X"))
        if digit:
            return digit, COLOURS[letter]
    return None


def bar(frame):
    """How many of the eight pixels are filled, 1 to 7; None if it is no catch-up bar."""
    seen = letters(frame)
    return len(seen.rstrip("BG")) if re.fullmatch("W+(B+|G+)", seen) else None


def search_bar(frame):
    """The same of a search for meters."""
    seen = letters(frame)
    return len(seen.rstrip("C")) if re.fullmatch("W+C+", seen) else None


def kind(frame):
    """What one frame alone looks like. "dark" can be half of a blink, and a red "symbol" 1 the last frame of `leds`."""
    if not letters(frame).strip("."):
        return "dark"
    return "symbol" if symbol(frame) else "bar" if bar(frame) or search_bar(frame) else "status"


def runs(frames, end_ms=None):
    """[(begin_ms, end_ms, frame)], frames that look the same together."""
    found = []
    for frame, after in zip(frames, [*frames[1:], None]):
        end = after["boot_ms"] if after else max(end_ms or 0, frame["boot_ms"])
        if found and letters(found[-1][2]) == letters(frame):
            found[-1] = (found[-1][0], end, found[-1][2])
        else:
            found.append((frame["boot_ms"], end, frame))
    return found


class Speller:
    """A person with a pencil."""

    def __init__(self):
        self.found = []
        self.dark_ms = 0       # since something was lit
        self.text = ""
        self.colour = None     # of its digits
        self.begin_ms = self.end_ms = 0
        self.interrupted = False

    def finish(self, whole):
        if self.text:
            self.found.append(Spelled(self.text, self.colour, self.begin_ms, self.end_ms, whole))
        self.text, self.colour, self.interrupted = "", None, False

    def see_symbol(self, begin_ms, end_ms, char, colour):
        # After the long dark another text begins, after the short one, it goes on, even if the status was between.
        if self.dark_ms >= LONG_DARK_MS:
            self.finish(whole=not self.interrupted)
            self.begin_ms = begin_ms
        if end_ms - begin_ms >= (DOT_MS if char == "." else DIGIT_MS) / 2:  # else it will be shown again
            self.text += char
            self.colour = self.colour or (colour if colour != "white" else None)
            self.end_ms = end_ms
            self.interrupted = False

    def see_other(self):
        if self.dark_ms >= LONG_DARK_MS:
            self.finish(whole=not self.interrupted)  # else it may have been the beginning of another one, cut off
        self.interrupted = True

    def see(self, begin_ms, end_ms, frame):
        if kind(frame) == "dark":
            self.dark_ms += end_ms - begin_ms
            return
        seen = symbol(frame)
        if seen and self.dark_ms >= SHORT_DARK_MS:
            self.see_symbol(begin_ms, end_ms, *seen)
        else:
            self.see_other()
        self.dark_ms = 0


def spelled(frames, end_ms=None):
    """Everything that was spelled, one after another; not whole: cut off, or not yet at its end."""
    speller = Speller()
    for run in runs(frames, end_ms):
        speller.see(*run)
    speller.finish(whole=speller.dark_ms >= LONG_DARK_MS and not speller.interrupted)
    return speller.found


def addresses(frames, end_ms=None):
    """The texts that were read out in blue, to their end."""
    return [text.text for text in spelled(frames, end_ms) if text.whole and text.colour == "blue"]


def numbers(frames, end_ms=None):
    """The numbers that were spelled in red, to their end."""
    return [int(text.text) for text in spelled(frames, end_ms) if text.whole and text.colour == "red"]


def minutes(frames, end_ms=None):
    """The numbers that were spelled in cyan, to their end."""
    return [int(text.text) for text in spelled(frames, end_ms) if text.whole and text.colour == "cyan"]


def bars(frames):
    """The catch-up bar, each time that it is another."""
    return [(begin, bar(frame)) for begin, _, frame in runs(frames) if bar(frame)]


def search_bars(frames):
    """The bar of a search for meters, each time that it is another."""
    return [(begin, search_bar(frame)) for begin, _, frame in runs(frames) if search_bar(frame)]


def status_at(frames, at_ms):
    """
    What each pixel says then: "dark", "green", "red blinking", "red and blue blinking"...; None for all if something
    else was shown in the second and a half before, or it was not recorded, and None for a pixel that just changed.
    """
    begin_ms = at_ms - 1600
    window = [(begin, end, letters(frame), kind(frame)) for begin, end, frame in runs(frames, at_ms)
              if end > begin_ms and begin < at_ms]
    if not window or window[0][0] > begin_ms or any(what in ("symbol", "bar") for _, _, _, what in window):
        return None
    if any(what == "dark" and end - begin >= LONG_DARK_MS for begin, end, _, what in window):
        return None
    said = []
    for pixel in range(8):
        seen = []  # what it was, one after another
        for _, _, shown, _ in window:
            if not seen or seen[-1] != shown[pixel]:
                seen.append(shown[pixel])
        said.append(say(seen))
    return said


def say(seen):
    """A pixel's colours in a second and a half, in words."""
    if len(seen) == 1:
        return COLOURS[seen[0]]
    if len(set(seen)) == 2 and len(seen) >= 3:  # X . X
        lit = sorted((COLOURS[letter] for letter in set(seen) if letter != "."), reverse=True)
        return " and ".join(lit) + " blinking"
    return None


def unpack(bits):
    """A frame, without its time, from the data bits of all clocks, in their order (ES-08)."""
    bits = list(bits)
    if len(bits) != CLOCKS or any(bits[:32]) or any(bits[-36:]):
        raise ValueError(f"{len(bits)} clocks are no frame: {bits}")
    data = bytes(int("".join(str(int(bit)) for bit in bits[i:i + 8]), 2) for i in range(32, CLOCKS - 36, 8))
    pixels = [data[i:i + 4] for i in range(0, len(data), 4)]
    if any(pixel[0] >> 5 != 7 or pixel[0] != pixels[0][0] for pixel in pixels):
        raise ValueError(f"no frame: {data.hex()}")
    return {"brightness": pixels[0][0] & 31, "pixels": [bytes(reversed(pixel[1:])).hex() for pixel in pixels]}
