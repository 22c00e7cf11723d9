#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Count test cases in logs of "ctest -V".

    summary.py [NAME=]LOG...

A program of cmocka or unittest counts with each of its cases, any other with itself. A program that failed
without a case that failed (it crashed, a sanitizer spoke, it took too long) is one failure more. Shows what failed and
was skipped, what each label took, the figures that tests printed ("figure: ..." on a line of its own), and then
"N passed, M failed, K skipped". Exits 1 if anything failed or nothing ran. A program that a log has twice was tried
again: the second time counts, and what was wrong the first time is shown.
"""

import re
import sys

LINE = re.compile(r"^(\d+): ?(.*)$")
ENTRY = re.compile(r"^\s*\d+/\d+ Test\s+#(\d+): (\S+) \.*\s*(.*?)\s+[\d.]+ sec")
START = re.compile(r"^\s+Start\s+(\d+): ")
LABEL = re.compile(r"^(\w+) +=\s+([\d.]+) sec\*proc \((\d+) tests?\)$")
FIGURE = re.compile(r"^figure: (.*)$")
CASES = (
    ("passed", re.compile(r"^\[ +OK \] (?:\S+: )?(\S+)")),
    ("failed", re.compile(r"^\[  (?:FAILED|ERROR) +\] (?:\S+: )?(\w+)$")),
    ("skipped", re.compile(r"^\[  SKIPPED \] (?:\S+: )?(\w+)$")),
)
# unittest -v; what a test prints may stand between the name and the verdict
UNITTEST_RAN = re.compile(r"^Ran (\d+) tests? in ")
UNITTEST_END = re.compile(r"^(?:OK|FAILED)(?: \((.*)\))?$")
UNITTEST_FAILED = re.compile(r"^(?:FAIL|ERROR): (\w+ \([\w.]+\).*)$")
UNITTEST_SKIPPED = re.compile(r"^(\w+ \([\w.]+\)).* \.\.\. skipped (.*)$")


class Program:
    """One entry of ctest and what it printed."""

    def __init__(self):
        self.name = "?"
        self.verdict = None
        self.lines = []
        self.before = []   # what it printed when it was tried first

    def count(self):
        found = {"passed": 0, "failed": [], "skipped": []}
        listing = False
        ran = None
        for line in self.lines:
            if line.startswith("[  PASSED  ]"):
                listing = True  # below, cmocka lists again what failed
            for kind, pattern in CASES:
                match = pattern.match(line)
                if match and not listing:
                    if kind == "passed":
                        found[kind] += 1
                    elif match.group(1) not in found[kind]:
                        found[kind].append(match.group(1))
            if match := UNITTEST_RAN.match(line):
                ran = int(match.group(1))
            if match := UNITTEST_FAILED.match(line):
                found["failed"].append(match.group(1))
            if match := UNITTEST_SKIPPED.match(line):
                found["skipped"].append(f"{match.group(1)}: {match.group(2)}")
            if (match := UNITTEST_END.match(line)) and ran is not None:
                counts = dict(item.split("=") for item in (match.group(1) or "").split(", ") if item)
                skipped = int(counts.get("skipped", 0))
                failed = int(counts.get("failures", 0)) + int(counts.get("errors", 0))
                found["passed"] += max(ran - skipped - failed, 0)
                while len(found["skipped"]) < skipped:
                    found["skipped"].append("(unnamed)")
                ran = None
        if self.verdict == "Skipped":
            found["skipped"].append("the whole program")
        elif self.verdict != "Passed" and not found["failed"]:
            found["failed"].append(f"the program itself ({self.verdict})")
        elif self.verdict == "Passed" and not (found["passed"] or found["failed"] or found["skipped"]):
            found["passed"] = 1
        return found


def read(path):
    """The programs of one log, and the seconds of each label."""
    programs = {}
    labels = {}
    with open(path, encoding="utf-8", errors="replace") as log:
        for text in log:
            text = text.rstrip("\n")
            if match := ENTRY.match(text):
                program = programs.setdefault(int(match.group(1)), Program())
                program.name = match.group(2)
                program.verdict = match.group(3).replace("***", "").strip() or "?"
            elif match := START.match(text):
                program = programs.setdefault(int(match.group(1)), Program())
                if program.verdict:
                    program.before, program.lines, program.verdict = program.lines, [], None
            elif match := LINE.match(text):
                programs.setdefault(int(match.group(1)), Program()).lines.append(match.group(2))
            elif match := LABEL.match(text):
                labels[match.group(1)] = float(match.group(2))
    return [program for program in programs.values() if program.name != "?"], labels


def main(arguments):
    total = {"passed": 0, "failed": 0, "skipped": 0}
    failed_names = []
    skipped_names = []
    again_names = []
    figures = []
    for argument in arguments:
        suite, _, path = argument.rpartition("=")
        counts = {"passed": 0, "failed": 0, "skipped": 0}
        programs, labels = read(path)
        for program in programs:
            found = program.count()
            counts["passed"] += found["passed"]
            counts["failed"] += len(found["failed"])
            counts["skipped"] += len(found["skipped"])
            name = f"{suite}:{program.name}" if suite else program.name
            skipped_names += [f"{name}: {case}" for case in found["skipped"]]
            figures += [f"{name}: {match.group(1)}" for match in map(FIGURE.match, program.lines) if match]
            if program.before:
                print(f"---- {name} was tried twice; the end of what it printed first:")
                print("\n".join(program.before[-60:]))
                again_names.append(name)
            if found["failed"]:
                print(f"---- {name} failed; the end of what it printed:")
                print("\n".join(program.lines[-60:]))
                failed_names += [f"{name}: {case}" for case in found["failed"]]
        if suite:
            print(f"{suite}: {counts['passed']} passed, {counts['failed']} failed, "
                  f"{counts['skipped']} skipped"
                  + "".join(f"; {label} {seconds:.0f} s" for label, seconds in sorted(labels.items())))
        if not any(counts.values()):
            print(f"{argument}: nothing ran")
            counts["failed"] += 1
        for kind, number in counts.items():
            total[kind] += number
    for figure in figures:
        print(f"figure {figure}")
    for name in again_names:
        print(f"TRIED TWICE {name}")
    for name in failed_names:
        print(f"FAILED {name}")
    for name in skipped_names:
        print(f"skipped {name}")
    print(f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped")
    return 1 if total["failed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
