# SPDX-License-Identifier: MIT
"""Completion in bash, against what the programs say of themselves, and typed into a real one."""

import os
import pty
import re
import select
import shlex
import subprocess
import time
import unittest

from harness import BIN, MODELS, SOURCE, Case

SCRIPT = SOURCE / "app" / "cli" / "completion.bash"
DEADLINE_S = 60


def helped(*words):
    return subprocess.run([BIN / "meterstick", *words, "--help"], capture_output=True, text=True, check=True,
                          timeout=60).stdout


def verbs():
    return re.findall(r"^  (\w+) ", helped(), re.MULTILINE)


def options(verb):
    """What --help says: {option: its argument or ''}."""
    return {name: argument or "" for name, argument in
            re.findall(r"^  --([a-z0-9-]+)(?: (\S.*?))?(?: {2,}| [a-z]|$)", helped(verb), re.MULTILINE)}


def complete(*words):
    """What is offered for the last of these words."""
    script = (f"source {shlex.quote(str(SCRIPT))}; COMP_WORDS=({shlex.join([str(BIN / 'meterstick'), *words])}); "
              f"COMP_CWORD={len(words)}; _meterstick; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
    result = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True, check=False, timeout=60,
                            env=dict(os.environ, METERSTICK_MODELS=str(MODELS)))
    if result.stderr:
        raise AssertionError(result.stderr)
    return [line for line in result.stdout.split("\n") if line]


class Completion(Case):
    def test_every_verb(self):
        self.assertGreater(len(verbs()), 10)
        self.assertEqual(set(complete("")), {*verbs(), "--help", "--version"})
        self.assertEqual(complete("acq"), ["acquire"])

    def test_every_option_of_every_verb(self):
        for verb in verbs():
            known = options(verb)
            self.assertIn("config", known)
            self.assertEqual(sorted(complete(verb, "--")), sorted("--" + option for option in known), verb)

    def test_an_option_with_a_value_is_followed_by_it_and_no_other(self):
        for verb in verbs():
            table = subprocess.run(["bash", "-c", f"source {shlex.quote(str(SCRIPT))}; "
                                    f"echo ${{_meterstick_options[{verb}]}} $_meterstick_common"],
                                   capture_output=True, text=True, check=True).stdout.split()
            self.assertEqual({word for word in table if word.endswith("=")},
                             {name + "=" for name, argument in options(verb).items() if argument}, verb)

    def test_values_that_help_lists(self):
        found = 0
        for verb in verbs():
            for name, argument in options(verb).items():
                if re.fullmatch(r"[A-Za-z0-9]+(\|[A-Za-z0-9]+)+", argument) and argument != "MODEL|FILE":
                    self.assertEqual(set(complete(verb, "--" + name, "")), set(argument.split("|")), f"{verb} {name}")
                    found += 1
        self.assertGreater(found, 3)
        said = re.search(r"--log-level LEVEL +(.*)", helped("status")).group(1)
        self.assertEqual(complete("status", "--log-level", ""), re.split(r", | or ", said))
        said = re.search(r"--format FORMAT +(.*)", helped("read")).group(1)
        self.assertEqual(complete("read", "--format", ""), re.split(r"(?: \(default\))?, ", said))

    def test_colours_are_those_of_led(self):
        said = re.search(r"colour: (.*)\.", helped("led")).group(1)
        self.assertEqual(set(complete("led", "3", "")), {*re.split(r", | or ", said), "purple"})
        self.assertEqual(complete("led", ""), list("01234567"))

    def test_models_are_those_of_the_program(self):
        printed = subprocess.run([BIN / "meterstick", "models"], capture_output=True, text=True, check=True,
                                 env=dict(os.environ, METERSTICK_MODELS=str(MODELS))).stdout
        known = [line.split()[0] for line in printed.splitlines()]
        self.assertGreater(len(known), 10)
        self.assertEqual(complete("models", ""), known)
        self.assertEqual(complete("read", "--model", ""), known)
        self.assertEqual(complete("simulate", "--model", "hdhk"), ["hdhk-hdxxaxxa16gk"])

    def test_meters_are_those_of_the_configuration(self):
        path = self.directory / "two meters.conf"
        path.write_text("[bus a]\n[meter kitchen]\n  [meter lathe]  # hall 2\n#[meter old]\n")
        self.assertEqual(complete("read", "--config", str(path), ""), ["kitchen", "lathe"])
        self.assertEqual(complete("export", "--config", "=", str(path), "--meter", "l"), ["lathe"])
        self.assertEqual(complete("read", "--config", str(self.directory / "none"), ""), [])

    def test_words_that_bash_cuts(self):
        self.assertEqual(complete("read", "--format", "=", "j"), ["json"])
        self.assertEqual(complete("read", "--port", "=", "rtu"), ["rtu-tcp:"])
        self.assertEqual(complete("read", "--port", "tcp", ":", "host", "--for"), ["--format"])
        self.assertEqual(complete("read", "--format", "=", "csv", "--header", "--cou"), ["--count"])

    def test_nothing_where_nothing_is_known(self):
        for words in (("nonsense", ""), ("led", "3", "red", ""), ("read", "--count", ""), ("ip", "")):
            self.assertEqual(complete(*words), [], words)


