"""The loop of training: step after step, with metrics and checkpoints, whatever a step is."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from eval_anything.errors import DataError
from eval_anything_train.feed import Feed
from eval_anything_train.manifest import Manifest, planned
from eval_anything_train.methods.base import Training
from eval_anything_train.order import Plan
from eval_anything_train.run import Run
from eval_anything_train.session import Session
from eval_anything_train.settings import Settings
from eval_anything_train.values import Record


@dataclasses.dataclass(frozen=True)
class Outcome:
    """A finished training run."""

    folder: Path
    """The trained checkpoint."""
    manifest: Manifest


def train(
    method: Training[Any, Any],
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
            _go(method, records, plan, run)
        return Outcome(run.final, run.manifest)


def _go(method: Training[Any, Any], records: Sequence[Record], plan: Plan, run: Run) -> None:
    stepper = method.stepper(records, run)
    feed = Feed(method, records, plan, run.settings, run.session.process)
    began = time.monotonic()
    for step, micros in feed.steps(run.step):
        run.session.seed(step.number)
        values = stepper.step(step, micros)
        epoch = (step.number + 1) / plan.steps_per_epoch
        run.record({"epoch": round(epoch, 6), **values, "seconds": round(time.monotonic() - began, 4)})
        if run.due:
            run.save(stepper.learners, stepper.write)
        began = time.monotonic()
    run.finish(stepper.learners, stepper.write)
