# SPDX-License-Identifier: MIT
"""
Bad input from people: command lines and configuration files. Every refusal says where, what and what is allowed,
with the exit code of its kind, and nothing is printed on stdout that could be taken for a reading.
"""

import unittest

import harness

GOOD = "[bus a]\nport = /dev/ttyUSB0\n[meter m]\nmodel = schneider-iem2150\n"


class BadCommandLines(harness.Case):
    def refused(self, arguments, words, status=64):
        with self.subTest(arguments=arguments):
            result = self.meterstick(*arguments, status=status)
            self.assertEqual(result.stdout, "")
            self.assertIn(words, result.stderr)

    def test_verbs(self):
        self.refused(["raed"], "did you mean 'read'")
        self.refused(["--raed"], "--help")
        self.refused([""], "there is no verb ''")

    def test_options_of_read(self):
        model = ["read", "--model", "schneider-iem2150"]
        for arguments, words in (
                (["--prot", "auto"], "did you mean --port"),
                (["--port"], "--port needs a value"),
                (["-p", "auto"], "options begin with --"),
                (["--address", "256"], "from 0 to 255"),
                (["--address", "-1"], "from 0 to 255"),
                (["--address", "one"], "from 0 to 255"),
                (["--address", "0"], "1 to 247"),
                (["--address", "248"], "1 to 247"),
                (["--serial", "9600"], "9600 8N1"),
                (["--serial", "9601 8N1"], "9600 8N1"),
                (["--serial", "9600 8X1"], "9600 8N1"),
                (["--baudrate", "1"], "from 300"),
                (["--interval", "0"], "10 ms"),
                (["--interval", "-5"], "10 ms"),
                (["--interval", "soon"], "10 ms"),
                (["--count", "0"], "from 1"),
                (["--count", "1.5"], "from 1"),
                (["--timeout", "1 year"], "10 ms"),
                (["--message-size", "126"], "from 1 to 125"),
                (["--message-size", "0"], "from 1 to 125"),
                (["--word-order", "MIDDLE"], "BIG or LITTLE"),
                (["--byte-order", "auto"], "BIG or LITTLE"),
                (["--format", "jsn"], "did you mean json?"),
                (["--format", "csv", "--json"], "contradict"),
                (["--text", "--json"], "only one of"),
                (["--json=yes"], "takes no value"),
                (["--points", ""], "--points"),
                (["--points", "voltage,,current"], "--points"),
                (["--port", "ttyUSB0"], "/dev/ttyUSB0"),
                (["--port", "tcp:"], "tcp:HOST"),
                (["--port", "tcp:host:99999"], "tcp:HOST"),
                (["--port", ""], "--port"),
                (["--log-level", "loud"], "error, warning, info or debug"),
                (["kitchen"], "kitchen"),
                (["--register", "holding 1 u16"], "one of them"),
                (["--config", "x.conf"], "either in the configuration or on"),
        ):
            self.refused(model + arguments, words)
        self.refused(["read", "--port", "auto"], "--model or --register is missing")
        self.refused(["read", "--model", "schneider-iem215", "--port", "auto"], "did you mean 'schneider-iem2150'")
        self.refused(["read", "--model", "schneider-pm8000"], "--port tcp:HOST")

    def test_options_of_the_others(self):
        for verb in ("check", "models", "ports", "status"):
            self.refused([verb, "--nonsense"], "there is no option --nonsense")
            self.refused([verb, "a", "b"], "one word too many")
        self.refused(["models", "schneider-iem215"], "did you mean 'schneider-iem2150'")
        self.refused(["models", "--plan"], "which model")
        self.refused(["models", "schneider-iem2150", "--plan", "--serial", "9600"], "9600 8N1")
        self.refused(["models", "schneider-iem2150", "--plan", "--points", "volt"], "volt")
        self.refused(["models", "--check", self.directory / "none.meter"], "none.meter", 78)


