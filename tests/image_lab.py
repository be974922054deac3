"""Tests of text-to-image benchmarks share: folders of images as models leave them, and recorded scores."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from servers.media_files import png

import eval_anything
from eval_anything.results.values import TaskResult

PLUGIN = Path(__file__).parent / "plugins" / "recorded_scores.py"


def images(folder: Path, names: Iterable[str], suffix: str) -> Path:
    """One small image under each name."""
    content = png()
    for name in names:
        file = folder / f"{name}{suffix}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return folder


def scored(
    task: str,
    out: Path,
    data: Path,
    model: str,
    scores: Mapping[str, Sequence[float | None]],
    **options: Any,
) -> TaskResult:
    """The results of `task` on `data`, answered by `model` and judged by `scores` (by id and repeat)."""
    file = out.with_suffix(".scores.json")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(scores))
    results = eval_anything.evaluate(
        model=model,
        tasks=[task],
        data=data,
        judge="recorded_scores",
        judge_options={"file": str(file)},
        include=[PLUGIN],
        out=out,
        **options,
    )
    return results.tasks[0]


def values(result: TaskResult) -> dict[str, float | None]:
    return {metric.name: metric.value for metric in result.metrics}
