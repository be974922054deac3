"""What pairs are worth: how often the preferred answer is the truer one, measured by the truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from held_out import faithful

from eval_anything.synth.question_families import About
from eval_anything.values import Text
from eval_anything_train.data import source
from eval_anything_train.data.twin import Truth
from eval_anything_train.values import Pair, text_of


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


def of_pairs(data: str, truths: Sequence[Truth], about: About) -> Worth:
    """Of the pairs of data set `data` (a name as `train --data` takes it), whose ids end in the numbers of
    their rows in `truths`."""
    found = []
    for pair in source.load(data, Pair).records:
        truth = truths[int(pair.id.rpartition("-")[2])]
        question = "".join(part.text for part in pair.messages[-1].parts if isinstance(part, Text))
        rejected, chosen = (
            faithful(question, text_of(answer), truth.scene, about) for answer in (pair.rejected, pair.chosen)
        )
        found.append((rejected, chosen))
    return _worth(found)


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
