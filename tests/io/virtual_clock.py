# SPDX-License-Identifier: MIT
"""
Clocks of a test's own for a program: tests/shim/clock.c, steered by a file. The boot clock runs as fast as the test
says and goes on while the program is ended and begun again; the wall clock is set at will; each boot has an id.
"""

import mmap
import os
import pathlib
import time
import uuid

import harness

# Where struct clock_file of tests/shim/clock.c has them, in 8 bytes each
VERSION, SLOTS = 0, 1
RATE, BUSY_RATE, WALL, SETS, LATEST, LOCK, BUSY, BELL, SET_AGAIN = range(9, 18)
NEVER = (1 << 63) - 1
SHIM = harness.SHIMS / "shim_clock.so"
SECOND = 1000000000


class VirtualClock:
    """
    rate       how often as fast as ours the boot clock runs while all threads of the program wait,
    busy_rate  and while one works; 0: as fast as then. It stands still while one is due and gets no processor.
    wall       what the wall clock says at first, in seconds since 1970
    """

    def __init__(self, directory, rate=1, busy_rate=0, wall=None, boot_s=20):
        self.path = pathlib.Path(directory) / "clock"
        self.root = pathlib.Path(directory) / "clock-root"
        self.path.write_bytes(bytes(4096))
        self._fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        self._map = mmap.mmap(self._fd, 4096)
        self._words = memoryview(self._map).cast("q")  # each is written at once; struct.pack_into() writes zeroes first
        self._put(SLOTS, time.monotonic_ns())
        self._put(SLOTS + 1, int(boot_s * SECOND))
        self._put(SLOTS + 2, rate)
        self._put(SLOTS + 3, NEVER)
        self.run_at(rate, busy_rate)
        self._put(WALL, time.time_ns() if wall is None else int(wall * SECOND))
        self._put(WALL, self._get(WALL) - self.boot_ns())
        self.boots = []
        self.boot()

    def close(self):
        self._words.release()
        self._map.close()
        os.close(self._fd)

    def _get(self, index):
        return self._words[index]

    def _put(self, index, value):
        self._words[index] = value

    def environment(self, **more):
        """What a program needs to live by these clocks. Its bus for timedate1 is nowhere unless `more` says so."""
        nowhere = f"unix:path={self.path}-no-bus"
        return dict(os.environ, LD_PRELOAD=str(SHIM), CLOCK_FILE=str(self.path), CLOCK_ROOT=str(self.root),
                    METERSTICK_MODELS=str(harness.MODELS), **{"DBUS_SYSTEM_BUS_ADDRESS": nowhere, **more})

    def boot(self, rtc=False):
        """Another boot id, and whether an RTC sets the clock. The boot clock only goes on: nobody looks at its zero."""
        self.boots.append(str(uuid.uuid4()))
        for name, text in (("proc/sys/kernel/random/boot_id", self.boots[-1] + "\n"),
                           ("sys/class/rtc/rtc0/hctosys", "1\n" if rtc else "0\n")):
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def boot_ns(self):
        while True:
            version = self._get(VERSION)
            real, virtual, rate, limit = self._words[SLOTS + 4 * (version % 2):][:4]
            now = min(virtual + (time.monotonic_ns() - real) * rate, limit)
            if self._get(VERSION) == version:
                return max(now, self._get(LATEST))

    def boot_ms(self):
        return self.boot_ns() // 1000000

    def wall(self):
        return (self.boot_ns() + self._get(WALL)) / SECOND

    def zero(self):
        """What the wall clock said when the boot clock was at 0."""
        return self._get(WALL) / SECOND

    def step(self, seconds):
        """Set the wall clock so much forward, discontinuously."""
        self._put(WALL, self._get(WALL) + int(seconds * SECOND))
        self._put(SETS, self._get(SETS) + 1)
        os.pwrite(self._fd, bytes(8), 8 * BELL)

    def step_twice(self, seconds):
        """The second time, by nothing, just when the program has been told of the first."""
        self._put(SET_AGAIN, 1)
        self.step(seconds)

    def set(self, seconds):
        self.step(seconds - self.wall())

    def run_at(self, rate, busy_rate=0):
        """Takes some ms, and only while a program runs."""
        self._put(RATE, rate)
        self._put(BUSY_RATE, busy_rate)

    def stand(self, rate):
        """Run at that rate from now on, when a program has ended."""
        version = self._get(VERSION)
        now = self.boot_ns()
        for index, value in enumerate((time.monotonic_ns(), now, rate, NEVER)):
            self._put(SLOTS + 4 * ((version + 1) % 2) + index, value)
        self._put(VERSION, version + 1)
        self.run_at(rate)

    def wait(self, seconds, deadline=120):
        """So much virtual time."""
        until = self.boot_ns() + int(seconds * SECOND)
        harness.wait_until(lambda: self.boot_ns() >= until, deadline, f"{seconds} s of virtual time")
