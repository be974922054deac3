"""A report of 20,000 samples: how long it takes to build, and until its first page and its samples show.

    python bench/report.py [--samples 20000]

Targets: built in 20 s; the first page shows in 1 s in Chromium.
"""

from __future__ import annotations

import argparse
import resource
import shutil
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
from eval_anything.values import Message, Reference, Response, Sample, Score, Text, Usage

WORDS = ("the", "picture", "shows", "a", "red", "circle", "and", "I", "hear", "two", "short", "beeps")


def run(folder: Path, samples: int) -> Path:
    folder.mkdir()
    groups = ("perception", "reasoning", "safety")
    plan = TaskPlan(
        name="amu", version="1", fingerprint="f", data="path", revision="r", planned=samples,
        aggregation=Means(overall="AMU", groups=groups, low=1, high=10), judge="rubric:m",
        protocol_judge=True,
    )  # fmt: skip
    manifest = Manifest(created="2026-01-01T00:00:00Z", model="m/x", tasks=(plan,), config={}, versions={})
    write_manifest(folder / "manifest.json", manifest)
    rng = np.random.default_rng(0)
    with (folder / "journal.jsonl").open("wb") as file:
        for i in range(samples):
            text = " ".join(rng.choice(WORDS, 60))
            where = {"task": "amu", "id": f"s{i:06}", "repeat": 0, "fingerprint": "f", "time": 1.0}
            sample = Sample(
                id=where["id"],
                messages=(Message("user", (Text(f"What do you see and hear in item {i}?"),)),),
                references=tuple(Reference(text=text[: 40 + k]) for k in range(10)),
                group=groups[i % 3],
            )
            answer = Response(parts=(Text(text),), usage=Usage(requests=1, output_tokens=60), seconds=0.4)
            score = Score(
                value=float(rng.integers(1, 11)),
                state="scored",
                judge="rubric:m",
                details={"replies": [text]},
            )
            for row in (ResponseRow(**where, sample=sample, response=answer), ScoreRow(**where, score=score)):
                file.write(msgspec.json.encode(row) + b"\n")
    return folder


def shown(page: Path) -> dict[str, float]:
    """Seconds from asking for a page to its first content and to the end of loading, in Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        tab = browser.new_page()
        tab.goto("about:blank")
        began = time.perf_counter()
        tab.goto(page.as_uri())
        loaded = time.perf_counter() - began
        tab.goto((page.parent / "samples" / "amu.html").as_uri())
        began = time.perf_counter()
        tab.goto((page.parent / "samples" / "amu.html").as_uri() + "#id=s010000")
        tab.reload()
        tab.wait_for_selector("#sample .run")
        sample = time.perf_counter() - began
        tab.fill("#query", "item 12345?")
        began = time.perf_counter()
        while tab.locator("#list a").count() != 1:
            time.sleep(0.005)
        searched = time.perf_counter() - began
        browser.close()
    return {"first page": loaded, "samples, at one by permalink": sample, "search among all": searched}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=20_000)
    samples = parser.parse_args().samples
    with tempfile.TemporaryDirectory() as place:
        folder, out = run(Path(place) / "run", samples), Path(place) / "site"
        command = [
            sys.executable,
            "-m",
            "eval_anything",
            "report",
            str(folder),
            "--format",
            "html",
            "--out",
            str(out),
        ]
        began = time.perf_counter()
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        wall, used = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
        print(f"| {samples:,} samples | s |\n|---|---:|")
        cost = f"{used.ru_maxrss / 1024:.0f} MB at most, {size / 1e6:.0f} MB on disk"
        print(f"| report built (20), {cost} | {wall:.1f} |")
        for name, seconds in (shown(out / "index.html") if shutil.which("chromium") else {}).items():
            print(f"| {name} shown{' (1)' if name == 'first page' else ''} | {seconds:.2f} |")


if __name__ == "__main__":
    main()