class Typed(Case):
    """Keys into an interactive bash: what the program is given after all is what counts."""

    def setUp(self):
        super().setUp()
        stub = self.directory / "meterstick"  # says what it is given; models it asks the real one
        stub.write_text(f'#!/bin/sh\n[ "$1" = models ] && [ $# = 1 ] && exec {BIN}/meterstick models\n'
                        f'cd {self.directory} && printf "<%s>" "$@" > given.new && mv given.new given\n')
        stub.chmod(0o755)
        self.master, slave = pty.openpty()
        self.bash = subprocess.Popen(["bash", "--norc", "--noprofile", "-i"], stdin=slave, stdout=slave, stderr=slave,
                                     start_new_session=True, cwd=self.directory,
                                     env={"PATH": f"{self.directory}:/usr/bin:/bin", "TERM": "dumb",
                                          "INPUTRC": "/dev/null", "METERSTICK_MODELS": str(MODELS),
                                          "HOME": str(self.directory)})
        os.close(slave)
        self.addCleanup(self.end)
        self.type(f"source {shlex.quote(str(SCRIPT))}\n")

    def end(self):
        self.bash.kill()
        self.bash.wait()
        os.close(self.master)

    def type(self, keys):
        os.write(self.master, keys.encode())

    def given(self, keys):
        """Type a line; what it came to."""
        path = self.directory / "given"
        path.unlink(missing_ok=True)
        self.type(keys + "\n")
        shown = b""
        deadline = time.monotonic() + DEADLINE_S
        while not path.exists():
            self.assertLess(time.monotonic(), deadline, shown)
            if select.select([self.master], [], [], 0.05)[0]:
                shown += os.read(self.master, 65536)
        return path.read_text()

    def test_typed_where_bash_cuts_nowhere(self):
        self.type("COMP_WORDBREAKS=' '\n")
        self.assertEqual(self.given("meterstick read --format=ener\t --port rtu\tbox:4001 --js\t"),
                         "<read><--format=energy-scribe><--port><rtu-tcp:box:4001><--json>")

    def test_typed(self):
        (self.directory / "some.conf").write_text("[meter kitchen]\n")
        (self.directory / "folder").mkdir()
        for keys, wanted in (
                ("meterstick stat\t--js\t", "<status><--json>"),
                ("meterstick read --form\tpow\t", "<read><--format><powermeter>"),
                ("meterstick read --format=ener\t", "<read><--format=energy-scribe>"),
                ("meterstick read --model circ\t--port rtu\tbox:4001 --text", None),
                ("meterstick read --config so\tki\t", "<read><--config><some.conf><kitchen>"),
                ("meterstick check --config=so\t", "<check><--config=some.conf>"),
                ("meterstick read --serial 19200\\ 8E\t", "<read><--serial><19200 8E1>"),
                ("meterstick read --serial \"9600 8N\t", "<read><--serial><9600 8N1>"),
                ("meterstick stick --dir fo\t", "<stick><--dir><folder/>"),
                ("meterstick led 3 gr\t", "<led><3><green>")):
            wanted = wanted or "<read><--model><circutor-cvm-nrg96><--port><rtu-tcp:box:4001><--text>"
            self.assertEqual(self.given(keys), wanted)


class Installed(unittest.TestCase):
    def test_where_bash_looks(self):
        for line in (SOURCE / "app" / "cli" / "CMakeLists.txt").read_text().splitlines():
            if "completion.bash" in line:
                self.assertRegex(line, r"bash-completion/completions RENAME meterstick\)")
                return
        self.fail("completion.bash is not installed")


if __name__ == "__main__":
    unittest.main()
