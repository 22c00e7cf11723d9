# SPDX-License-Identifier: MIT
"""What the tests of the lights share: programs that write a status and nothing else, and a `leds` that records."""

import json
import os
import socket
import subprocess
import sys
import threading
import time

import harness
import lights
from harness import BIN

# A program that writes a status every second, as acquire and stick do, and nothing else.
WRITER = r"""
import json, os, sys, time
path, members = sys.argv[1], json.loads(sys.argv[2])
boot_id = open("/proc/sys/kernel/random/boot_id").read().strip()
while True:
    now = int(time.clock_gettime(time.CLOCK_BOOTTIME) * 1000)
    for meter in members.get("meters", []):
        meter["committed_boot_ms"] = now
    text = json.dumps(dict(members, program="x", pid=os.getpid(), boot_id=boot_id, boot_ms=now, state="running",
                           error=None))
    try:
        with open(path + ".tmp", "w") as file:
            file.write(text)
        os.rename(path + ".tmp", path)
    except OSError:
        pass
    time.sleep(1)
"""
ACQUIRE = {"meters": [{"name": "kitchen", "state": "live", "slice_ms": 2000}], "journal": {"state": "ok"},
           "clock": {"known": True}}
STICK = {"sticks": [{"id": "x", "state": "idle", "backlog": 0}]}

GOOD = ["running", "all read", "no", "current", "known", "none", "none", "n/a"]


class Manager:
    """What systemd is to a service."""

    def __init__(self, case):
        self.path = case.directory / "notify"
        self.messages = []  # (seconds of the boot clock, text)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.path))
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        case.addCleanup(self._close)

    def _listen(self):
        while (message := self._socket.recv(4096)) != b"end":
            self.messages.append((time.clock_gettime(time.CLOCK_BOOTTIME), message.decode()))

    def _close(self):
        self._socket.sendto(b"end", str(self.path))
        self._thread.join()
        self._socket.close()

    def heard(self, start):
        """When, and what, of the messages that begin so."""
        return [one for one in self.messages if one[1].startswith(start)]


class Metronome:
    """How long this machine lets a process wait that wants to go on: a starved one cannot keep times."""

    def __init__(self):
        self.latest_s = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join()

    def _run(self):
        while not self._end.is_set():
            begin = time.monotonic()
            time.sleep(0.05)
            self.latest_s = max(self.latest_s, time.monotonic() - begin - 0.05)


class Case(harness.Case):
    def setUp(self):
        super().setUp()
        self.run = self.directory / "run"
        self.run.mkdir()
        self.record = self.directory / "frames"
        self.log = self.directory / "log"
        self.leds = None

    def start_writer(self, program, members):
        return self.start(sys.executable, "-c", WRITER, self.run / f"{program}.json", json.dumps(members))

    def start_all_well(self):
        return self.start_writer("acquire", ACQUIRE), self.start_writer("stick", STICK)

    def put(self, program, **members):
        """One status of now."""
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot_id = file.read().strip()
        status = dict(members, program=program, pid=1, boot_id=boot_id, boot_ms=lights.now_ms(), state="running",
                      error=None)
        temporary = self.run / f"{program}.tmp"
        temporary.write_text(json.dumps(status))
        temporary.rename(self.run / f"{program}.json")

    def start_leds(self, *more, record=True, environment=None, program=BIN / "meterstick-leds", **options):
        """Without the address at the start: what is seen is the status."""
        read_outs = () if "--read-outs" in more else ("--read-outs", "0")
        recorded = ("--record", self.record) if record else ()
        with open(self.log, "ab") as log:
            options.setdefault("stderr", log)
            self.leds = self.start(program, "--run-dir", self.run, "--state-dir", self.directory, *recorded, *read_outs,
                                   *more, env=dict(os.environ, **(environment or {})), **options)
        return self.leds

    def frames(self):
        """All whole lines recorded so far."""
        return lights.read_frames(self.record) if self.record.exists() else []

    def wait_for(self, condition, seconds, what):
        """Until the last frame is as it should be."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            frames = self.frames()
            if frames and condition(frames[-1]):
                return frames[-1]
            time.sleep(0.02)
        return self.fail(f"not within {seconds} s: {what}; the last frame is {self.frames()[-1:]}")

    def wait_for_good(self, seconds=10):
        return self.wait_for(lambda frame: frame["words"] == GOOD, seconds, "all is well")

    def wait_for_socket(self):
        harness.wait_until((self.run / "leds.sock").exists, 10, "its socket")

    def status(self):
        """Of leds itself; {} if there is none."""
        try:
            return json.loads((self.run / "leds.json").read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return {}

    def by_hand(self, *arguments, status=0, timeout=60):
        """A verb for the lights to its end: (stdout and stderr)."""
        result = subprocess.run([str(BIN / "meterstick"), *map(str, arguments), "--run-dir", str(self.run)],
                                capture_output=True, text=True, check=False, timeout=timeout)
        self.assertEqual(result.returncode, status, f"{arguments}: {result.stdout}{result.stderr}")
        return result.stdout + result.stderr
