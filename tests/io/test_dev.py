# SPDX-License-Identifier: MIT
"""The developer's entry: what it counts is what ran, and what it does not know it refuses."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
import unittest.mock

from harness import share

ROOT = pathlib.Path(__file__).resolve().parents[2]

LOG = """\
test 1
1: Test command: /x/tests/test_a
1: [==========] Running 3 test(s).
1: [ RUN      ] test_one
1: [       OK ] test_one
1: [ RUN      ] test_two
2: test_x (test_b.B.test_x) ... ok
1: ERROR: a is 1, not 2
1: [  ERROR   ] --- a is 1, not 2
1: [  FAILED  ] test_two
1: [ RUN      ] test_three
1: [  SKIPPED ] test_three
1: [==========] 3 test(s) run.
1: [  PASSED  ] 1 test(s).
1: [  SKIPPED ] 1 test(s), listed below:
1: [  SKIPPED ] test_three
1: [  FAILED  ] 1 test(s), listed below:
1: [  FAILED  ] test_two
1/4 Test #1: unit.test_a ......................***Failed    0.10 sec
2: test_y (test_b.B.test_y) ... some noise
2: skipped 'no man here'
2: test_z (test_b.B.test_z) ... FAIL
2: ======================================================================
2: FAIL: test_z (test_b.B.test_z)
2: ----------------------------------------------------------------------
2: Ran 3 tests in 0.100s
2:\x20
2: FAILED (failures=1, skipped=1)
2/4 Test #2: io.test_b ........................***Failed    0.20 sec
3: [==========] Running 2 test(s).
3: [ RUN      ] test_four
3: [       OK ] test_four
3: [ RUN      ] test_five
3/4 Test #3: unit.test_c ......................***Exception: SegFault  0.02 sec
4: Done 1000 runs in 15 second(s)
4/4 Test #4: fuzz.fuzz_d ......................   Passed   15.02 sec
"""


def summary(*logs):
    return subprocess.run([sys.executable, ROOT / "tests" / "summary.py", *logs], capture_output=True, text=True,
                          check=False)


class Summary(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.log = pathlib.Path(directory.name) / "log"

    def test_every_case_counts_once_and_a_crash_is_a_failure(self):
        self.log.write_text(LOG)
        result = summary(f"asan={self.log}")
        self.assertEqual(result.stdout.rstrip().split("\n")[-1], "4 passed, 3 failed, 2 skipped")
        self.assertEqual(result.returncode, 1)
        for name in ("unit.test_a: test_two", "io.test_b: test_z (test_b.B.test_z)", "unit.test_c: the program itself"):
            self.assertIn(f"FAILED asan:{name}", result.stdout)
        self.assertIn("skipped asan:unit.test_a: test_three", result.stdout)

    def test_only_passed_ones_are_a_success(self):
        self.log.write_text("1: [       OK ] test_one\n1/1 Test #1: unit.test_a ......   Passed    0.10 sec\n")
        result = summary(str(self.log))
        self.assertEqual((result.returncode, result.stdout), (0, "1 passed, 0 failed, 0 skipped\n"))

    def test_figures_and_the_time_of_each_label_stand_above_the_count(self):
        self.log.write_text("1: test_a (test_b.B.test_a) ... \n1: figure: 7 kills, 0 overlaps\n1: ok\n"
                            "1: Ran 1 test in 0.1s\n1: OK\n1/1 Test #1: long.test_b ......   Passed    0.10 sec\n"
                            "Label Time Summary:\nlong    =   0.10 sec*proc (1 test)\n")
        self.assertEqual(summary(f"asan={self.log}").stdout, "asan: 1 passed, 0 failed, 0 skipped; long 0 s\n"
                         "figure asan:long.test_b: 7 kills, 0 overlaps\n1 passed, 0 failed, 0 skipped\n")

    def test_what_was_tried_twice_counts_once_and_is_said(self):
        first = ("    Start 1: vm.test_b\n1: FAIL: test_a (test_b.B.test_a)\n1: Ran 2 tests in 0.1s\n"
                 "1: FAILED (failures=1)\n1/1 Test #1: vm.test_b ......***Failed    0.10 sec\n")
        self.log.write_text(first + "    Start 1: vm.test_b\n1: Ran 2 tests in 0.1s\n1: OK\n"
                            "1/1 Test #1: vm.test_b ......   Passed    0.10 sec\n")
        result = summary(f"vm={self.log}")
        self.assertEqual(result.returncode, 0, result.stdout)
        self.assertEqual(result.stdout.rstrip().split("\n")[-2:], ["TRIED TWICE vm:vm.test_b",
                                                                   "2 passed, 0 failed, 0 skipped"])
        self.assertIn("FAIL: test_a", result.stdout)
        self.log.write_text(first + first)
        result = summary(f"vm={self.log}")
        self.assertEqual((result.returncode, result.stdout.rstrip().split("\n")[-1]),
                         (1, "1 passed, 1 failed, 0 skipped"))

    def test_a_log_in_which_nothing_ran_is_a_failure(self):
        self.log.write_text("No tests were found!!!\n")
        self.assertEqual(summary(str(self.log)).returncode, 1)


class Dev(unittest.TestCase):
    def test_help_names_every_command_and_anything_else_is_refused(self):
        result = subprocess.run([ROOT / "dev", "help"], capture_output=True, text=True, check=False)
        self.assertEqual(result.returncode, 0)
        for command in ("demo", "test", "build", "bench", "fuzz", "lint", "help"):
            self.assertIn(f"./dev {command}", result.stdout)
        result = subprocess.run([ROOT / "dev", "tset"], capture_output=True, text=True, check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn("no such command: tset", result.stderr)
        for arguments in (["lnog"], ["long", "long"]):
            result = subprocess.run([ROOT / "dev", "test", *arguments], capture_output=True, text=True, check=False)
            self.assertEqual((result.returncode, result.stdout), (1, ""))
            self.assertIn("long", result.stderr)


class Share(unittest.TestCase):
    def test_a_long_count_is_one_per_cent_of_it_or_what_is_asked_for(self):
        for percent, expected in ((None, 10), ("", 10), ("100", 1000), ("0.01", 1), ("50", 500)):
            environment = {"METERSTICK_COUNT_PERCENT": percent} if percent is not None else {}
            with unittest.mock.patch.dict("os.environ", environment):
                if percent is None:
                    os.environ.pop("METERSTICK_COUNT_PERCENT", None)
                self.assertEqual(share(1000), expected)


if __name__ == "__main__":
    unittest.main()
