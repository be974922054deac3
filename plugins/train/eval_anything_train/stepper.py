"""What an optimiser step is: of a method that has a loss here, of PPO elsewhere."""

from __future__ import annotations

import abc
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

import torch
from torch import Tensor

from eval_anything.errors import DataError
from eval_anything_train.learner import Learner, NotFinite
from eval_anything_train.order import Step
from eval_anything_train.session import Session

if TYPE_CHECKING:
    from eval_anything_train.feed import Micro
    from eval_anything_train.methods.base import Method, Metrics
    from eval_anything_train.run import Run
    from eval_anything_train.values import Record

Values = dict[str, float | int | None]
"""A step's line of metrics."""
MODEL = "model"
"""Name of the learner that is the trained model."""
_NAMED = 8
"""Records that a message names at most."""


class Stepper(abc.ABC):
    """Makes the steps of one run. `learners` are what checkpoints hold."""

    def __init__(self, records: Sequence[Record], run: Run) -> None:
        self.records = records
        self.session = run.session
        self.learners: dict[str, Learner] = {}

    @abc.abstractmethod
    def step(self, step: Step, micros: Sequence[Micro]) -> Values:
        """One optimiser step; its metrics, "loss", "tokens", "records" and "skipped" among them."""

    @abc.abstractmethod
    def write(self, modules: Mapping[str, torch.nn.Module], folder: Path) -> None:
        """Write the trained checkpoint; `modules` are the learners' own, with whole weights."""

    def not_finite(self, step: Step, what: str, rows: Sequence[int]) -> NotFinite:
        names = [repr(self.records[index].id) for index in rows]
        shown = ", ".join(names[:_NAMED]) + (
            f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        )
        return NotFinite(
            f"step {step.number + 1}: {what}; nothing was updated. Records of this step: {shown}"
        )


class LossStepper(Stepper):
    """Minimises a method's loss."""

    def __init__(self, method: Method[Any, Any], records: Sequence[Record], run: Run) -> None:
        super().__init__(records, run)
        self.method = method
        self.learner = run.learner(MODEL, method.trained(), run.settings)
        self.learners = {MODEL: self.learner}
        if method.policy.frozen is not None:
            self.session.placed(method.policy.frozen)
        # Pixels and mel frames come in the precision of the weights that read them.
        self.dtype = next(p.dtype for p in self.learner.module.parameters() if p.is_floating_point())

    def write(self, modules: Mapping[str, torch.nn.Module], folder: Path) -> None:
        self.method.save(modules[MODEL], folder)

    def step(self, step: Step, micros: Sequence[Micro]) -> Values:
        weights = torch.tensor(sum(micro.weight for micro in micros), dtype=torch.float64)
        total = float(self.session.sum(weights.to(self.session.device)))
        skipped = sum(micro.skipped for micro in micros)
        if total == 0:  # all records of the step are too long: everybody passes on
            everywhere = self.session.sum(torch.tensor(skipped, device=self.session.device))
            return {"loss": None, "tokens": 0, "records": 0, "skipped": int(everywhere)}
        if self.session.division == "deepspeed":
            self._check_media(step, micros)
        sums = _Sums(self.session, len(micros))
        for number, micro in enumerate(micros):
            if micro.batch is not None:
                loss, metrics = self._gradients(micro, total, last=number == len(micros) - 1)
                sums.add(number, micro, loss, metrics, total)
        tokens, records = sum(m.tokens for m in micros), sum(m.records for m in micros)
        sums.count(tokens=tokens, records=records, skipped=skipped)
        means, counts, broken = sums.everywhere()
        if not math.isfinite(means["loss"]):
            rows = [index for number, process in broken for index in step.cells[number][process]]
            raise self.not_finite(step, f"the loss is {means['loss']}", rows)
        try:
            norm, rate = self.learner.advance(step.number)
        except NotFinite as fault:
            raise self.not_finite(step, str(fault), step.indices) from None
        loss_mean = means.pop("loss")
        return {"loss": loss_mean, "lr": rate, "grad_norm": norm, **means, **counts}

    def _check_media(self, step: Step, micros: Sequence[Micro]) -> None:
        """DeepSpeed gathers the weights of an encoder when it is used: all processes must use it, or wait for
        ever. Raises DataError."""
        kinds = [",".join(sorted(micro.batch.inputs)) if micro.batch else "" for micro in micros]
        mine = torch.tensor([crc32(kind.encode()) % 2**20 for kind in kinds], dtype=torch.float64)
        squares = self.session.sum((mine**2).to(self.session.device))
        if not torch.equal(squares * self.session.processes, self.session.sum(mine.to(squares.device)) ** 2):
            raise DataError(
                f"step {step.number + 1}: batches of several processes have different kinds of media, which "
                "DeepSpeed cannot train on: use accelerate/fsdp.yaml"
            )

    def _gradients(self, micro: Micro, total: float, *, last: bool) -> tuple[Tensor, Metrics]:
        """Forward and backward pass of a batch that counts `micro.weight` of `total`."""
        assert micro.batch is not None
        batch = micro.batch.to(self.session.device, self.dtype)
        with self.learner.accumulating(last=last):
            with self.session.autocast():
                loss, metrics = self.method.loss(self.learner.module, batch)
            # Processes average their gradients, so each counts as many times as there are.
            self.learner.backward(loss * (micro.weight * self.session.processes / total), last=last)
        return loss.detach(), metrics


class _Sums:
    """The numbers of a step, summed over its batches and over all processes in one exchange."""

    def __init__(self, session: Session, micros: int) -> None:
        self.session = session
        self.names: tuple[str, ...] = ()
        self.means: Tensor | None = None
        self.broken = torch.zeros(micros, session.processes, dtype=torch.float64, device=session.device)
        self.counts: dict[str, int] = {}

    def add(self, number: int, micro: Micro, loss: Tensor, metrics: Metrics, total: float) -> None:
        values = {"loss": loss, **metrics}
        one = torch.stack(
            [torch.as_tensor(v, dtype=torch.float64, device=loss.device) for v in values.values()]
        )
        share = one * (micro.weight / total) if micro.weight else torch.zeros_like(one)
        self.names, self.means = tuple(values), share if self.means is None else self.means + share
        if micro.weight:
            self.broken[number, self.session.process] = ~torch.isfinite(loss)

    def count(self, **counts: int) -> None:
        self.counts = counts

    def everywhere(self) -> tuple[dict[str, float], dict[str, int], list[tuple[int, int]]]:
        """Means, counts, and which (forward pass, process) has a loss that is not finite."""
        assert self.means is not None
        counts = torch.tensor(list(self.counts.values()), dtype=torch.float64, device=self.means.device)
        found = self.session.sum(torch.cat([self.means, counts, self.broken.flatten()])).tolist()
        middle, end = len(self.names), len(self.names) + len(counts)
        flags = torch.tensor(found[end:]).view(self.broken.shape)
        return (
            dict(zip(self.names, found[:middle], strict=True)),
            {name: int(value) for name, value in zip(self.counts, found[middle:end], strict=True)},
            [(int(number), int(process)) for number, process in flags.nonzero()],
        )
