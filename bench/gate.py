"""What `eval-anything gate` costs: 10 tasks with 1,000 paired samples each, 10,000 resamples.

    python bench/gate.py

A whole process; targets: 2 s and 400 MB.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import numpy as np

from eval_anything.stats.aggregate import Means
from eval_anything.stores.manifest import Manifest, TaskPlan, write_manifest
from eval_anything.stores.rows import ResponseRow, ScoreRow
from eval_anything.values import Message, Response, Sample, Score, Text, Usage

TASKS, SAMPLES = 10, 1000


def run(folder: Path, seed: int) -> Path:
    folder.mkdir()
    plans = tuple(
        TaskPlan(
            name=f"task{t}", version="1", fingerprint="f", data="path", revision="r", planned=SAMPLES,
            aggregation=Means(overall="score", low=1, high=10), judge="rubric:m", protocol_judge=True,
        )
        for t in range(TASKS)
    )  # fmt: skip
    manifest = Manifest(created="2026-01-01T00:00:00Z", model="m/x", tasks=plans, config={}, versions={})
    write_manifest(folder / "manifest.json", manifest)
    rng = np.random.default_rng(seed)
    hard = np.random.default_rng(0).normal(5, 2, (TASKS, SAMPLES))
    with (folder / "journal.jsonl").open("wb") as file:
        for t in range(TASKS):
            for i, value in enumerate((hard[t] + rng.normal(0, 1, SAMPLES)).tolist()):
                where = {"task": f"task{t}", "id": f"s{i:05}", "repeat": 0, "fingerprint": "f", "time": 1.0}
                sample = Sample(id=where["id"], messages=(Message("user", (Text("?"),)),))
                answer = Response(parts=(Text("!"),), usage=Usage(requests=1))
                score = Score(value=value, state="scored", judge="rubric:m")
                for row in (
                    ResponseRow(**where, sample=sample, response=answer),
                    ScoreRow(**where, score=score),
                ):
                    file.write(msgspec.json.encode(row) + b"\n")
    return folder


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        base, new = run(Path(place) / "base", 1), run(Path(place) / "new", 2)
        command = [sys.executable, "-m", "eval_anything", "gate", "--candidate", str(base)]
        subprocess.run([*command, "--save-baseline", f"{place}/base.json"], check=True)
        print("| baseline | wall s (2) | CPU s | peak MB (400) |\n|---|---:|---:|---:|")
        for name, baseline in (("run directory", base), ("baseline file", f"{place}/base.json")):
            gate = [sys.executable, "-m", "eval_anything", "gate", "--baseline", str(baseline)]
            before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
            subprocess.run([*gate, "--candidate", str(new)], check=False, stdout=subprocess.DEVNULL)
            wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            print(f"| {name} | {wall:.2f} | {cpu:.2f} | {after.ru_maxrss / 1024:.0f} |", flush=True)


if __name__ == "__main__":
    main()
