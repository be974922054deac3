"""The scores of a run, sample by sample: from its directory, or from a small baseline file."""

from __future__ import annotations

from pathlib import Path

import msgspec

from eval_anything.errors import DataError
from eval_anything.paired.whole import contradictions
from eval_anything.results.results import JOURNAL, MANIFEST, load, write_atomically
from eval_anything.results.scan import scan
from eval_anything.results.values import Results
from eval_anything.stats.cell import Verdict
from eval_anything.stores.manifest import TaskPlan, read_manifest

FORMAT = 1


class TaskScores(msgspec.Struct, frozen=True, kw_only=True):
    """All verdicts on one task."""

    plan: TaskPlan
    verdicts: tuple[Verdict, ...]


class RunScores(msgspec.Struct, frozen=True, kw_only=True):
    """A run as far as comparing it goes: no media, no text."""

    format: int = FORMAT
    results: Results
    tasks: tuple[TaskScores, ...]

    @property
    def name(self) -> str:
        return self.results.model

    def task(self, name: str) -> TaskScores | None:
        return next((task for task in self.tasks if task.plan.name == name), None)


def read(path: Path) -> RunScores:
    """A run's directory, or a baseline file. Raises DataError where it is neither."""
    if path.is_dir():
        return _of_run(path)
    try:
        found = msgspec.json.decode(path.read_bytes(), type=RunScores)
    except OSError as fault:
        raise DataError(f"{path}: no run and no baseline file ({fault.strerror})") from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
        raise DataError(f"{path}: not a baseline file of this version: {fault}") from None
    if found.format != FORMAT:
        raise DataError(f"{path}: a baseline of format {found.format}, this version reads {FORMAT}")
    for wrong in contradictions(found):
        raise DataError(f"{path}: damaged, or changed by hand: {wrong}")
    return found


def _of_run(folder: Path) -> RunScores:
    manifest = read_manifest(folder / MANIFEST)
    found = scan(folder / JOURNAL, manifest.tasks)
    tasks = tuple(
        TaskScores(plan=task.plan, verdicts=tuple(sorted(task.verdicts(), key=lambda v: (v.id, v.repeat))))
        for task in found.tasks.values()
    )
    return RunScores(results=load(folder), tasks=tasks)


def write_baseline(scores: RunScores, path: Path) -> Path:
    """A file that can be committed: scores and fingerprints, no media and no text. Same run, same bytes.

    Raises StorageError where it cannot be written.
    """
    return write_atomically(path, msgspec.json.encode(scores, order="deterministic") + b"\n")
