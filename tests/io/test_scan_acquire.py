# SPDX-License-Identifier: MIT
"""acquire without meters in its configuration: it looks for them, logs what it finds, and goes on looking in its pauses."""

import os
import time
import unittest

import harness
import lights
import timeline
from test_acquire import Case as AcquireCase

INTERVAL_MS = 1000


class Found(AcquireCase):
    def begin(self, *meters, options=()):
        arguments = [part for meter in meters for part in ("--model", meter)]
        _, port = self.simulate(*arguments, "--pty", self.directory / "line", "--seed", "7", *options)
        config = self.configure(f"[bus cellar]\nport = {port}\n", f"{INTERVAL_MS} ms")
        self.began = time.monotonic()
        return self.acquire(config)

    def row_count(self, name):
        try:
            return len(self.rows(name))
        except Exception:  # no journal, or no such meter there yet
            return 0

    def adopted(self):
        path = self.state / "adopted.conf"
        return path.read_text() if path.exists() else ""

    def check_slices(self, name):
        """
        Each has a row, which may be late in it; when slices begin nobody tells, so it is looked for. A bus to which a meter
        is added begins in the middle of one, in which there may be two.
        """
        times = [row[1] for row in self.rows(name)]
        for begin in range(0, INTERVAL_MS, 10):
            slices = sorted({(at - begin) // INTERVAL_MS for at in times})
            if slices == list(range(slices[0], slices[0] + len(slices))):
                return len(slices)
        return self.fail(f"a slice of {name} has no row: {times} {self.log.read_text()}")

    def start_leds(self):
        """Without the address at the start. Returns what gives its frames."""
        record = self.directory / "frames"
        self.run_dir.mkdir(exist_ok=True)
        self.start(harness.BIN / "meterstick-leds", "--run-dir", self.run_dir, "--state-dir", self.directory,
                   "--record", record, "--read-outs", "0", env=dict(os.environ))
        return lambda: lights.read_frames(record) if record.exists() else []

    def test_a_port_that_cannot_be_used_is_no_search(self):
        config = self.configure(f"[bus cellar]\nport = {self.directory / 'nothing'}\n")
        frames = self.start_leds()
        process = self.acquire(config)
        scan = harness.wait_until(lambda: self.status().get("scan", {}).get("state") == "waiting" and self.status(), 20,
                                  "waiting")["scan"]
        self.assertIn("there is no device", scan["ports"][0]["text"])
        self.assertIn("there is no device", self.meterstick("status", "--run-dir", self.run_dir).stdout)
        harness.wait_until(lambda: frames() and frames()[-1]["words"][:2] == ["running", "failed"], 10, "the light")
        self.end(process)

    def check_lights(self, frames):
        """Looked for, then read; what joins is not read yet for a moment, but no light says that the others failed."""
        words = [frame["words"][1] for frame in frames()]
        begin = words.index("searching")
        self.assertEqual(set(words[:begin]) - {"failed"}, set())  # acquire was not there yet
        self.assertEqual(set(words[begin:]) - {"searching", "all read", "silent"}, set())
        self.assertNotIn("searching", words[words.index("all read"):])
        self.assertEqual(words[-1], "all read")
        harness.wait_until(lambda: lights.search_bars(frames()), 90, "the bar")
        minutes = harness.wait_until(lambda: lights.minutes(frames(), lights.now_ms()), 90, "the minutes")
        self.assertGreater(minutes[0], 10)
        timeline.check_colours(frames(), lights.now_ms())

    def test_the_first_row_comes_within_a_minute_and_the_rest_without_a_lost_slice(self):
        frames = self.start_leds()
        process = self.begin("schneider-iem2150:1@9600 8N1", "hiking-dds238-2-zn-s:2@9600 8N1",
                             "schneider-iem2150:3@9600 8N1", "schneider-em6400:3@9600 8N1",
                             "schneider-pm5100:4@9600 8N1", "schneider-em1200:1@19200 8E1", options=("--collide",))
        harness.wait_until(lambda: self.status().get("scan"), 20, "scan")
        first = "schneider-iem2150-1"
        harness.wait_until(lambda: self.row_count(first), 60, self.log.read_text())
        harness.figure(f"acquire without configuration: first row after {time.monotonic() - self.began:.1f} s")
        text = self.adopted()
        self.assertIn("[meter schneider-iem2150-1]\nbus     = cellar\nmodel   = schneider-iem2150\naddress = 1\n", text)

        scan = self.status()["scan"]
        self.assertEqual(scan["state"], "running")
        self.assertGreater(scan["left_s"], 60)
        said = self.meterstick("status", "--run-dir", self.run_dir).stdout
        self.assertRegex(said, r"scan +cellar: .* left")

        for name in ("hiking-dds238-2-zn-s-2", "schneider-pm5100-4"):
            harness.wait_until(lambda name=name: self.row_count(name) > 2, 120, name)
        self.assertEqual(self.events("missed"), [])
        self.assertGreater(self.check_slices(first), 10)
        self.assertEqual(self.status()["state"], "running")
        said = self.events("clash")
        self.assertEqual(len(said), 1, said)
        self.assertIn("bus 'cellar': address 3, 9600 8N1: two meters at one address?", str(said[0]))
        self.assertIn("# cellar: address 3, 9600 8N1: two meters at one address?", self.adopted())
        self.check_lights(frames)

        # What a person writes there is not written over.
        (self.state / "adopted.conf").write_text(text + "# mine\n")
        self.end(process)
        self.assertEqual(self.adopted(), text + "# mine\n")

    def test_a_restart_goes_on_and_a_person_ends_it(self):
        process = self.begin("schneider-iem2150:1@9600 8N1", "hiking-dds238-2-zn-s:3@9600 8N1")
        harness.wait_until(lambda: "hiking-dds238-2-zn-s-3" in self.adopted(), 90, self.log.read_text())
        self.end(process)
        text = self.adopted()
        self.assertIn("# The search goes on.\n", text)

        process = self.acquire(self.directory / "meterstick.conf")
        harness.wait_until(lambda: self.status().get("state") == "running" and self.status().get("scan"), 30, "scan")
        self.assertEqual(self.status()["scan"]["found"], 2)
        harness.wait_until(lambda: "address 5" in self.status()["scan"]["ports"][0]["text"], 60, "going on")
        self.end(process)
        self.assertEqual(self.adopted(), text)  # found once

        (self.state / "adopted.conf").write_text(text.replace("[meter hiking", "label = mine\n[meter hiking"))
        process = self.acquire(self.directory / "meterstick.conf")
        harness.wait_until(lambda: self.status().get("state") == "running" and self.status()["pid"] == process.pid, 30,
                           "running")
        self.assertNotIn("scan", self.status())
        self.end(process)

    def test_a_display_is_found_and_logged(self):
        process = self.begin("currentcost-cc128", options=("--period", "500ms"))
        harness.wait_until(lambda: self.row_count("currentcost-cc128"), 60, self.log.read_text())
        self.assertEqual(self.status()["scan"]["state"], "done")
        self.end(process)

    def test_where_nothing_is_it_goes_on_looking(self):
        process = self.begin("schneider-iem2150:200")
        scan = harness.wait_until(lambda: self.status().get("scan"), 20, "scan")
        self.assertEqual(scan["found"], 0)
        self.assertEqual(self.status()["state"], "starting")
        self.assertEqual(self.adopted(), "")
        self.end(process)


if __name__ == "__main__":
    unittest.main()
