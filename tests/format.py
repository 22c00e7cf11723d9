#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Hold sources against .clang-format: format.py FILE...

Where a line is broken and how far it is indented to line up is the author's choice, within 120 columns; spaces between
words, and everything else that clang-format knows, is not. Says what differs; exits 1 if anything does.
"""

import re
import subprocess
import sys

WIDTH = 120


def words(text):
    """The text in pieces that have no white space, each with its line; table columns and line ends do not count."""
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        line = re.sub(r"\\$", "", line)                           # a macro's line that goes on
        line = re.sub(r"(?<=[(\[])|(?=\[)", " ", line)             # a line may end behind each
        found += [(word, number) for word in line.split()]
    return found


def check(path):
    """What is wrong with a file, a line each."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > WIDTH:
            yield f"{path}:{number}: {len(line)} columns; {WIDTH} are allowed"
        if "\t" in line or line != line.rstrip():
            yield f"{path}:{number}: a tab, or white space at the end"
    formatted = subprocess.run(["clang-format", "--style=file", path], check=True, capture_output=True, text=True).stdout
    ours, theirs = words(text), words(formatted)
    for (word, number), (other, _) in zip(ours, theirs):
        if word != other:
            yield f"{path}:{number}: '{word}' should be '{other}'"
            return  # what follows is only out of step
    if len(ours) != len(theirs):
        yield f"{path}: clang-format sees other words at the end"


def main(files):
    faults = [fault for path in files for fault in check(path)]
    print("\n".join(faults), end="\n" if faults else "")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
