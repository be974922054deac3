"""Means of a step's numbers over its micro batches and all processes."""

from __future__ import annotations

import torch
from torch import Tensor

from eval_anything_train.session import Session


class Tally:
    """Sums by name, and of how many things they are. All processes give the same names in the same order."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._sums: dict[str, Tensor] = {}

    def add(self, name: str, total: Tensor | float, count: Tensor | float) -> None:
        device = self.session.device
        pair = torch.stack([torch.as_tensor(v, dtype=torch.float64, device=device) for v in (total, count)])
        self._sums[name] = self._sums[name] + pair if name in self._sums else pair

    def exchange(self) -> dict[str, tuple[float, float]]:
        """Sum and count of each name, over all processes; every one of them must call it."""
        sums: list[list[float]] = self.session.sum(torch.stack(list(self._sums.values()))).tolist()
        return {name: (total, count) for name, (total, count) in zip(self._sums, sums, strict=True)}


def means(sums: dict[str, tuple[float, float]]) -> dict[str, float]:
    """0 for the mean of nothing."""
    return {name: total / count if count else 0.0 for name, (total, count) in sums.items()}
