"""What the harness itself costs: a model that answers at once, journals of many samples, memory.

Each figure is of a whole process of `eval-anything run` (start-up included), or of reading a journal back:

    CPU ms/sample   user and system time of the process, divided by the samples
    peak MB         its largest resident set
    resume          the same command again on the finished run: every row read, nothing asked
    rebuild         `report` on the run after results.json was removed: results from the journal alone

    python bench/overhead.py            10,000 and 100,000 samples, about a minute
    python bench/overhead.py --quick    10,000 only
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tabulate import tabulate

BENCH = Path(__file__).resolve().parent


def measure(command: list[str]) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds and peak MB of one process. Raises SystemExit where it fails."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    told = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)}\n{told.decode()}")
    return time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def rows(samples: int, scratch: Path) -> list[list[object]]:
    data, out = scratch / f"data{samples}", scratch / f"run{samples}"
    data.mkdir()
    (data / "count.txt").write_text(str(samples))
    eval_anything = [sys.executable, "-m", "eval_anything"]
    run = [*eval_anything, "run", "--model", "fake/constant", "--include", str(BENCH / "plugins")]
    run += [
        "--tasks",
        "bench_text",
        "--data",
        str(data),
        "--judge",
        "bench_judge",
        "--out",
        str(out),
        "--quiet",
    ]
    found = []
    for what in ("run", "resume", "rebuild"):
        command = run
        if what == "rebuild":
            (out / "results.json").unlink()
            command = [*eval_anything, "report", str(out)]
        wall, cpu, peak = measure(command)
        found.append([f"{samples:,} samples", what, wall, cpu, 1000 * cpu / samples, peak])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="What the harness itself costs.")
    parser.add_argument("--quick", action="store_true", help="10,000 samples only")
    args = parser.parse_args()
    table: list[list[object]] = []
    with tempfile.TemporaryDirectory() as scratch:
        for samples in (10_000,) if args.quick else (10_000, 100_000):
            table += rows(samples, Path(scratch))
    headers = ["load", "what", "wall s", "CPU s", "CPU ms/sample", "peak MB"]
    print(tabulate(table, headers=headers, floatfmt=("", "", ".2f", ".2f", ".3f", ".0f")))


if __name__ == "__main__":
    main()
