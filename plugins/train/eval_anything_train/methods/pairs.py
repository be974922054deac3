"""What the methods on preference pairs share: a batch holds all chosen answers, then all rejected ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from eval_anything.errors import DataError
from eval_anything.values import Part, Text
from eval_anything_train.collate import Batch, collate
from eval_anything_train.encode import Encoded
from eval_anything_train.methods.base import Method
from eval_anything_train.values import Answer, Pair, text_of

Both = tuple[Encoded, Encoded]
"""The chosen and the rejected conversation; they share the prompt's tensors."""


class PairMethod(Method[Pair, Both]):
    """A method whose records are pairs."""

    takes = Pair

    def check(self, record: Pair) -> None:
        super().check(record)
        for name, answer in sides(record).items():
            self.policy.encoder.check_answer(answer, record.id, name)
        check_pair(record)

    def encode(self, record: Pair) -> Both:
        check_pair(record)
        chosen, rejected = self.policy.encoder.conversations(record.messages, sides(record), record.id)
        return chosen, rejected

    def collate(self, items: Sequence[Both]) -> Batch:
        return collate(
            [*(chosen for chosen, _ in items), *(rejected for _, rejected in items)], self.policy.pad
        )

    def weight(self, batch: Batch) -> float:
        return len(batch) / 2


def sides(pair: Pair) -> dict[str, Answer]:
    """Both answers by the names that messages call them by."""
    return {"chosen answer": pair.chosen, "rejected answer": pair.rejected}


def check_pair(pair: Pair) -> None:
    """Raises DataError naming the record where both answers are the same: nothing is preferred then."""
    if _content(pair.chosen) == _content(pair.rejected):
        raise DataError(f"record {pair.id!r}: the chosen and the rejected answer are the same")


def _content(answer: Answer) -> tuple[str, list[Part]]:
    """However its words are divided."""
    return text_of(answer), [part for part in answer if not isinstance(part, Text)]


def halves(values: Tensor) -> tuple[Tensor, Tensor]:
    """(2B, ...) -> those of the chosen answers and those of the rejected ones."""
    chosen, rejected = values.chunk(2)
    return chosen, rejected


def agreement(chosen: Tensor, rejected: Tensor) -> dict[str, Any]:
    """How often the chosen answer is the higher one, and by how much."""
    return {
        "accuracy": (chosen > rejected).float().mean().detach(),
        "margin": (chosen - rejected).mean().detach(),
    }
