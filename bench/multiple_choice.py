"""How long 20,000 multiple-choice questions about audio take with a model that answers at once.

Writes AIR-Bench's foundation half with that many rows, each with a recording of its own on disk (hard links
to a few short WAV, MP3 and FLAC files), and measures whole processes, start-up included:

    run        every row read and checked, every recording checked and kept, asked, judged, averaged
    resume     the same command again on the finished run
    rebuild    `report` after results.json was removed: results from the journal alone

Prints wall and CPU seconds, milliseconds of CPU for each question, and the largest resident set. To be
reached: 30 s and 500 MB for 20,000.

    python bench/multiple_choice.py            20,000 questions, half a minute
    python bench/multiple_choice.py --n 2000   fewer
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from overhead import measure
from tabulate import tabulate

from eval_anything.tasks.air_bench.data import FOUNDATION_HALF
from eval_anything.tasks.air_bench.twin import foundation_rows, write_recording

SOURCES = 24
LIMIT_S, LIMIT_MB = 30, 500


def write_data(folder: Path, n: int) -> None:
    """The half's JSON, and for each row a name of its own for one of SOURCES recordings of its form."""
    (folder / FOUNDATION_HALF.name).mkdir(parents=True)
    sources: dict[str, list[Path]] = {".wav": [], ".mp3": [], ".flac": []}
    rows = []
    for number, (row, drawn) in enumerate(foundation_rows(n, 0)):
        rows.append(row)
        place = folder / FOUNDATION_HALF.name / f"{row['task_name']}_{row['dataset_name']}"
        place.mkdir(exist_ok=True)
        flac = row["task_name"] == "Audio_Grounding"
        path = place / row["path"]
        path = path.with_suffix(".flac") if flac else path
        known = sources[path.suffix]
        if len(known) < SOURCES:
            write_recording(path, drawn, flac=flac)
            known.append(path)
        else:
            os.link(known[number % SOURCES], path)
    (folder / FOUNDATION_HALF.file).write_text(json.dumps(rows))


def table(n: int, scratch: Path) -> list[list[object]]:
    data, out = scratch / "data", scratch / "run"
    write_data(data, n)
    eval_anything = [sys.executable, "-m", "eval_anything"]
    run = [*eval_anything, "run", "--model", "fake/constant", "-M", "reply=A", "--quiet"]
    run += ["--tasks", "air_bench_foundation", "--data", str(data), "--out", str(out)]
    found = []
    for what in ("run", "resume", "rebuild"):
        command = run
        if what == "rebuild":
            (out / "results.json").unlink()
            command = [*eval_anything, "report", str(out)]
        wall, cpu, peak = measure(command)
        found.append([f"{n:,} questions", what, wall, cpu, 1000 * cpu / n, peak])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="What multiple-choice questions about audio cost.")
    parser.add_argument("--n", type=int, default=20_000, help="questions")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        rows = table(args.n, Path(scratch))
    headers = ["load", "what", "wall s", "CPU s", "CPU ms/question", "peak MB"]
    print(tabulate(rows, headers=headers, floatfmt=("", "", ".2f", ".2f", ".3f", ".0f")))
    print(f"\nto reach: {LIMIT_S} s and {LIMIT_MB} MB for the run of 20,000")


if __name__ == "__main__":
    main()
