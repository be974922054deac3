"""Watching: look for whole checkpoints, score each once, add a line to the history, ask the gate."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, TextIO

import msgspec

from eval_anything.errors import RunConflict, UsageError
from eval_anything.gate.policy import Policy
from eval_anything.gate.verdict import judge
from eval_anything.paired.scores import RunScores, read
from eval_anything.run.assembly import Parts, assemble
from eval_anything.run.config import RunConfig
from eval_anything.run.directory import planned, secrets
from eval_anything.run.run import DONE, NOT_DONE, run
from eval_anything.stores.secrets import Blanks
from eval_anything.watch.checkpoints import Checkpoint, find
from eval_anything.watch.history import Entry, Gated, History, numbers

_OF_THE_MODEL = ("options", "params")
"""What of a model's identity is the same for all checkpoints; its name and its weights' hash are not."""


class Gate(msgspec.Struct, frozen=True):
    """What each checkpoint is held against."""

    baseline: RunScores
    name: str
    """Where the baseline comes from."""
    policy: Policy


class Watch:
    """Scores the checkpoints of one training run. `config.model` is a template: "hf/{path}"."""

    def __init__(
        self,
        folder: Path,
        config: RunConfig,
        history: History,
        gate: Gate | None = None,
        settle: float = 5.0,
        progress: TextIO | None = sys.stderr,
    ) -> None:
        """Raises UsageError where the template has no place for the checkpoint's path."""
        if "{path}" not in config.model:
            raise UsageError(
                f"--model-template {config.model}: it has no {{path}}, so every step is one model"
            )
        self.folder = folder
        self.config = config
        self.history = history
        self.gate = gate
        self.settle = settle
        self.progress = progress
        self._set_aside: set[str] = set()
        """Checkpoints that cannot be scored as they are; a new process looks at them again."""
        self._told: dict[str, str] = {}

    def once(self) -> int:
        """Score what is there, in the order of steps; returns the exit code of the last gate.

        Waits until checkpoints that were written just now have settled. Raises what keeps one from being
        scored.
        """
        while True:
            pending, wait = self._look()
            for checkpoint in pending:
                if self._score(checkpoint) is None:
                    return NOT_DONE
            if not pending:
                if not wait:
                    return self._last_code()
                time.sleep(wait)

    def forever(self, interval: float) -> NoReturn:
        """The same at intervals, in seconds. A checkpoint whose run ended early is tried again at the next
        look; one that cannot be used is set aside, unless none could be so far: then all would be."""
        while True:
            for checkpoint in self._look()[0]:
                try:
                    self._score(checkpoint)
                except UsageError as fault:
                    if isinstance(fault, RunConflict) or not self.history.entries:
                        raise
                    self._set_aside.add(checkpoint.name)
                    self._say(f"{checkpoint.name}: set aside: {fault}")
            time.sleep(interval)

    def _look(self) -> tuple[list[Checkpoint], float]:
        """What is to be scored, and in how many seconds more may be."""
        found = find(self.folder, self.settle)
        for name, lack in found.partial.items():
            if self._told.get(name) != lack and not self.history.knows(name):
                self._say(f"{name}: not whole yet: {lack}")
                self._told[name] = lack
        known = self._set_aside
        pending = [c for c in found.whole if c.name not in known and not self.history.knows(c.name)]
        return pending, found.settled_in

    def _score(self, checkpoint: Checkpoint) -> Entry | None:
        """None: the run ended early, and nothing is written of it; what it has done is kept in its folder."""
        model = self.config.model.replace("{path}", str(checkpoint.path))
        folder = self.history.folder / checkpoint.name
        config = msgspec.structs.replace(self.config, model=model, out=str(folder))
        self.history.hold_to(settings(assemble(config), self.config.model))
        outcome = run(config, self.progress)
        if outcome.stopped or outcome.exit_code != DONE:
            self._say(f"{checkpoint.name}: not scored: {outcome.stopped or 'no answer could be scored'}")
            return None
        entry = Entry(
            step=checkpoint.step,
            checkpoint=checkpoint.name,
            time=datetime.now(UTC).isoformat(timespec="seconds"),
            model=model,
            run=checkpoint.name,
            tasks=numbers(outcome.results),
            gate=self._gated(folder),
        )
        self.history.add(entry)
        self._say(told(entry))
        return entry

    def _gated(self, folder: Path) -> Gated | None:
        if self.gate is None:
            return None
        verdict = judge(self.gate.baseline, read(folder), self.gate.policy)
        reasons = {task.task: task.reasons for task in verdict.tasks if task.reasons}
        return Gated(verdict.outcome, verdict.exit_code, reasons, self.gate.name)

    def _last_code(self) -> int:
        """Of the last step; 3 where there is none, so that a job without checkpoints does not look passed."""
        if not self.history.entries:
            self._say(f"{self.folder}: no whole checkpoint (checkpoint-N or step-N)")
            return NOT_DONE
        last = max(self.history.entries, key=lambda entry: entry.step)
        return DONE if last.gate is None else last.gate.exit_code

    def _say(self, line: str) -> None:
        if self.progress is not None:
            print(line, file=self.progress, flush=True)


def settings(parts: Parts, template: str) -> dict[str, Any]:
    """How checkpoints are scored, as plain values without secrets: all that must not change in a history."""
    manifest = planned(parts)
    tasks = {}
    for plan in manifest.tasks:
        model = {name: plan.identity["model"].get(name) for name in _OF_THE_MODEL}
        tasks[plan.name] = {**plan.identity, "model": model, "planned": plan.planned}
    blank = Blanks(secrets(parts))
    found = {
        "template": template,
        "repeats": parts.config.repeats,
        "tasks": tasks,
    }
    plain: dict[str, Any] = msgspec.json.decode(blank(msgspec.json.encode(found)))
    return plain


def told(entry: Entry) -> str:
    """An entry in a line."""
    parts = []
    for task, metrics in entry.tasks.items():
        head = metrics[0]
        span = "" if head.low is None or head.high is None else f" [{head.low:.4g}, {head.high:.4g}]"
        parts.append(f"{task} {'-' if head.value is None else f'{head.value:.4g}'}{span}")
    gate = "" if entry.gate is None else f"; gate: {entry.gate.outcome}"
    return f"{entry.checkpoint}: {', '.join(parts)}{gate}"
