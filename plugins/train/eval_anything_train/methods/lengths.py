"""By how many tokens the log-probability of an answer is divided."""

from __future__ import annotations

from torch import Tensor

from eval_anything_train.collate import Batch
from eval_anything_train.methods.settings import Length


def divisor(batch: Batch, length: Length) -> Tensor:
    """(B,): the number of the answer's tokens, or of prompt and answer together."""
    if length == "answer":
        return batch.response[:, 1:].sum(dim=1)
    return batch.inputs["attention_mask"].sum(dim=1)
