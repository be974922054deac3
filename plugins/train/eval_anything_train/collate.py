"""Conversations of different lengths as one batch of tensors; the same for all families and methods."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal, Self

import torch
from torch import Tensor

from eval_anything_train.encode import Encoded

Side = Literal["left", "right"]


@dataclasses.dataclass(frozen=True)
class Batch:
    """Rows of token ids with their media."""

    inputs: dict[str, Tensor]
    """What the model takes: input_ids and attention_mask (B, L), tensors for each token, media."""
    response: Tensor
    """(B, L) bool: the answers' tokens."""
    ids: tuple[str, ...]
    """The record of each row, for messages."""
    labels: dict[str, Tensor] = dataclasses.field(default_factory=dict)
    """What a method knows of the records besides; the model is not given it."""

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def tokens(self) -> int:
        """How many there are, padding left out."""
        return int(self.inputs["attention_mask"].sum())

    def to(self, device: torch.device | str, dtype: torch.dtype) -> Self:
        """On `device`; pixels and mel frames as `dtype`, the weights' own."""
        inputs = {name: _moved(value, device, dtype) for name, value in self.inputs.items()}
        labels = {name: value.to(device) for name, value in self.labels.items()}
        return dataclasses.replace(self, inputs=inputs, response=self.response.to(device), labels=labels)

    def labelled(self, **labels: Tensor) -> Self:
        """With `labels` of its records."""
        return dataclasses.replace(self, labels={**self.labels, **labels})


def _moved(value: Tensor, device: torch.device | str, dtype: torch.dtype) -> Tensor:
    # Seconds per frame (one dimension) stay exact.
    if value.is_floating_point() and value.ndim > 1:
        return value.to(device, dtype)
    return value.to(device)


def collate(rows: Sequence[Encoded], pad: int, side: Side = "right") -> Batch:
    """`rows`, padded to the longest with token `pad`. Media follow one another in the order of the rows."""
    longest = max(len(row) for row in rows)
    ids = [_padded(row.input_ids, longest, pad, side) for row in rows]
    mask = [_padded(torch.ones_like(row.input_ids), longest, 0, side) for row in rows]
    response = [_padded(row.response, longest, 0, side) for row in rows]
    names = dict.fromkeys(name for row in rows for name in row.tokens)
    tokens = {
        name: torch.stack(
            [_padded(row.tokens.get(name, torch.zeros_like(row.input_ids)), longest, 0, side) for row in rows]
        )
        for name in names
    }
    return Batch(
        inputs={
            "input_ids": torch.stack(ids),
            "attention_mask": torch.stack(mask),
            **tokens,
            **_media(rows),
        },
        response=torch.stack(response),
        ids=tuple(row.id for row in rows),
    )


def _media(rows: Sequence[Encoded]) -> dict[str, Tensor]:
    found: dict[str, list[Tensor]] = {}
    for row in rows:
        for name, value in row.media.items():
            found.setdefault(name, []).append(value)
    return {name: _together(values) for name, values in found.items()}


def _together(values: Sequence[Tensor]) -> Tensor:
    """One after another along the first dimension; others are filled up with zeros to the longest."""
    if len({value.shape[1:] for value in values}) == 1:
        return torch.cat(list(values))
    shape = [max(value.shape[d] for value in values) for d in range(1, values[0].ndim)]
    whole = values[0].new_zeros((sum(len(value) for value in values), *shape))
    start = 0
    for value in values:
        whole[(slice(start, start + len(value)), *(slice(n) for n in value.shape[1:]))] = value
        start += len(value)
    return whole


def _padded(value: Tensor, length: int, fill: int, side: Side) -> Tensor:
    padding = value.new_full((length - len(value), *value.shape[1:]), fill)
    return torch.cat([padding, value] if side == "left" else [value, padding])
