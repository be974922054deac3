"""Models as rows: what was run of each, put together; of a training run, its last checkpoint."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from eval_anything.board.check import SYNTHETIC, kind
from eval_anything.board.entry import Entry
from eval_anything.paired.scores import RunScores, TaskScores
from eval_anything.results.escape import plain
from eval_anything.results.values import CombinedResult, TaskResult


class Row(NamedTuple):
    """One model: one run, or several of different tasks."""

    name: str
    entries: tuple[Entry, ...]

    @property
    def kind(self) -> str:
        return kind(self.entries[0].scores)

    @property
    def complete(self) -> bool:
        return all(entry.scores.results.complete for entry in self.entries)

    @property
    def series(self) -> str:
        return self.entries[0].about.series

    @property
    def step(self) -> int | None:
        return self.entries[0].about.step

    @property
    def model(self) -> str:
        return plain(self.entries[0].scores.results.model)

    @property
    def created(self) -> str:
        """When the latest of its runs was made."""
        return max(entry.scores.results.created for entry in self.entries)

    @property
    def tasks(self) -> tuple[TaskScores, ...]:
        return tuple(task for entry in self.entries for task in entry.scores.tasks)

    @property
    def results(self) -> tuple[TaskResult, ...]:
        return tuple(task for entry in self.entries for task in entry.scores.results.tasks)

    def task(self, name: str) -> TaskScores | None:
        return next((task for task in self.tasks if task.plan.name == name), None)

    def result(self, name: str) -> TaskResult | None:
        return next((task for task in self.results if task.name == name), None)

    def combined(self, group: str, name: str) -> CombinedResult | None:
        found = (c for entry in self.entries for c in entry.scores.results.combined)
        return next((c for c in found if (c.group, c.name) == (group, name)), None)

    def only(self, tasks: Iterable[str]) -> RunScores:
        """Its scores on some tasks, as one run."""
        wanted = set(tasks)
        held = tuple(task for task in self.tasks if task.plan.name in wanted)
        return RunScores(results=self.entries[0].scores.results, tasks=held)


def rows(entries: Sequence[Entry]) -> list[Row]:
    """Entries of one model, name and step, and of different tasks, are one row. Where the same task was run
    twice, each run is a row of its own and bears the name of its file or folder too."""
    whole: dict[tuple[str, str, int | None, str], list[Entry]] = {}
    for entry in entries:
        key = (entry.name, entry.about.series, entry.about.step, kind(entry.scores))
        whole.setdefault(key, []).append(entry)
    found: list[Row] = []
    for (name, *_), held in whole.items():
        if len(held) == 1 or _fit(held):
            found.append(Row(name, tuple(held)))
        else:
            found += [Row(f"{name} ({entry.path.stem})", (entry,)) for entry in held]
    return _told_apart(found)


def _told_apart(found: Sequence[Row]) -> list[Row]:
    """Rows with names of their own: of one name, they say their data or series, or are counted."""
    taken: set[str] = set()
    named = []
    for row in sorted(found, key=lambda row: row.kind == SYNTHETIC):
        tries = [row.name, f"{row.name} ({row.kind} data)", f"{row.name} ({row.series or row.kind})"]
        tries += [f"{row.name} ({number})" for number in range(2, len(found) + 2)]
        name = next(name for name in tries if name not in taken)
        taken.add(name)
        named.append(row._replace(name=name))
    return named


def _fit(entries: Sequence[Entry]) -> bool:
    tasks = [task.plan for entry in entries for task in entry.scores.tasks]
    models = [
        {name: value for name, value in (plan.identity.get("model") or {}).items() if name != "params"}
        for plan in tasks
    ]
    return len({plan.name for plan in tasks}) == len(tasks) and all(model == models[0] for model in models)


def latest(found: Sequence[Row]) -> list[Row]:
    """Of every training run its last finished checkpoint, or else its last; all other rows as they are."""
    last: dict[tuple[str, str], Row] = {}
    for row in found:
        if row.series:
            key = (row.kind, row.series)
            held = last.get(key)
            if held is None or (row.complete, row.step or 0) > (held.complete, held.step or 0):
                last[key] = row
    return [row for row in found if not row.series or last[row.kind, row.series] is row]


def histories(found: Sequence[Row]) -> dict[str, list[Row]]:
    """The checkpoints of each training run, in the order of their steps."""
    series: dict[str, list[Row]] = {}
    for row in sorted((row for row in found if row.series), key=lambda row: row.step or 0):
        series.setdefault(row.series, []).append(row)
    return series
