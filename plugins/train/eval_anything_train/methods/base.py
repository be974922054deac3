"""What a training method is: which records it takes, how they become batches, and their loss."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor

from eval_anything_train.collate import Batch
from eval_anything_train.policy import Policy, save_policy
from eval_anything_train.values import Record

R = TypeVar("R", bound=Record)
Item = TypeVar("Item")
Metrics = Mapping[str, float | Tensor]
"""Numbers to be logged: means over the micro batch (tensors of no dimension, detached). A method gives the
same names for every batch."""


class Method(abc.ABC, Generic[R, Item]):
    """One way of training. `Item` is what a record becomes: an `Encoded`, or two of them.

    `module` in the signatures is `trained()` as the trainer wraps it for several processes; forward passes go
    through it.
    """

    name: ClassVar[str]
    takes: ClassVar[type[Record]]
    """Kind of record."""
    needs_reference: ClassVar[bool] = False
    """Whether the policy's state before training is compared with."""

    def __init__(self, policy: Policy, settings: Any) -> None:
        self.policy = policy
        self.settings = settings

    def trained(self) -> torch.nn.Module:
        """The module whose parameters (those that require gradients) are optimised."""
        model: torch.nn.Module = self.policy.model
        return model

    def check(self, record: R) -> None:
        """What can be known of a record before training begins: its media are not decoded. Raises DataError
        naming the record."""
        self.policy.encoder.check(record.messages, record.id)

    @abc.abstractmethod
    def encode(self, record: R) -> Item:
        """In a worker thread. Raises DataError naming the record."""

    @abc.abstractmethod
    def collate(self, items: Sequence[Item]) -> Batch: ...

    @abc.abstractmethod
    def loss(self, module: torch.nn.Module, batch: Batch) -> tuple[Tensor, Metrics]:
        """The mean loss over the micro batch, and what is to be logged."""

    def weight(self, batch: Batch) -> float:
        """How much a micro batch counts in an optimiser step: its share of what its loss is a mean over."""
        return float(len(batch))

    def save(self, module: torch.nn.Module, folder: Path) -> None:
        """Write a checkpoint that `from_pretrained` loads, with processor and chat template."""
        save_policy(self.policy, module, folder)
