# SPDX-License-Identifier: MIT
"""
The lights do not lie: status files as they may be found, damaged, old, of the future, of another boot, huge, or no files at
all. None of them is health, none of them stops `leds`, and each good one after it is believed.
"""

import concurrent.futures
import json
import os
import pathlib
import socket
import time
import unittest

import harness
import lights
import timeline
import truthbed
from truthbed import GOOD, NO_ACQUIRE, NO_STICK_PROGRAM

BOOT_ID = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
HOUR = 3600000


def status(program, **members):
    """A good one, with changes; a member that is ... is left out."""
    result = {"program": program, "pid": os.getpid(), "boot_id": BOOT_ID, "boot_ms": lights.now_ms(), "state": "running",
              "error": None}
    if program == "acquire":
        meters = [{"name": name, "state": "live", "committed_boot_ms": lights.now_ms(), "slice_ms": 1000} for name in "ab"]
        result.update(meters=meters, journal={"state": "ok"}, clock={"known": True})
    else:
        result.update(sticks=[{"id": "x", "state": "idle", "backlog": 0, "error": None}])
    result.update(members)
    return {key: value for key, value in result.items() if value is not ...}


def text(program, **members):
    return json.dumps(status(program, **members)).encode()


def replace(path, data):
    other = path.with_suffix(".new")
    other.write_bytes(data)
    other.rename(path)


# What a status may hold, or be: a function that gives the bytes, or makes the file. None of them is a status.
BAD = {
    "nothing": lambda program: b"",
    "half of it": lambda program: text(program)[:-20],
    "zeroes": lambda program: bytes(4096),
    "random bytes": lambda program: os.urandom(4096),
    "a list": lambda program: b"[" + text(program) + b"]",
    "a text": lambda program: json.dumps(text(program).decode()).encode(),
    "twice": lambda program: text(program) * 2,
    "deep": lambda program: text(program)[:-1] + b',"x":' + b"[" * 100000 + b"]" * 100000 + b"}",
    "40 MB": lambda program: text(program, x="x" * 40000000),
    "a zero byte": lambda program: text(program).replace(b"running", b"run\0ning"),
    "another boot": lambda program: text(program, boot_id="01234567-89ab-4cde-8f01-23456789abcd"),
    "no boot": lambda program: text(program, boot_id=...),
    "an hour old": lambda program: text(program, boot_ms=lights.now_ms() - HOUR),
    "7 s old": lambda program: text(program, boot_ms=lights.now_ms() - 7000),
    "10 s ahead": lambda program: text(program, boot_ms=lights.now_ms() + 10000),
    "an hour ahead": lambda program: text(program, boot_ms=lights.now_ms() + HOUR),
    "for ever": lambda program: text(program, boot_ms=1e300),
    "before the beginning": lambda program: text(program, boot_ms=-1),
    "no number": lambda program: text(program, boot_ms="soon"),
    "NaN": lambda program: text(program, boot_ms=float("nan")),
    "no time": lambda program: text(program, boot_ms=...),
    "no state": lambda program: text(program, state=...),
    "an unknown state": lambda program: text(program, state="fine"),
    "stopped": lambda program: text(program, state="stopped"),
    "no list": lambda program: text(program, meters=..., sticks=...),
    "no list but a map": lambda program: text(program, meters={}, sticks={}),
}


def at(make):
    """A thing of that name that is no file."""
    def put(path):
        other = path.with_suffix(".new")
        make(other)
        if path.is_dir():
            path.rmdir()
        other.rename(path) if not other.is_dir() else (path.unlink(missing_ok=True), other.rename(path))
    return put


def make_socket(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(path))


THINGS = {
    "a directory": at(lambda path: path.mkdir()),
    "a pipe": at(os.mkfifo),
    "a socket": at(make_socket),
    "endless": at(lambda path: path.symlink_to("/dev/zero")),
    "a link to nowhere": at(lambda path: path.symlink_to("nowhere")),
    "a link to itself": at(lambda path: path.symlink_to(path.with_suffix(".json"))),
    "missing": lambda path: path.unlink(missing_ok=True),
    "left as it was": lambda path: None,
}
FAILED = {"acquire": NO_ACQUIRE, "stick": NO_STICK_PROGRAM}


