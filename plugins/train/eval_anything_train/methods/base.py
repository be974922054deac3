"""What a training method is: which records it takes, how they become batches, and their loss."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor

from eval_anything_train.collate import Batch
from eval_anything_train.policy import Policy, save_policy
from eval_anything_train.stepper import LossStepper, Stepper
from eval_anything_train.values import Record

if TYPE_CHECKING:
    from eval_anything_train.run import Run

R = TypeVar("R", bound=Record)
Item = TypeVar("Item")
Metrics = Mapping[str, float | Tensor]
"""Numbers to be logged: means over the micro batch (tensors of no dimension, detached). A method gives the
same names for every batch."""


class Training(abc.ABC, Generic[R, Item]):
    """A way of training: how records become batches, and what a step makes of those. `Item` is what a record
    becomes: an `Encoded`, or two of them.
    """

    name: ClassVar[str]
    takes: ClassVar[type[Record]]
    """Kind of record."""
    needs_reference: ClassVar[bool] = False
    """Whether the policy's state before training is compared with."""

    def __init__(self, policy: Policy, settings: Any) -> None:
        self.policy = policy
        self.settings = settings

    @classmethod
    def check_settings(cls, settings: Any) -> None:
        """What can be known of settings before weights are loaded. Raises UsageError."""

    def check(self, record: R) -> None:
        """What can be known of a record before training begins: its media are not decoded. Raises DataError
        naming the record."""
        self.policy.encoder.check(record.messages, record.id)

    @abc.abstractmethod
    def encode(self, record: R) -> Item:
        """In a worker thread. Raises DataError naming the record."""

    @abc.abstractmethod
    def collate(self, items: Sequence[Item]) -> Batch: ...

    def read(self, records: Sequence[R]) -> Sequence[tuple[Training[Any, Any], Sequence[Record]]]:
        """Everything that is encoded in a run on `records`, and by what."""
        return [(self, records)]

    def weight(self, batch: Batch) -> float:
        """How much a micro batch counts in an optimiser step: its share of what its loss is a mean over."""
        return float(len(batch))

    def identity(self) -> dict[str, Any]:
        """What decides the result besides settings, records and the policy's checkpoint, as plain values."""
        return {}

    @abc.abstractmethod
    def stepper(self, records: Sequence[R], run: Run) -> Stepper:
        """What makes the steps of `run`."""


class Method(Training[R, Item]):
    """Training that minimises a loss.

    `module` in the signatures is `trained()` as the trainer wraps it for several processes; forward passes go
    through it.
    """

    def trained(self) -> torch.nn.Module:
        """The module whose parameters (those that require gradients) are optimised."""
        model: torch.nn.Module = self.policy.model
        return model

    @abc.abstractmethod
    def loss(self, module: torch.nn.Module, batch: Batch) -> tuple[Tensor, Metrics]:
        """The mean loss over the micro batch, and what is to be logged."""

    def save(self, module: torch.nn.Module, folder: Path) -> None:
        """Write a checkpoint that `from_pretrained` loads, with processor and chat template."""
        save_policy(self.policy, module, folder)

    def stepper(self, records: Sequence[R], run: Run) -> Stepper:
        return LossStepper(self, records, run)
