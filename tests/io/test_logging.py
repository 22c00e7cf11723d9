# SPDX-License-Identifier: MIT
"""Where the services write their log and how much: by configuration, and by option, which wins (FX-11)."""

import unittest

import harness


class Logging(harness.Case):
    def setUp(self):
        super().setUp()
        for name in ("state", "run", "stick"):
            (self.directory / name).mkdir()
        self.log = self.directory / "meterstick.log"
        self.config = self.directory / "meterstick.conf"
        self.config.write_text(f"[appliance]\nclock = trusted\nlog_level = debug\nlog_file = {self.log}\n"
                               "[journal]\ncommit = 1 s\n[stick]\nburst = 5 s\n"
                               "[meter m]\ndriver = exec\ncommand = echo 230\ncolumns = voltage V\ninterval = 1 s\n")

    def service(self, verb, *more):
        return self.start(harness.BIN / "meterstick", verb, "--state-dir", self.directory / "state", "--run-dir",
                          self.directory / "run", *more)

    def wait_for(self, path, words):
        harness.wait_until(lambda: path.exists() and words in path.read_text(), 20, f"{words!r} in {path.name}")

    def test_all_services_follow_the_configuration(self):
        self.service("acquire", "--config", self.config)
        self.wait_for(self.log, "acquire: ")
        self.service("stick", "--dir", self.directory / "stick")
        self.wait_for(self.log, "stick: ")
        leds = self.service("leds", "--record", self.directory / "frames")
        harness.wait_until(lambda: (self.directory / "frames").exists(), 10, "frames")
        leds.terminate()
        self.wait_for(self.log, "leds: ")

    def test_an_option_wins_over_the_configuration(self):
        other = self.directory / "other.log"
        self.service("acquire", "--config", self.config, "--log-file", other, "--log-level", "info")
        self.wait_for(other, "meter 'm'")
        self.assertFalse(self.log.exists())


if __name__ == "__main__":
    unittest.main()
