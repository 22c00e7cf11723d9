#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Run one fuzz target: run.py TARGET SHARE CORPUS

$METERSTICK_FUZZ_RUNS    so many executions of all targets together, of which this one has SHARE percent
$METERSTICK_FUZZ_SECONDS or so long (default 15)
"""

import os
import pathlib
import re
import subprocess
import sys


def main():
    target, share, corpus = pathlib.Path(sys.argv[1]), float(sys.argv[2]), pathlib.Path(sys.argv[3])
    corpus.mkdir(parents=True, exist_ok=True)
    runs = os.environ.get("METERSTICK_FUZZ_RUNS")
    if runs:
        limit = f"-runs={round(int(runs) * share / 100)}"
    else:
        limit = f"-max_total_time={os.environ.get('METERSTICK_FUZZ_SECONDS', '15')}"
    command = [target, limit, "-timeout=10", "-rss_limit_mb=1500", "-print_final_stats=1", "-verbosity=0",
               f"-artifact_prefix={corpus.parent.parent}/{target.name}-", corpus]
    process = subprocess.run(command, stderr=subprocess.PIPE, text=True, errors="replace", check=False)
    print(process.stderr)
    executed = re.search(r"number_of_executed_units: (\d+)", process.stderr)
    if process.returncode == 0 and executed:
        print(f"\nfigure: {executed.group(1)} executions, 0 findings")
    return 0 if process.returncode == 0 and executed else 1


if __name__ == "__main__":
    sys.exit(main())
