"""What stands on a leaderboard: a run, or the small file that `leaderboard add` made of one."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import NamedTuple

import msgspec

from eval_anything.errors import DataError, UsageError
from eval_anything.paired.scores import RunScores, read, write_baseline
from eval_anything.report.strings import slug
from eval_anything.results.escape import plain
from eval_anything.results.results import MANIFEST

_STEP = re.compile(r"(?:.*[-_.])?(?:checkpoint|step|slice|iter|iteration)[-_]?(\d{1,15})")


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What a submission says of itself beside its scores."""

    name: str = ""
    """As it is shown; empty: the model's spec."""
    series: str = ""
    """The training run of which it is a checkpoint."""
    step: int | None = None


class Submission(RunScores, frozen=True, kw_only=True):
    """A baseline file with what the leaderboard shows of it; `compare` and `gate` read it like any other."""

    about: About = About()


class _AboutOnly(msgspec.Struct, frozen=True):
    about: About = About()


class Entry(NamedTuple):
    path: Path
    scores: RunScores
    about: About

    @property
    def name(self) -> str:
        """As it is shown, without marks that could disguise it; that of a checkpoint says its step."""
        model, said = self.scores.results.model, self.about
        if said.step is None or (not said.name and checkpoint(model)):
            return _tame(said.name or model)
        return f"{_tame(said.name or said.series)} (step {said.step:,})"


def _tame(name: str) -> str:
    return plain(name).strip() or "unnamed"


def checkpoint(model: str) -> tuple[str, int] | None:
    """Series and step of a model spec that ends in a checkpoint: hf//out/checkpoint-500, hf//out/slice_5."""
    parent, _, last = model.rstrip("/").rpartition("/")
    found = _STEP.fullmatch(last)
    return (parent.rstrip("/"), int(found.group(1))) if found and parent.strip("/") else None


def about(scores: RunScores, name: str = "", series: str = "", step: int | None = None) -> About:
    """What is given, and else what the model's spec says. Raises UsageError for half of it."""
    if bool(series) != (step is not None):
        raise UsageError("--series and --step go together")
    known = checkpoint(scores.results.model)
    if not series and known:
        series, step = known
    return About(name=name, series=_tame(series) if series else "", step=step)


def read_entry(path: Path) -> Entry:
    """A run's directory or a file of scores. Raises DataError naming what is damaged."""
    scores = read(path)
    if path.is_dir():
        return Entry(path, scores, about(scores))
    try:
        said = msgspec.json.decode(path.read_bytes(), type=_AboutOnly).about
    except msgspec.ValidationError as fault:
        raise DataError(f"{path}: not a submission: {fault}") from None
    if bool(said.series) != (said.step is not None):
        raise DataError(f"{path}: about: `series` and `step` go together")
    return Entry(path, scores, about(scores, said.name, said.series, said.step))


def read_entries(folder: Path) -> list[Entry]:
    """All runs in `folder`, at whatever depth, and all files of scores right in it, in the order of names.

    Raises UsageError where there is none, DataError naming a file that is damaged.
    """
    if not folder.is_dir():
        raise UsageError(f"--runs {folder}: no such folder")
    if (folder / MANIFEST).is_file():
        raise UsageError(f"--runs {folder}: is a run itself; expected the folder that holds it")
    paths = [p for p in folder.glob("*.json") if p.is_file() and not p.name.startswith(".")]
    for place, inner, files in os.walk(folder):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        if MANIFEST in files:
            inner.clear()
            paths.append(Path(place))
    if not paths:
        raise UsageError(f"--runs {folder}: no run and no file of scores in it")
    return [read_entry(path) for path in sorted(paths)]


def file_name(scores: RunScores, said: About) -> str:
    """The same for the same model, step and tasks; nothing of a name but letters, digits and dashes."""
    name = said.name or scores.results.model
    tasks = sorted(task.plan.name for task in scores.tasks)
    key = hashlib.sha256(msgspec.json.encode([name, said.series, said.step, tasks])).hexdigest()[:8]
    step = "" if said.step is None else f"-step-{said.step}"
    return f"{slug(name)}{step}-{key}.json"


def write_entry(scores: RunScores, said: About, path: Path) -> Path:
    """Raises StorageError where it cannot be written."""
    whole = Submission(results=scores.results, tasks=scores.tasks, about=said)
    return write_baseline(whole, path)
