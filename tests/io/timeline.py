# SPDX-License-Identifier: MIT
"""
What `leds --record` wrote, held against what happened.

A light must be right within RIGHT_MS of what it tells, and stay so until the next thing happens. Until it is right it may
say what was true before, and nothing else; a light that a fault has nothing to do with says the same all the time. And a
colour must be that of its meaning: what blinks does so, and what does not is steady.
"""

import collections

import lights

RIGHT_MS = 10000
CALM_MS = 3000       # no blinking light is lit, or dark, for longer: half a second, on a machine that is busy
PIXELS = ("program", "meters", "writing", "stick", "clock", "outlets", "alarm", "power")

DARK, RED, GREEN, BLUE, YELLOW, CYAN, PURPLE, WHITE = ("000000", "c80000", "00c800", "0000c8", "c8c800", "00c8c8", "c800c8",
                                                       "c8c8c8")
# The table of DESIGN section 7: (pixel, word): one colour is steady, two are the halves of a blink.
COLOURS = {
    ("program", "running"): (PURPLE,), ("program", "dead"): (RED, DARK), ("program", "ended"): (RED,),
    ("meters", "all read"): (GREEN,), ("meters", "silent"): (YELLOW, DARK), ("meters", "failed"): (RED, DARK),
    ("meters", "searching"): (CYAN,),
    ("writing", "no"): (DARK,), ("writing", "writing"): (BLUE,), ("writing", "failed"): (RED, DARK),
    ("writing", "both"): (RED, BLUE),
    ("stick", "none"): (DARK,), ("stick", "current"): (WHITE,), ("stick", "behind"): (CYAN,),
    ("stick", "refused"): (RED, DARK), ("stick", "dead"): (RED, DARK),
    ("clock", "known"): (GREEN,), ("clock", "unknown"): (YELLOW, DARK),
    ("outlets", "none"): (DARK,), ("alarm", "none"): (DARK,),
    ("power", "n/a"): (DARK,), ("power", "good"): (GREEN,), ("power", "low"): (YELLOW, DARK),
}

Span = collections.namedtuple("Span", "begin_ms words within_ms meanwhile what")


def as_sets(words):
    return {pixel: {word} if isinstance(word, str) else set(word) for pixel, word in words.items()}


def runs_of(frames, key, begin_ms, end_ms):
    """[(from when, until when, what)] of what key(frame) gives, one after another, between these times."""
    runs = []
    for frame, after in zip(frames, [*frames[1:], None]):
        begin, end = max(frame["boot_ms"], begin_ms), after["boot_ms"] if after else end_ms
        if min(end, end_ms) <= begin:
            continue
        what = key(frame)
        if runs and runs[-1][2] == what:
            begin = runs.pop()[0]
        runs.append((begin, min(end, end_ms), what))
    return runs


class TimeLine:
    """What must be shown from when on."""

    def __init__(self):
        self.spans = []

    def now(self, what, words, within_ms=RIGHT_MS, meanwhile=None):
        """From now on these words; pixels that are not named go on as they were. meanwhile: what may come between."""
        before = self.spans[-1].words if self.spans else {}
        self.spans.append(Span(lights.now_ms(), dict(before, **as_sets(words)), within_ms, as_sets(meanwhile or {}), what))
        return self.spans[-1]

    def check(self, frames, end_ms):
        """All that was shown until then. Raises AssertionError with the first lie. Returns [(ms until right, what)]."""
        late = []
        ends_ms = [span.begin_ms for span in self.spans[1:]] + [end_ms]
        befores = [None] + [span.words for span in self.spans[:-1]]
        for span, until_ms, before in zip(self.spans, ends_ms, befores):
            for pixel in span.words:
                late_ms = check_pixel(frames, span, until_ms, before, pixel)
                if span.within_ms == RIGHT_MS:
                    late.append((late_ms, f"{pixel}: {span.what}"))
        return late


