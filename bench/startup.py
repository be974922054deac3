"""How long the commands take that everybody waits for.

    python bench/startup.py [--runs N] [--check]

Prints the median wall time of N runs (after one warm-up each) beside its target, in seconds. With
--check the exit code is 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

from tabulate import tabulate

PROGRAM = str(Path(sys.executable).with_name("eval-anything"))
COMMANDS: tuple[tuple[str, list[str], float], ...] = (
    ("eval-anything --help", [PROGRAM, "--help"], 0.15),
    ("eval-anything ls tasks", [PROGRAM, "ls", "tasks"], 0.3),
    ("import eval_anything", [sys.executable, "-c", "import eval_anything"], 0.05),
)


def wall_times(command: list[str], runs: int) -> list[float]:
    """Seconds of each run. Raises CalledProcessError where the command fails: its time means nothing."""
    times = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        times.append(time.perf_counter() - start)
    return times[1:]


def main() -> int:
    parser = argparse.ArgumentParser(description="Median start-up times beside their targets.")
    parser.add_argument("--runs", type=int, default=15, help="timed runs of each command (15)")
    parser.add_argument("--check", action="store_true", help="exit with 1 where a target is missed")
    options = parser.parse_args()
    # Python itself, so that a slow machine can be told from a slow program.
    commands = (("python -c pass", [sys.executable, "-c", "pass"], None), *COMMANDS)
    rows, missed = [], False
    for shown, command, target in commands:
        times = wall_times(command, options.runs)
        median = statistics.median(times)
        late = target is not None and median > target
        missed = missed or late
        rows.append((shown, median, min(times), max(times), target, "missed" if late else ""))
    print(tabulate(rows, headers=("command", "median", "min", "max", "target", ""), floatfmt=".3f"))
    return 1 if missed and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
