# SPDX-License-Identifier: MIT
"""
A line that several programs talk on at once, and what is heard there. It knows of no semaphore: it has the time that
each character takes on a wire, and says so when somebody talks before another has ended.

As a program (a process of its own, so that nothing but the machine's load can make it late) this file is the line:
prints the path of its pty, and then a line of JSON for each request heard. Registers tell whose they are: register N of
unit U holds 100 U + N.
"""

import argparse
import json
import os
import select
import struct
import time

import harness

LATE = 0.02  # if the line itself had no CPU for so long, what it thinks of the others is worth nothing


class SharedLine:
    """The line, from outside."""

    def __init__(self, case, units, baud=9600, latency=0.01):
        self.log = case.directory / "heard"
        with open(self.log, "wb") as log:
            self._process = case.start("/usr/bin/python3", "-u", __file__, "--baud", baud, "--latency", latency, *units,
                                       stdout=log, stderr=None)
        self.where = harness.wait_until(lambda: self._words()[:1], 20, "the line's path")[0]

    def _words(self):
        return [line.strip() for line in self.log.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def heard(self):
        """[{"at", "unit", "address", "count", "answered", "overlaps", "close", "late"}], times in monotonic s."""
        return [json.loads(line) for line in self._words()[1:]]

    def from_units(self, *units):
        return [frame for frame in self.heard() if frame["unit"] in units]

    def overlaps(self, what="overlaps", ours=()):
        """
        Frames that began before another program's had ended ("close": within its silence), while the line itself was
        awake. Those units are asked by one program: what it does to itself is not the matter here.
        """
        frames = self.heard()
        return [frame for before, frame in zip(frames, frames[1:])
                if frame[what] and not frame["late"] and not {before["unit"], frame["unit"]} <= set(ours)]


class Wire:
    """The line, from inside."""

    def __init__(self, units, baud, latency):
        self.units = set(units)
        self.character, self.latency = 10 / baud, latency
        self.ours, self.path, self._keep = harness.raw_pty()
        self.busy_until = self.quiet_until = 0  # somebody talks; 3.5 characters more
        self.answer, self.said, self.begins = b"", 0, 0
        self.waiting, self.late = b"", False

    def hear(self, now):
        overlaps, close = self.said < len(self.answer) or now < self.busy_until, now < self.quiet_until
        data = os.read(self.ours, 4096)
        self.waiting += data
        self.answer, self.said = b"", 0
        self.busy_until = max(now, self.busy_until) + len(data) * self.character
        if len(self.waiting) < 8:
            return
        frame, more = self.waiting[:8], len(self.waiting) > 8
        self.waiting = b""
        unit, function, address, count = struct.unpack(">BBHH", frame[:6])
        good = harness.crc16(frame[:6]) == frame[6:] and function in (3, 4)
        if good and not overlaps and not more and unit in self.units:
            words = [(100 * unit + address + i) & 0xFFFF for i in range(count)]
            pdu = struct.pack(f">BBB{count}H", unit, function, 2 * count, *words)
            self.answer = pdu + harness.crc16(pdu)
            self.begins = self.busy_until + self.latency
            self.busy_until = self.begins + len(self.answer) * self.character
        self.quiet_until = self.busy_until + 3.3 * self.character  # 3.5, and nobody measures that well
        print(json.dumps({"at": now, "unit": unit, "address": address, "count": count, "answered": bool(self.answer),
                          "overlaps": overlaps or more or not good, "close": close and not overlaps,
                          "late": self.late}))
        self.late = False

    def talk(self, now):
        """Those characters of the answer that have left by now."""
        count = len(self.answer) if now >= self.busy_until else int((now - self.begins) / self.character)
        if count > self.said:
            if count == len(self.answer):
                self.busy_until = time.monotonic()  # what counts is when it could be heard
                self.quiet_until = self.busy_until + 3.3 * self.character
            os.write(self.ours, self.answer[self.said:count])
            self.said = count

    def next_at(self, now):
        """When to look again."""
        if self.said == len(self.answer):
            return now + 0.02
        return self.begins + (self.said + 1) * self.character

    def run(self):
        at = time.monotonic()
        while True:
            ready = select.select([self.ours], [], [], max(0, at - time.monotonic()))[0]
            now = time.monotonic()
            self.late = self.late or now - at > LATE
            if ready:
                self.hear(now)
            self.talk(now)
            at = self.next_at(now)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--baud", type=int)
    parser.add_argument("--latency", type=float)
    parser.add_argument("units", type=int, nargs="*")
    options = parser.parse_args()
    wire = Wire(options.units, options.baud, options.latency)
    print(wire.path)
    wire.run()


if __name__ == "__main__":
    main()
