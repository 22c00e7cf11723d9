# SPDX-License-Identifier: MIT
"""
An appliance of real processes in a directory of its own (meters on a line, `acquire`, `stick --dir`, `leds --record`), and
a time line of what its lights must say (timeline).
"""

import concurrent.futures
import itertools
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

import crashbed
import harness
import lights
import testbed
import timeline
from timeline import PIXELS, RIGHT_MS

MODEL = "schneider-iem2150"
NUMBERS = itertools.count()
LEDS = harness.BIN / "meterstick-leds"

# What each pixel may say while all is well.
GOOD = {"program": "running", "meters": "all read", "writing": {"no", "writing"}, "stick": {"current", "behind"},
        "clock": "known", "outlets": "none", "alarm": "none", "power": {"n/a", "good"}}
NO_ACQUIRE = {"program": "dead", "meters": "failed", "writing": {"failed", "both"}, "clock": "unknown"}
NO_STICK_PROGRAM = {"stick": "dead", "writing": "failed"}


class Bed:
    """An appliance."""

    def __init__(self, directory, interval="1 s", burst="5 s", clock="trusted", lock=False, more="", meters=2):
        self.directory = pathlib.Path(directory)
        self.state, self.run, self.stick_dir = (self.directory / name for name in ("state", "run", "stick"))
        self.directory.mkdir(exist_ok=True)
        self.state.mkdir()
        self.run.mkdir()
        self.stick_dir.mkdir()
        self.log, self.record = self.directory / "log", self.directory / "frames"
        self.record.touch()
        self.control = self.directory / "control"
        self.control.write_text("0" + " " * 63)
        self.line = self.directory / "line"
        self.port = f"/meterstick-truth-{os.getpid()}-{next(NUMBERS)}"
        self.config = self.directory / "meterstick.conf"
        self.config.write_text(f"[appliance]\nname = here\ninterval = {interval}\nclock = {clock}\n[journal]\n"
                               f"commit = 1 s\n[stick]\nburst = {burst}\n[bus b]\nport = {self.line}\nserial = 115200 8N1\n"
                               + (f"lock = {self.port}\n" if lock else "") + "".join(f"[meter m{unit}]\nbus = b\nmodel = {MODEL}\naddress = {unit}\n"
                                                    for unit in range(1, meters + 1)) + more)
        self.meters = meters
        self.read_outs = 0
        self.board = None   # a directory with another /sys, for leds
        self.processes = {}
        self.time_line = timeline.TimeLine()
        self.asleep = []  # [(from, until)] in boot ms: when leds could not draw

    # --- processes ---

    def spawn(self, name, *command, environment=None, **options):
        with open(self.log, "ab") as log:
            self.processes[name] = subprocess.Popen([str(part) for part in command], stdout=log, stderr=log,
                                                    env={**os.environ, "METERSTICK_MODELS": str(harness.MODELS),
                                                         **(environment or {})}, **options)
        return self.processes[name]

    def begin_line(self, *more):
        process = self.spawn("line", harness.PLAIN_BIN / "meterstick", "simulate", "--pty", self.line, "--model",
                             f"{MODEL}:1-{self.meters}", *more, stdin=subprocess.PIPE, bufsize=0)
        harness.wait_until(self.line.exists, 20, "the line")
        return process

    def end_line(self):
        """The adapter is pulled. Another one may have the number of its pty at once."""
        self.line.unlink()
        self.kill("line")

    def tell_line(self, command):
        self.processes["line"].stdin.write(command.encode() + b"\n")

    def directories(self):
        return ["--config", self.config, "--state-dir", self.state, "--run-dir", self.run]

    def shim(self, below):
        """The environment in which what is below that path fails as do_card() says: tests/shim/card.c."""
        return {"LD_PRELOAD": str(harness.SHIMS / "shim_card.so"), "CARD_CONTROL": str(self.control),
                "CARD_DIR": str(below)} if below else {}

    def begin_acquire(self, fails=None, environment=None, nobody=False):
        """fails: as shim() has it. nobody: as another user, if we are root."""
        options = harness.as_nobody() if nobody else {"programs": harness.PLAIN_BIN, "environment": {}}
        return self.spawn("acquire", options.pop("programs") / "meterstick-acquire", *self.directories(),
                          environment={**options.pop("environment"), **self.shim(fails), **(environment or {})}, **options)

    def begin_stick(self, fails=None, plugged=False):
        """plugged: it serves what is plugged in, not the directory."""
        return self.spawn("stick", harness.PLAIN_BIN / "meterstick-stick", *self.directories(),
                          *([] if plugged else ["--dir", self.stick_dir]), environment=self.shim(fails))

    def begin_leds(self):
        return self.spawn("leds", LEDS, *self.directories(), "--record", self.record, "--read-outs",
                          self.read_outs, environment=self.board and {"UMOCKDEV_DIR": str(self.board),
                                                             "LD_PRELOAD": testbed.preload(LEDS)})

    def do_card(self, mode):
        with open(self.control, "r+", encoding="ascii") as control:
            control.write(mode)

    def signal(self, name, number):
        self.processes[name].send_signal(number)

    def kill(self, name):
        self.processes[name].kill()
        self.processes[name].wait()

    def end(self, name):
        return harness.stop(self.processes[name], 10)

    def close(self):
        self.do_card("0")
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
        for process in self.processes.values():
            if process.stdin:
                process.stdin.close()
            process.wait()

    # --- what is said ---

    def status(self, program):
        try:
            return json.loads((self.run / f"{program}.json").read_text())
        except (OSError, json.JSONDecodeError):
            return {}

    def said(self):
        return self.log.read_text(errors="replace")[-3000:]

    def frames(self):
        return lights.read_frames(self.record)

    def words(self):
        """What was shown last; nothing but the end of the file is read."""
        with open(self.record, "rb") as record:
            record.seek(max(0, record.seek(0, os.SEEK_END) - 2048))
            lines = record.read().split(b"\n")[:-1]
        return dict(zip(PIXELS, json.loads(lines[-1])["words"])) if lines else {}

    def tell(self, what, words, do=None, within_s=RIGHT_MS / 1000, meanwhile=None):
        """Let it happen; it is so from now on. Wait until the lights say it. meanwhile: what they may say until then."""
        between = {"meters": "silent"} if "meters" in words else {}  # one of them before the other
        if "writing" in words:
            between["writing"] = {"failed", "both"}  # acquire before stick, and a stick that is written at once
        span = self.time_line.now(what, words, int(1000 * within_s), dict(between, **(meanwhile or {})))

        def right():
            shown = self.words()
            return shown and all(shown[pixel] in allowed for pixel, allowed in span.words.items())
        if do:
            do()
        try:
            harness.wait_until(right, within_s + 2, what)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.words()}, not {span.words}; acquire says "
                                 f"{self.status('acquire')}, stick {self.status('stick')}: {self.said()}") from None

    def begin(self, card=None, stick=None, environment=None, good=None):
        """All of it, and all is well. card, stick: what shall fail for acquire, and for stick."""
        self.begin_line()
        self.begin_acquire(card, environment)
        self.begin_stick(stick)
        self.begin_leds()
        harness.wait_until(self.words, 10, "a first frame")
        self.tell("all is well", good or GOOD, within_s=20)

    def hold(self, seconds):
        """Nothing happens for so long: the lights stay."""
        time.sleep(seconds)

    def check(self):
        """Returns [(ms until right, what)]."""
        frames, end_ms = self.frames(), lights.now_ms()
        timeline.check_colours(frames, end_ms, self.asleep)
        return self.time_line.check(frames, end_ms)


