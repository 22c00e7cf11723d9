# SPDX-License-Identifier: MIT
"""Files that a script makes from what the programs say, and that are kept beside it."""

import pathlib
import sys


def keep(wanted):
    """{path: text}: write those that are not so; with --check only name them. Returns the exit code."""
    script = pathlib.Path(sys.argv[0]).name
    old = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if sys.argv[1:] == ["--check"]:
        for path in old:
            print(f"{path.name} is out of date: docs/{script} makes it anew")
        return 1 if old else 0
    for path in old:
        path.write_text(wanted[path], encoding="utf-8")
    return 0
