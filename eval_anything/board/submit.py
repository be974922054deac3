"""A run as a submission: checked, and kept as a small file."""

from __future__ import annotations

from pathlib import Path

from eval_anything.board.check import SYNTHETIC, conflicts, doubtful, kind, refuse_damaged
from eval_anything.board.definition import Definition, Limits
from eval_anything.board.entry import About, Entry, about, file_name, read_entry, write_entry
from eval_anything.errors import UsageError
from eval_anything.paired.scores import read

_SHOWN = 8


def submit(
    run: Path, to: Path, said: About, rules: Definition | None = None, *, replace: bool = False
) -> tuple[Path, list[str]]:
    """Write the scores of `run` into the folder `to`; returns the file, and what is to be known of it.

    `rules`: the definition whose limits and ignored settings hold. Raises UsageError where the run is not
    accepted, with every reason; DataError naming a damaged file; StorageError where it cannot be written.
    """
    scores = read(run)
    whole = about(scores, said.name, said.series, said.step)
    entry = Entry(run, scores, whole)
    refuse_damaged(entry)
    limits, ignored = (rules.limits, rules.ignore_settings) if rules else (Limits(), ())
    reasons = doubtful(entry, limits)
    path = to / file_name(scores, whole)
    others = [read_entry(one) for one in sorted(to.glob("*.json")) if one != path]
    reasons += conflicts(entry, others, ignored)
    if reasons:
        shown = "".join(f"\n  {line}" for line in reasons[:_SHOWN])
        more = f"\n  and {len(reasons) - _SHOWN} more" if len(reasons) > _SHOWN else ""
        raise UsageError(f"{run}: not accepted:{shown}{more}")
    if path.exists() and not replace:
        raise UsageError(f"{path}: {entry.name} is there already, with the same tasks (see --replace)")
    if to.exists() and not to.is_dir():
        raise UsageError(f"--to {to}: is no folder")
    to.mkdir(parents=True, exist_ok=True)
    return write_entry(scores, whole, path), _notes(entry)


def _notes(entry: Entry) -> list[str]:
    """What is accepted and must be said all the same."""
    scores = entry.scores
    notes = []
    if kind(scores) == SYNTHETIC:
        notes.append("synthetic data: shown apart, comparable with no published number")
    if kind(scores) == "path":
        notes.append("data from a folder: shown apart from what was measured on the hub's data")
    notes += [
        f"{task.plan.name}: judged by {task.plan.judge}, which is not the protocol's judge"
        for task in scores.tasks
        if not task.plan.protocol_judge
    ]
    return notes