def check_pixel(frames, span, until_ms, before, pixel):
    """
    Returns how long it took. before: the words of the span before, None if there is none: then anything may come until it
    is right.
    """
    late_ms = 0
    allowed, index, right, by_chance = span.words[pixel], PIXELS.index(pixel), False, False
    between = before and before[pixel] | allowed | span.meanwhile.get(pixel, set())
    for begin_ms, _, word in runs_of(frames, lambda frame: frame["words"][index], span.begin_ms, until_ms):
        what = f"'{word}' of {pixel}, {begin_ms - span.begin_ms} ms after \"{span.what}\""
        if word in allowed:
            if not right and begin_ms > span.begin_ms + span.within_ms:
                raise AssertionError(f"{what}: too late")
            late_ms = late_ms if right else begin_ms - span.begin_ms
            right = True
            by_chance = before and word in before[pixel] and (by_chance or begin_ms == span.begin_ms)
        elif right and by_chance and word in between and begin_ms <= span.begin_ms + span.within_ms:
            right = False  # it goes on saying what was
        elif right:
            raise AssertionError(f"{what}: it was right before ({sorted(allowed)})")
        elif between is not None and word not in between:
            raise AssertionError(f"{what}: neither what was nor what is ({sorted(allowed)})")
    if not right and until_ms > span.begin_ms + span.within_ms:
        raise AssertionError(f"{pixel} is never right ({sorted(allowed)}) after \"{span.what}\"")
    return late_ms


def colours_of(pixel, word):
    """One is steady, two are the halves of a blink."""
    return COLOURS.get((pixel, word), (DARK,) if word == "" else ())


def is_status(frame):
    """Whether each colour is that of its word: else something else is shown, which looks like nothing of these."""
    wrong = [f"{pixel} is #{colour} and means '{word}'" for pixel, word, colour
             in zip(PIXELS, frame["words"], frame["pixels"]) if colour not in colours_of(pixel, word)]
    if wrong and lights.kind(frame) == "status":
        raise AssertionError(f"at {frame['boot_ms']} ms {wrong}: {lights.letters(frame)}")
    return not wrong


def check_colours(frames, end_ms, asleep=()):
    """
    Each colour is that of its word; what blinks has both halves in turn, what does not is steady; and what began to blink
    is seen to do so within RIGHT_MS, whatever else is to be shown.

    asleep  [(from, until)]: when the lights' own program could not draw
    """
    for index, pixel in enumerate(PIXELS):
        for begin_ms, until_ms, (word, colour, shown) in runs_of(
                frames, lambda frame, index=index: (frame["words"][index], frame["pixels"][index], is_status(frame)), 0,
                end_ms):
            blinks = len(colours_of(pixel, word)) == 2
            if blinks and shown and until_ms - begin_ms > CALM_MS and not any(a < until_ms and begin_ms < b
                                                                              for a, b in asleep):
                raise AssertionError(f"{pixel} is #{colour} for {until_ms - begin_ms} ms from {begin_ms} ms on, "
                                     f"and should blink: '{word}'")
        for begin_ms, until_ms, word in runs_of(frames, lambda frame, index=index: frame["words"][index], 0, end_ms):
            if len(colours_of(pixel, word)) == 2 and until_ms - begin_ms > RIGHT_MS:
                check_seen(frames, begin_ms, index)


def check_seen(frames, begin_ms, index):
    """That a pixel's word is seen in its colour then."""
    if not any(begin_ms <= frame["boot_ms"] <= begin_ms + RIGHT_MS and is_status(frame)
               and frame["pixels"][index] != DARK for frame in frames):
        raise AssertionError(f"{PIXELS[index]}: something else is shown for {RIGHT_MS} ms from {begin_ms} ms on")


def story(frames, spans=()):
    """What was shown, in words, a line for each change; and what was to be shown."""
    lines = [(begin, " ".join(f"{word or '-':9}" for word in words))
             for begin, _, words in runs_of(frames, lambda frame: frame["words"], 0, 1 << 62)]
    lines += [(span.begin_ms, f"--- {span.what}: {span.words}") for span in spans]
    return "\n".join(f"{at:12} {text}" for at, text in sorted(lines))
