"""Whether model and judge work at the same time: together they should take as long as the slower alone.

Runs text samples through `eval_anything.evaluate` with a model and a judge that each take 0.1 s a request,
32 places each: the model alone (a judge that costs nothing), the judge alone (a model that answers at once),
and both. One after the other they would take the sum.

    python bench/overlap.py
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from tabulate import tabulate

import eval_anything

BENCH = Path(__file__).resolve().parent
SAMPLES = 1000
SLOW = {"delay_s": 0.1}


def seconds(scratch: Path, name: str, **options: Any) -> float:
    began = time.perf_counter()
    results = eval_anything.evaluate(
        tasks=["bench_text"],
        data=str(scratch / "data"),
        include=[str(BENCH / "plugins")],
        out=scratch / name,
        concurrency=32,
        **options,
    )
    assert results.tasks[0].counts.scored == SAMPLES
    return time.perf_counter() - began


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        (scratch / "data").mkdir()
        (scratch / "data" / "count.txt").write_text(str(SAMPLES))
        judge = {"judge": "fake/rater", "judge_options": {**SLOW}}
        seconds(scratch, "warm-up", model="fake/constant", judge="bench_judge")
        slow_model = {"model": "fake/constant", "model_options": SLOW}
        model_alone = seconds(scratch, "model", **slow_model, judge="bench_judge")
        judge_alone = seconds(scratch, "judge", model="fake/constant", **judge)
        both = seconds(scratch, "both", **slow_model, **judge)
    longer = max(model_alone, judge_alone)
    rows = [
        ["model alone", model_alone, model_alone / longer],
        ["judge alone", judge_alone, judge_alone / longer],
        ["both", both, both / longer],
    ]
    print(tabulate(rows, headers=["", "wall s", "of the longer alone"], floatfmt=("", ".2f", ".3f")))


if __name__ == "__main__":
    main()
