"""What pairs are worth: how often the preferred answer is the truer one, measured by the truth."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from held_out import faithful

from eval_anything.synth.question_families import About
from eval_anything_train.data.twin import Truth, read_truth


class Worth(NamedTuple):
    """Of the pairs of one training set."""

    pairs: int
    rejected: float
    """How far the rejected answers are true, 0..1, on average."""
    chosen: float
    better: float
    """Share of pairs whose chosen answer is truer."""
    worse: float

    def __str__(self) -> str:
        rest = max(0.0, 1 - self.better - self.worse)
        return (
            f"{self.pairs} | {self.rejected:.3f} | {self.chosen:.3f} | {100 * self.better:.0f} %"
            f" | {100 * rest:.0f} % | {100 * self.worse:.0f} %"
        )


HEADER = "\n".join(
    ("| pairs of | pairs | rejected | chosen | chosen truer | as true | less true |", f"|{'---|' * 7}")
)


def of_llf(folder: Path, twin: Path, short: str, about: About) -> Worth:
    """Of the pairs that `train llf` left in `folder`; the prompts are those of `twin`."""
    truths = read_truth(twin, short)
    return _worth(list(_judged(folder / "pairs" / "pairs.jsonl", truths, about)))


def of_annotator(twin: Path, short: str) -> Worth:
    """Of the annotator's own preferences: whose named winner has fewer and lighter mistakes."""
    found = []
    for truth in read_truth(twin, short):
        chosen, rejected = truth.replies[truth.named - 1], truth.replies[2 - truth.named]
        found.append((1 / (1 + rejected.loss), 1 / (1 + chosen.loss)))
    return _worth(found)


def _judged(path: Path, truths: list[Truth], about: About) -> Iterator[tuple[float, float]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        truth = truths[int(row["id"].rpartition("-")[2])]
        question = " ".join(p["text"] for p in row["messages"][-1]["parts"] if p["type"] == "text")
        rejected, chosen = (
            faithful(question, _text(row[side]), truth.scene, about) for side in ("rejected", "chosen")
        )
        yield rejected, chosen


def _text(answer: str | list[dict[str, str]]) -> str:
    return answer if isinstance(answer, str) else " ".join(part.get("text", "") for part in answer)


def _worth(values: list[tuple[float, float]]) -> Worth:
    count = len(values)
    if not count:
        return Worth(0, 0.0, 0.0, 0.0, 0.0)
    return Worth(
        count,
        sum(rejected for rejected, _ in values) / count,
        sum(chosen for _, chosen in values) / count,
        sum(chosen > rejected for rejected, chosen in values) / count,
        sum(chosen < rejected for rejected, chosen in values) / count,
    )
