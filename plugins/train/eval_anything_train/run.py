"""The directory of a training run: new, resumed, or refused; its metrics, checkpoints and end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self, TextIO

import msgspec
import torch

from eval_anything.errors import StorageError
from eval_anything_train import state
from eval_anything_train.checkpoint import checkpoints, name_of, prune, sweep, write_folder
from eval_anything_train.learner import Learner
from eval_anything_train.manifest import Manifest, check_out, check_same, now, read_manifest, write_manifest
from eval_anything_train.metrics import Metrics
from eval_anything_train.progress import Progress
from eval_anything_train.session import Session
from eval_anything_train.settings import Settings

Write = Callable[[Mapping[str, torch.nn.Module], Path], None]
"""Writes the models of a checkpoint, given each learner's module with whole weights, into a folder."""


class Run:
    """What the processes of a run share on disk; the main one writes.

        with Run(session, settings, manifest) as run:
            learners = {"model": run.learner("model", module, settings)}
            for step in range(run.step, manifest.steps):
                ...
                run.record(values)
                if run.due: run.save(learners, write)
            run.finish(learners, write)

    A finished run is `finished` from the start, and nothing is to be done.
    """

    def __init__(
        self,
        session: Session,
        settings: Settings,
        manifest: Manifest,
        stream: TextIO | None = sys.stderr,
    ) -> None:
        """Raises RunConflict where `settings.out` holds another run or none, or another process is at work
        there; StorageError where it cannot be written."""
        self.session = session
        self.settings = settings
        self.folder = Path(settings.out)
        self.final = self.folder / "final"
        """Where the trained checkpoint will be."""
        self.manifest = manifest
        self._metrics = self._open() if session.main else None
        try:
            self._begin(session, stream)
        except BaseException:
            self._close()
            raise

    def _begin(self, session: Session, stream: TextIO | None) -> None:
        session.wait()  # until the main process has looked at the directory
        self.finished = self.final.is_dir()
        """Whether an earlier session has done it all."""
        found = checkpoints(self._checkpoints)
        self.resumed: Path | None = found[-1][1] / "trainer" if found and not self.finished else None
        self.step = self.manifest.steps if self.finished else 0
        """Optimiser steps done."""
        if self.resumed is not None:
            self.step = state.read_state(self.resumed).step
        self._progress = Progress(
            self.manifest.steps, self.step, self.settings.log_every, stream if session.main else None
        )
        if self._metrics is not None:
            self._metrics.cut(self.step)
            if self.finished and self.manifest.finished is None:  # killed between final/ and the manifest
                self._say_finished(self._metrics)

    @property
    def _checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    def _open(self) -> Metrics:
        check_out(self.folder)
        try:
            self._checkpoints.mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            raise StorageError(f"{self.folder}: cannot be written: {fault.strerror}") from fault
        metrics = Metrics(self.folder)  # from here on no other process is at work here
        try:
            old = read_manifest(self.folder)
            if old is not None:
                check_same(self.folder, old, self.manifest)
                again = () if old.finished else (now(),)
                self.manifest = msgspec.structs.replace(
                    self.manifest,
                    started=old.started,
                    finished=old.finished,
                    resumed=(*old.resumed, *again),
                    skipped=old.skipped,
                    metrics=old.metrics,
                )
            sweep(self.folder)
            sweep(self._checkpoints)
            write_manifest(self.folder, self.manifest)
        except BaseException:
            metrics.close()
            raise
        return metrics

    def __enter__(self) -> Self:
        self._progress.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.__exit__()
        self._close()

    def _close(self) -> None:
        if self._metrics is not None:
            self._metrics.close()

    def learner(self, name: str, module: torch.nn.Module, settings: Settings) -> Learner:
        """`module` with an optimiser, both as the newest checkpoint has them, if there is one."""
        if self.resumed is not None:
            state.load_weights(self.resumed, name, module)
        learner = self.session.learner(module, settings, self.manifest.steps)
        if self.resumed is not None:
            learner.restore(state.Saved(self.resumed, name))
        return learner

    def record(self, values: Mapping[str, Any]) -> None:
        """The line of metrics of a step that is done; counts it."""
        self.step += 1
        line = {"step": self.step, **values}
        if self._metrics is not None:
            self._metrics.append(line)
        self._progress.stepped(line)

    @property
    def due(self) -> bool:
        """Whether a checkpoint is to be written after this step."""
        return bool(self.settings.save_every) and self.step % self.settings.save_every == 0

    def save(self, learners: Mapping[str, Learner], write: Write) -> None:
        """Write a checkpoint, all of it or nothing; every process must call it. Raises StorageError."""
        gathered = {
            name: state.Gathered(
                learner.kept(learner.weights(trained=True)), learner.kept(learner.averages())
            )
            for name, learner in learners.items()
        }
        modules = {name: learner.whole_module() for name, learner in learners.items()}
        if self._metrics is not None:
            self._metrics.sync()

            def fill(folder: Path) -> None:
                write(modules, folder)
                position = state.State(step=self.step, data=self.manifest.data)
                state.write_state(folder / "trainer", position, gathered)

            write_folder(self._checkpoints / name_of(self.step), fill)
            prune(self._checkpoints, self.settings.keep)
        self.session.wait()

    def finish(self, learners: Mapping[str, Learner], write: Write) -> None:
        """Write `final/` and say in the manifest that the run is done."""
        modules = {name: learner.whole_module() for name, learner in learners.items()}
        if self._metrics is not None:
            self._metrics.sync()
            write_folder(self.final, lambda folder: write(modules, folder))
            self._say_finished(self._metrics)
        self.session.wait()

    def _say_finished(self, metrics: Metrics) -> None:
        self.manifest = msgspec.structs.replace(
            self.manifest, finished=now(), skipped=metrics.skipped, metrics=metrics.last
        )
        write_manifest(self.folder, self.manifest)