# As little entitled to a processor as `stick`: when, in boot ms, 20 ms of one took more than half a second.
PULSE = """
import os, time
os.nice(10)
while True:
    time.sleep(0.5)
    begin, until = time.clock_gettime(time.CLOCK_BOOTTIME), time.process_time() + 0.02
    while time.process_time() < until:
        pass
    if time.clock_gettime(time.CLOCK_BOOTTIME) - begin > 0.5:
        print(int(1000 * begin), flush=True)
"""


class Pulse:
    """Whether the machine had a processor for everybody."""

    def __init__(self, case):
        directory = tempfile.TemporaryDirectory(prefix="meterstick-")
        case.addClassCleanup(directory.cleanup)
        self.path = pathlib.Path(directory.name) / "late"
        with open(self.path, "wb") as late:
            process = subprocess.Popen([sys.executable, "-c", PULSE], stdout=late)
        case.addClassCleanup(harness.stop, process)

    def was_late(self, begin_ms):
        return any(int(line) >= begin_ms for line in self.path.read_text(encoding="ascii").splitlines())


class Cases:
    """Tests that mostly wait, side by side: each is called with a Bed and one of its jobs."""

    def __init__(self):
        self.all = []

    def case(self, *jobs, **bed):
        def take(function):
            self.all.append((function, jobs or ((),), bed))
            return function
        return take

    def make(self, name):
        """A TestCase of all of them."""
        cases = self

        class Truth(harness.Case):
            @classmethod
            def setUpClass(cls):
                pulse = Pulse(cls)
                pool = concurrent.futures.ThreadPoolExecutor(sum(len(jobs) for _, jobs, _ in cases.all))
                cls.addClassCleanup(pool.shutdown)
                cls.results = {function.__name__: [(job, pool.submit(run_one, function, job, bed, pulse)) for job in jobs]
                               for function, jobs, bed in cases.all}

            @classmethod
            def tearDownClass(cls):
                late = [late for jobs in cls.results.values() for _, future in jobs if not future.exception()
                        for late in future.result()]
                harness.figure(f"lights: right after {max(late)[0] / 1000:.1f} s at most ({max(late)[1]})")

        for function, _, _ in cases.all:
            setattr(Truth, function.__name__, collect_test(function))
        Truth.__name__ = Truth.__qualname__ = name
        return Truth


def collect_test(function):
    def test(self):
        for job, future in self.results[function.__name__]:
            with self.subTest(job=job):
                future.result()
    test.__doc__ = function.__doc__
    return test


def run_one(function, job, options, pulse, attempts=3):
    """What failed while a process of low priority got next to no processor is tried again, when others have ended."""
    begin_ms = lights.now_ms()
    try:
        return run_once(function, job, options)
    except AssertionError:
        if attempts == 1 or not pulse.was_late(begin_ms):
            raise
        print(f"{function.__name__}{job}: there was no processor, once more", file=sys.stderr, flush=True)
        return run_one(function, job, options, pulse, attempts - 1)


def run_once(function, job, options):
    with crashbed.directory() as directory:
        bed = Bed(directory, **options)
        try:
            function(unittest.TestCase(), bed, *job)
            return bed.check()
        except unittest.SkipTest:
            raise
        except Exception as error:
            raise AssertionError(f"{function.__name__}{job}: {error}\n"
                                 f"{timeline.story(bed.frames(), bed.time_line.spans)}") from error
        finally:
            bed.close()
