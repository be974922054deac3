"""What the methods on preference pairs share: a batch holds all chosen answers, then all rejected ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from eval_anything.errors import DataError
from eval_anything_train.collate import Batch, collate
from eval_anything_train.encode import Encoded, check_answer
from eval_anything_train.methods.base import Method
from eval_anything_train.values import Pair, text_of

Both = tuple[Encoded, Encoded]
"""The chosen and the rejected conversation; they share the prompt's tensors."""


class PairMethod(Method[Pair, Both]):
    """A method whose records are pairs."""

    takes = Pair

    def check(self, record: Pair) -> None:
        super().check(record)
        check_pair(record)

    def encode(self, record: Pair) -> Both:
        check_pair(record)
        encoder = self.policy.encoder
        prompt = encoder.prompt(record.messages, record.id)
        return (
            encoder.answered(prompt, record.chosen, "chosen answer"),
            encoder.answered(prompt, record.rejected, "rejected answer"),
        )

    def collate(self, items: Sequence[Both]) -> Batch:
        return collate(
            [*(chosen for chosen, _ in items), *(rejected for _, rejected in items)], self.policy.pad
        )

    def weight(self, batch: Batch) -> float:
        return len(batch) / 2


def check_pair(pair: Pair) -> None:
    """Raises DataError naming the record where an answer is empty or no text, or where both are the same:
    nothing is preferred then."""
    check_answer(pair.chosen, pair.id, "chosen answer")
    check_answer(pair.rejected, pair.id, "rejected answer")
    if text_of(pair.chosen) == text_of(pair.rejected):
        raise DataError(f"record {pair.id!r}: the chosen and the rejected answer are the same")


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
