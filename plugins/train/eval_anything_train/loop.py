"""Training with a method that has a loss: the loop that all of them but PPO share."""

from __future__ import annotations

import dataclasses
import math
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import torch
from torch import Tensor

from eval_anything.errors import DataError
from eval_anything_train.feed import Feed, Micro
from eval_anything_train.manifest import Manifest, planned
from eval_anything_train.methods.base import Method, Metrics
from eval_anything_train.order import Plan, Step
from eval_anything_train.run import Run
from eval_anything_train.session import Learner, NotFinite, Session
from eval_anything_train.settings import Settings
from eval_anything_train.values import Record

MODEL = "model"
"""Name of the one learner."""
_NAMED = 8
"""Records that a message names at most."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """A finished training run."""

    folder: Path
    """The trained checkpoint."""
    manifest: Manifest


def train(
    method: Method[Any, Any],
    records: Sequence[Record],
    settings: Settings,
    session: Session | None = None,
    stream: TextIO | None = sys.stderr,
) -> Outcome:
    """Train `method` on `records` into `settings.out`, or go on with an unfinished run there.

    `stream`: where progress is shown; None: nowhere. Every process of a run calls this with the same records.
    Raises DataError for records that cannot be used, RunConflict for a directory that holds another run,
    NotFinite for a loss or gradient that is no number (nothing is updated with it), StorageError for a full
    disk (the checkpoints before it stay whole).
    """
    session = session or Session(settings)
    records = records[: settings.limit]
    if not records:
        raise DataError(f"{settings.data}: no records")
    plan = Plan(
        len(records),
        settings.epochs,
        settings.batch_size,
        settings.accumulate,
        session.processes,
        settings.seed,
    )
    manifest = planned(method, records, settings, session, plan.steps)
    with Run(session, settings, manifest, stream) as run:
        if not run.finished:
            _Loop(method, records, plan, run).go()
        return Outcome(run.final, run.manifest)


class _Loop:
    def __init__(self, method: Method[Any, Any], records: Sequence[Record], plan: Plan, run: Run) -> None:
        self.method = method
        self.records = records
        self.plan = plan
        self.run = run
        self.session = run.session
        self.learner: Learner = run.learner(MODEL, method.trained(), run.settings)
        if method.policy.frozen is not None:
            method.policy.frozen.to(self.session.device)
        # Pixels and mel frames come in the precision of the weights that read them.
        self.dtype = next(p.dtype for p in self.learner.module.parameters() if p.is_floating_point())

    def go(self) -> None:
        run = self.run
        feed = Feed(self.method, self.records, self.plan, run.settings, self.session.process)
        learners = {MODEL: self.learner}
        began = time.monotonic()
        for step, micros in feed.steps(run.step):
            values = self._step(step, micros)
            epoch = (step.number + 1) / self.plan.steps_per_epoch
            run.record({"epoch": round(epoch, 6), **values, "seconds": round(time.monotonic() - began, 4)})
            if run.due:
                run.save(learners, self._write)
            began = time.monotonic()
        run.finish(learners, self._write)

    def _write(self, modules: Mapping[str, torch.nn.Module], folder: Path) -> None:
        self.method.save(modules[MODEL], folder)

    def _step(self, step: Step, micros: Sequence[Micro]) -> dict[str, float | int | None]:
        """One optimiser step; its metrics."""
        self.session.seed(step.number)
        weights = torch.tensor(sum(micro.weight for micro in micros), dtype=torch.float64)
        total = float(self.session.sum(weights.to(self.session.device)))
        skipped = sum(micro.skipped for micro in micros)
        if total == 0:  # all records of the step are too long: everybody passes on
            everywhere = self.session.sum(torch.tensor(skipped, device=self.session.device))
            return {"loss": None, "tokens": 0, "records": 0, "skipped": int(everywhere)}
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
            raise self._not_finite(step, f"the loss is {means['loss']}", rows)
        norm = float(self.learner.gradient_norm())
        if not math.isfinite(norm):
            raise self._not_finite(step, f"the gradient's norm is {norm}", step.indices)
        rate = self.learner.update(step.number)
        loss_mean = means.pop("loss")
        return {"loss": loss_mean, "lr": rate, "grad_norm": norm, **means, **counts}

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

    def _not_finite(self, step: Step, what: str, rows: Sequence[int]) -> NotFinite:
        names = [repr(self.records[index].id) for index in rows]
        shown = ", ".join(names[:_NAMED]) + (
            f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        )
        return NotFinite(
            f"step {step.number + 1}: {what}; nothing was updated. Records of this step: {shown}"
        )


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