class Files(truthbed.Bed):
    """`leds`, and status files that this test writes."""

    def __init__(self, directory):
        super().__init__(directory)
        self.content = {"acquire": lambda program: text(program), "stick": lambda program: text(program)}

    def write(self):
        for program, content in self.content.items():
            path = self.run / f"{program}.json"
            if content in THINGS.values():
                content(path)
            else:
                if path.is_dir():
                    path.rmdir()
                replace(path, content(program))

    def for_so_long(self, seconds):
        """Write them, as programs do."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.write()
            time.sleep(0.3)

    def show(self, what, words, seconds, program=None, content=None):
        """From now on it has that content: for so long. That the lights say it in time, check() sees."""
        self.time_line.now(what, words)
        if program:
            self.content[program] = content
        self.for_so_long(seconds)
        shown = self.words()
        if not all(shown[pixel] in words for pixel, words in self.time_line.spans[-1].words.items()):
            raise AssertionError(f"{what}: {shown}, not {self.time_line.spans[-1].words}")


def run(name, program, content):
    with truthbed.crashbed.directory() as directory:
        bed = Files(directory)
        try:
            bed.write()
            bed.begin_leds()
            harness.wait_until(bed.words, 20, "a first frame")
            bed.show("all is well", GOOD, 1)
            bed.show(f"{program}.json: {name}", FAILED[program], 8, program, content)
            bed.show("all is well again", GOOD, 2, program, lambda program: text(program))
            bed.check()
            if bed.processes["leds"].poll() is not None:
                raise AssertionError("leds ended")
        except Exception as error:
            raise AssertionError(f"{name}: {error}\n{timeline.story(bed.frames(), bed.time_line.spans)}") from error
        finally:
            bed.close()


def one_stick(state, backlog=0, **members):
    return dict({"id": "x", "state": state, "percent": None, "eta_s": None, "backlog": backlog, "gap": False,
                 "error": None}, **members)


# What `stick` says of its sticks, with the numbers of the faults in which it says so, and what is shown.
STICKS = [
    ("25 and 26: none", [], "none", "no"),
    ("a good one", [one_stick("idle")], "current", "no"),
    ("33: it is checked", [one_stick("checking")], "behind", "writing"),
    ("it is written", [one_stick("writing", 1000)], "behind", "writing"),
    ("30 and 31: full", [one_stick("full", error="No space left on device")], "behind", "failed"),
    ("32: write-protected", [one_stick("readonly", error="write-protected")], "behind", "failed"),
    ("34, 35 and 36: refused", [one_stick("refused", error="ext4: only FAT and exFAT are written")], "refused", "no"),
    ("37: sectors are lost", [one_stick("failed", error="Input/output error")], "behind", "failed"),
    ("38: slow", [one_stick("slow", error="no answer for more than 30 s")], "behind", "failed"),
    ("39: two, one is written", [one_stick("idle"), one_stick("writing", 5)], "behind", "writing"),
    ("39: two, one is full, one is written", [one_stick("full"), one_stick("writing", 5)], "behind", "both"),
    ("39: two, one is refused", [one_stick("idle"), one_stick("refused")], "refused", "no"),
    ("40, 41 and 42: rows are missing there", [one_stick("idle", gap=True)], "current", "no"),
    ("nothing is known of it", [{}], "behind", "failed"),
    ("of a kind that is not known", [one_stick("resting")], "behind", "failed"),
    ("no list of sticks but numbers", [1, 2], "behind", "failed"),
]


class Status(harness.Case):
    def in_parallel(self, jobs):
        with concurrent.futures.ThreadPoolExecutor(len(jobs)) as pool:
            futures = [(job, pool.submit(run, *job)) for job in jobs]
        for job, future in futures:
            with self.subTest(job=job[:2]):
                future.result()

    def test_what_is_no_status_is_no_health(self):
        """Faults 59, 61 and 64, whatever they leave behind."""
        self.in_parallel([(name, ("acquire", "stick")[number % 2], content)
                          for number, (name, content) in enumerate({**BAD, **THINGS}.items())])

    def test_each_state_of_a_stick_has_its_light(self):
        """Faults 25, 26 and 30 to 42, as the programs of tests/vm bring them about: here what is shown of them."""
        bed = Files(self.directory / "bed")
        self.addCleanup(bed.close)
        bed.write()
        bed.begin_leds()
        for what, sticks, stick, writing in STICKS:
            with self.subTest(what):
                bed.content["stick"] = lambda program, sticks=sticks: text(program, sticks=sticks)
                bed.write()
                harness.wait_until(lambda: bed.words() and (bed.words()["stick"], bed.words()["writing"])
                                   == (stick, writing), 2, what)

    def test_a_thousand_meters_with_all_their_values_are_believed(self):
        """What a plant's status may be: 110 numbers of each."""
        def plant(program):
            values = {f"energy_active_import_{number:06}_total": 123456.789 + number for number in range(110)}
            return text(program, meters=[{"name": f"m{number}", "state": "live", "committed_boot_ms": lights.now_ms(),
                                          "slice_ms": 10000, "values": values} for number in range(1000)])
        bed = Files(self.directory / "bed")
        self.addCleanup(bed.close)
        bed.content["acquire"] = plant
        self.assertGreater(len(plant("acquire")), 4000000)
        bed.write()
        bed.begin_leds()
        bed.tell("all is well", GOOD)


if __name__ == "__main__":
    unittest.main()