class BadFiles(harness.Case):
    def check(self, data, status, *words):
        path = self.directory / "test.conf"
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        result = self.meterstick("check", path, "--state-dir", self.directory, status=status)
        for word in words:
            self.assertIn(word, result.stderr)
        if status == 78:
            read = self.meterstick("read", "--config", path, "--state-dir", self.directory, status=78)
            self.assertEqual(read.stdout, "")
            self.assertIn(words[0] if words else "test.conf", read.stderr)
        return result

    def test_what_any_editor_makes_is_right(self):
        for data in (GOOD, GOOD.replace("\n", "\r\n"), b"\xef\xbb\xbf" + GOOD.encode(), GOOD.replace(" = ", "\t=\t"),
                     "# größer\n; old\n\n" + GOOD.replace("iem2150", "iem2150   # kitchen"), GOOD.rstrip("\n")):
            with self.subTest(data=data):
                self.assertIn("1 meter on 1 bus", self.check(data, 0).stdout)

    def test_what_no_text_file_has_is_refused_with_its_line(self):
        for data, words in ((GOOD.encode("utf-16"), "UTF-16"),
                            (GOOD.encode("utf-16-le"), "test.conf:1"),
                            (GOOD.replace("port", "po\0rt"), "test.conf:2"),
                            (GOOD.encode() + b"label = gr\xf6sser\n", "test.conf:5"),
                            (GOOD + "label = " + "x" * 1000 + "\n", "test.conf:5"),
                            (GOOD + "label = " + "x" * 1_000_000 + "\n", "test.conf"),
                            (GOOD + "[meter\n", "test.conf:5"),
                            (GOOD + "[]\n", "test.conf:5"),
                            (GOOD + "nonsense\n", "test.conf:5"),
                            ("x" * 2_000_000, "test.conf"),
                            ("[{]", "test.conf")):
            with self.subTest(data=data[:200]):
                self.check(data, 78, words)

    def test_every_fault_is_told_at_once_with_the_nearest_word(self):
        self.check("[aplliance]\nname = x\n[bus a]\nprot = auto\nserial = 9600 9N1\n"
                   "[meter m]\nmodel = schneider-iem215\n[meter n]\nmodel = schneider-iem2150\nlog = voltge\n", 78,
                   "test.conf:1: unknown section [aplliance], did you mean [appliance]?",
                   "test.conf:4: unknown key 'prot' in [bus], did you mean 'port'?",
                   "test.conf:5: serial = 9600 9N1",
                   "did you mean 'schneider-iem2150'?",
                   "did you mean 'voltage'")

    def test_two_meters_on_one_address(self):
        self.check(GOOD + "[meter n]\nmodel = schneider-iem2150\n", 78,
                   "[meter n] and [meter m] (line 3) both have address 1")

    def test_a_file_that_is_none(self):
        self.assertIn("directory", self.meterstick("check", self.directory, status=78).stderr.lower())
        self.assertIn("none.conf", self.meterstick("check", self.directory / "none.conf", status=78).stderr)

    def test_random_bytes_never_crash(self):
        rng = harness.random_source()
        path = self.directory / "random.conf"
        for i in range(30):
            data = bytearray(GOOD.encode() * 3)
            for _ in range(rng.randrange(1, 20)):
                data[rng.randrange(len(data))] = rng.randrange(256)
            path.write_bytes(data if i % 2 else bytes(rng.randrange(256) for _ in range(rng.randrange(2000))))
            for arguments in (("check", path), ("check", "--from-cvm", path), ("check", "--from-powermeter", path),
                              ("models", "--check", path)):
                result = self.meterstick(*arguments, "--state-dir", self.directory)
                self.assertIn(result.returncode, (0, 78), result.stderr)


class BadModels(harness.Case):
    HEAD = ("[model]\nid = mine\ntitle = Mine\naddresses = from 1\nserial = 9600 8N1\nsource = me\n"
            "verified = document\nlog = voltage\n[points]\n")

    def test_impossible_maps_are_refused_with_line_and_reason(self):
        path = self.directory / "mine.meter"
        for points, words in (("voltage holding 1 u16 0.1 V", None),
                              ("voltage holding 0 u16 0.1 V", "mine.meter:10"),
                              ("voltage holding 65537 u16 0.1 V", "mine.meter:10"),
                              ("voltage holding 65536 f32.abcd 1 V", "mine.meter:10"),
                              ("voltage holding -1 u16 0.1 V", "mine.meter:10"),
                              ("voltage coil 1 u16 0.1 V", "coil"),
                              ("voltage holding 1 u61 0.1 V", "did you mean 'u16'"),
                              ("voltge holding 1 u16 0.1 V", "did you mean 'voltage'"),
                              ("voltage holding 1 u16 0.1 W", "mine.meter:10"),
                              ("voltage holding 1 u16 zero V", "zero"),
                              ("voltage holding 1 u16 0.1 V\nvoltage holding 9 u16 0.1 V", "mine.meter:11"),
                              ("voltage holding 1 f32.abcd 1 V\ncurrent holding 2 u16 1 A", "mine.meter:11"),
                              ("voltage holding 1", "mine.meter:10")):
            with self.subTest(points=points):
                path.write_text(self.HEAD + points + "\n")
                result = self.meterstick("models", "--check", path, status=78 if words else 0)
                self.assertIn(words or "", result.stderr)
                self.assertEqual(bool(words), not result.stdout)

    def test_how_registers_are_counted_is_never_guessed(self):
        path = self.directory / "mine.meter"
        path.write_text(self.HEAD.replace("addresses = from 1\n", "") + "voltage holding 1 u16 0.1 V\n")
        self.assertIn("mine.meter: no addresses = in [model]: 'from 0' or 'from 1'",
                      self.meterstick("models", "--check", path, status=78).stderr)


if __name__ == "__main__":
    unittest.main()
