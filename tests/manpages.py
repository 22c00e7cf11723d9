#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Format every man page and say what groff complains about. Exits 1 if it does."""

import pathlib
import shutil
import subprocess
import sys

PAGES = pathlib.Path(__file__).resolve().parent.parent / "docs" / "man"


def complaints(page):
    """What man says about a page, '' if nothing."""
    result = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", str(page)],
                            capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin", "MANWIDTH": "80"})
    if result.returncode != 0 and not result.stderr:
        return f"man exited {result.returncode}"
    return result.stderr


def main():
    if not shutil.which("man") or not shutil.which("groff"):
        print("man or groff is not installed")
        return 1
    bad = 0
    for page in sorted(PAGES.iterdir()):
        said = complaints(page)
        if said:
            print(f"{page.name}: {said}", end="")
            bad = 1
    return bad


if __name__ == "__main__":
    sys.exit(main())
