"""Which records make up each optimiser step. Nothing is drawn while training: a step's number says it all."""

from __future__ import annotations

import dataclasses
import functools
import math
import random

Cell = tuple[int, ...]
"""Indices of the records of one forward pass of one process; may be empty in an epoch's last step."""


@dataclasses.dataclass(frozen=True)
class Step:
    """One optimiser step."""

    number: int
    """From 0."""
    epoch: int
    """From 0."""
    cells: tuple[tuple[Cell, ...], ...]
    """[forward pass][process]."""

    @property
    def indices(self) -> tuple[int, ...]:
        """All its records."""
        return tuple(index for passes in self.cells for cell in passes for index in cell)


@dataclasses.dataclass(frozen=True)
class Plan:
    """The order of `records` records over all epochs.

    A step has the same records however `batch_size * accumulate * processes` comes about. Each record is seen
    once in an epoch; an epoch's last step has what is left.
    """

    records: int
    epochs: int
    batch_size: int
    """Records in one forward pass of one process."""
    accumulate: int = 1
    """Forward passes of one process in a step."""
    processes: int = 1
    seed: int = 0

    @property
    def records_per_step(self) -> int:
        return self.batch_size * self.accumulate * self.processes

    @property
    def steps_per_epoch(self) -> int:
        return math.ceil(self.records / self.records_per_step)

    @property
    def steps(self) -> int:
        return self.epochs * self.steps_per_epoch

    def step(self, number: int) -> Step:
        """Step `number`, from 0."""
        epoch, place = divmod(number, self.steps_per_epoch)
        start = place * self.records_per_step
        chosen = shuffled(self.records, self.seed, epoch)[start : start + self.records_per_step]
        size = self.batch_size
        width = size * self.processes
        cells = tuple(
            tuple(chosen[first + p * size : first + (p + 1) * size] for p in range(self.processes))
            for first in range(0, len(chosen), width)
        )
        return Step(number, epoch, cells)


@functools.lru_cache(maxsize=2)
def shuffled(count: int, seed: int, epoch: int) -> tuple[int, ...]:
    """The numbers below `count` in the order of an epoch."""
    order = list(range(count))
    random.Random(f"{seed}/{epoch}").shuffle(order)
    return tuple(order)
