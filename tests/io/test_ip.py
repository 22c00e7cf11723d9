# SPDX-License-Identifier: MIT
"""
The address: which one it is, in a network of the test's own, and that the lights read it out: at the start, when it
changes, and when somebody asks. Read back from the recorded frames.
"""

import json
import os
import pathlib
import subprocess
import time
import unittest

import harness
import ledbed
import lights
from harness import BIN

TIMES = harness.share(2)  # how often it is read out at the start; each time takes longer than most tests


class Network:
    """A network of its own, with a shell in it."""

    def __init__(self, case):
        command = ["unshare", "--net", "/bin/sh"] if os.geteuid() == 0 else ["unshare", "-rn", "/bin/sh"]
        self._shell = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        case.addCleanup(self._end)
        self._programs = []

    def run(self, line):
        """One line of the shell. Returns what it prints, in one word."""
        self._shell.stdin.write(f"{line}; echo . $?\n")
        self._shell.stdin.flush()
        output = []
        while not (answer := self._shell.stdout.readline()).startswith(". "):
            if not answer:
                raise AssertionError(f"no network of its own: {line}")
            output.append(answer.strip())
        if answer != ". 0\n":
            raise AssertionError(f"{line}: {answer}")
        return " ".join(output)

    def link(self, *names):
        """Two ends of a cable, which are up."""
        self.run(f"ip link add name {names[0]} type veth peer name {names[1]}")
        for name in names:
            self.run(f"ip link set {name} up")

    def start(self, *command):
        """A program; it ends with the test."""
        words = " ".join(f"'{word}'" for word in command)
        self._programs.append(self.run(f"{words} >&2 2>/dev/null & echo $!"))

    def _end(self):
        for program in self._programs:
            self._shell.stdin.write(f"kill {program}\n")
        self._shell.stdin.write("wait\n")
        self._shell.stdin.close()
        self._shell.wait(20)
        self._shell.stdout.close()


class Appliance:
    """`leds` in a network of its own, with a directory of its own."""

    def __init__(self, case, name, times):
        self.run = case.directory / name
        self.run.mkdir()
        self.record = self.run / "frames"
        self.network = Network(case)
        self.times = times

    def start(self):
        self.network.start(BIN / "meterstick-leds", "--run-dir", self.run, "--state-dir", self.run,
                           "--record", self.record, "--read-outs", self.times)
        harness.wait_until(lambda: self.address(), 10, "it runs")

    def address(self):
        """As its status says."""
        try:
            return json.loads((self.run / "leds.json").read_text()).get("address")
        except FileNotFoundError:
            return None

    def read_out(self):
        """What was, to its end. Nobody need ask often."""
        time.sleep(0.1)
        return lights.addresses(lights.read_frames(self.record)) if self.record.exists() else []

    def wait_read_out(self, condition, what):
        try:
            harness.wait_until(lambda: condition(self.read_out()), 90, what)
        except AssertionError as error:
            frames = lights.read_frames(self.record)
            raise AssertionError(f"{error}: {lights.spelled(frames)}\n" + "\n".join(
                f"{frame['boot_ms']} {lights.letters(frame)}" for frame in frames)) from None


class Address(ledbed.Case):
    def setUp(self):
        super().setUp()
        if not pathlib.Path("/usr/sbin/ip").exists() and not pathlib.Path("/sbin/ip").exists():
            self.fail("iproute2 is not installed")
        os.environ["PATH"] += ":/usr/sbin:/sbin"

    def wait_for_address(self, appliance, address):
        """Returns how many seconds it took."""
        begin = time.monotonic()
        while appliance.address() != address:
            self.assertLess(time.monotonic() - begin, 40, f"{address}, not {appliance.address()}")
            time.sleep(0.05)
        return time.monotonic() - begin

    def test_it_is_that_of_the_interface_with_the_best_default_route_and_follows_it(self):
        appliance = Appliance(self, "one", 0)
        network = appliance.network
        appliance.start()
        self.wait_for_address(appliance, "127.0.0.1")
        network.link("near0", "far0")
        network.link("near1", "far1")
        took_s = []
        for change, address in (("ip addr add 10.1.0.5/24 dev near0", "10.1.0.5"),
                                ("ip addr add 10.2.0.5/24 dev near1; ip route add default via 10.2.0.1 metric 600",
                                 "10.2.0.5"),
                                ("ip route add default via 10.1.0.1 metric 100", "10.1.0.5"),
                                ("ip link set near0 down", "10.2.0.5"),
                                ("ip link del near1; ip link del near0", "127.0.0.1")):
            network.run(change)
            took_s.append(self.wait_for_address(appliance, address))
        self.assertLess(sorted(took_s)[2], 2, f"the kernel told, not the look of each 5 s: {took_s}")

    def test_it_is_read_out_at_the_start_when_it_changes_and_when_somebody_asks(self):
        for attempt in range(3):
            with ledbed.Metronome() as metronome:
                try:
                    return self.read_outs(attempt)
                except AssertionError:
                    if metronome.latest_s < 0.3 or attempt == 2:  # as long as it is dark between two symbols
                        raise
        return None

    def read_outs(self, attempt):
        start, change, asked, direct = (Appliance(self, f"{name}-{attempt}", times) for name, times in
                                        (("start", TIMES), ("change", 1), ("asked", 0), ("direct", 0)))
        for appliance, address in ((start, "1.1.1.1"), (change, "10.9.8.7"), (direct, "2.1.1.1")):
            appliance.network.link("near0", "far0")
            appliance.network.run(f"ip addr add {address}/24 dev near0")
        for appliance in (start, change, asked):
            appliance.start()
        direct.network.start(BIN / "meterstick", "ip", "--run-dir", direct.run, "--state-dir", direct.run, "--record",
                             direct.record)
        self.assertEqual(asked.network.run(f"{BIN / 'meterstick'} ip 90.7 --run-dir {asked.run} 2>&1"), "")
        harness.wait_until(lambda: any(lights.symbol(frame) for frame in lights.read_frames(change.record)), 30,
                           "it began")
        change.network.run("ip addr add 1.1.1.9/24 dev far0; ip addr del 10.9.8.7/24 dev near0")

        asked.wait_read_out(lambda read: read == ["90.7"], "what was asked for")
        direct.wait_read_out(lambda read: read == ["2.1.1.1"], "without leds")
        start.wait_read_out(lambda read: read == TIMES * ["1.1.1.1"], "at the start")
        change.wait_read_out(lambda read: read[-1:] == ["1.1.1.9"], "the new one, from its beginning")
        self.assertNotIn("10.9.8.7", change.read_out())
        self.assertTrue(all(frame["words"][0] == "dead" for frame in lights.read_frames(start.record)))

    def test_what_cannot_be_read_out_is_wrong_usage(self):
        for bad in ("1.2.3.4.5.6.7.8.9", "::1", "house", "", "1,2"):
            self.assertIn("cannot be read out", self.by_hand("ip", bad, status=64))
        self.assertIn("one word too many", self.by_hand("ip", "1.2.3.4", "5", status=64))


if __name__ == "__main__":
    unittest.main()
