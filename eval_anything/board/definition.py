"""What a leaderboard shows: a strict TOML file, a definition that a package brings, or whatever was run."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec

from eval_anything.errors import UnknownName, UsageError
from eval_anything.gate.policy import Share
from eval_anything.paired.scores import RunScores
from eval_anything.suggest import unknown

_GROUP = "eval_anything.leaderboards"
"""Entry points whose values are paths of definition files."""


class Column(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One number of each model: a metric of a task, or a number that a group makes of several."""

    title: str
    task: str = ""
    group: str = ""
    """In place of a task."""
    metric: str = ""
    """Of the task (empty: its headline), or the name of the group's number."""
    under: str = ""
    """The heading that it shares with the columns beside it."""
    weight: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """In the average; 0: in none."""
    scale: tuple[float, float] | None = None
    """Ends of the scale, where the metric's own are not meant; a group's number has none of its own."""
    higher_is_better: bool | None = None
    """Where the metric does not say it: of a group's number; None: yes."""
    reported: str = ""
    """The metric's name among results that others report, where it differs."""
    reported_as: str = ""
    """The task or group under which others report it, where it differs."""

    @property
    def source(self) -> str:
        """The task or group."""
        return self.task or self.group


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is still accepted; the gate has the same rules."""

    max_error_rate: Share = 0.05
    max_missing_rate: Share = 0.1
    max_judge_error_rate: Share = 0.05
    allow_no_calls: bool = False


class Definition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    title: str = "Leaderboard"
    summary: str = ""
    columns: tuple[Column, ...]
    rank: str = ""
    """Title of the column by which rows are ordered; empty: the average, or else the first column."""
    average: str = "Average"
    """Title of the weighted average."""
    ignore_settings: tuple[str, ...] = ()
    """Beginnings of settings in which rows of one table may differ: "judge.model.options.base_url"."""
    limits: Limits = Limits()

    @property
    def weighted(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.weight)

    @property
    def titles(self) -> tuple[str, ...]:
        """Of all columns, the average first where there is one."""
        titles = tuple(column.title for column in self.columns)
        return (self.average, *titles) if self.weighted else titles

    @property
    def ranked_by(self) -> str:
        return self.rank or self.titles[0]


def of_runs(runs: Sequence[RunScores]) -> Definition:
    """Every number of a group, then the headline of every task, in the order of first mention."""
    columns: dict[tuple[str, str], Column] = {}
    for run in runs:
        for number in run.results.combined:
            columns.setdefault(
                (number.group, number.name),
                Column(title=number.name, group=number.group, metric=number.name, under=number.group),
            )
    under = "tasks" if columns else ""
    for run in runs:
        for task in run.results.tasks:
            column = Column(title=task.name, task=task.name, metric=task.headline.name, under=under)
            columns.setdefault((task.name, ""), column)
    return _checked(Definition(columns=_apart(columns.values())), "the runs")


def _apart(columns: Iterable[Column]) -> tuple[Column, ...]:
    """With titles of their own: that of a group's number gets its group's name where it is taken."""
    found: dict[str, Column] = {}
    for column in columns:
        title, number = column.title, 2
        while title in found:
            title, number = f"{column.source} {column.title}{'' if number == 2 else number}", number + 1
        found[title] = msgspec.structs.replace(column, title=title)
    return tuple(found.values())


def read_definition(name: str) -> Definition:
    """`name`: a TOML file, or a definition that an installed package brings.

    Raises UsageError naming the file, UnknownName for a key or a name that there is not.
    """
    path = Path(name).expanduser()
    if not path.is_file() and path.suffix != ".toml":
        path = _installed(name)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as fault:
        raise UsageError(f"--definition: {path}: {fault.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise UsageError(f"--definition: {path}: not TOML: {fault}") from None
    _check_keys(path, "", values, Definition.__struct_fields__)
    columns = values.get("columns", [])
    for number, column in enumerate(columns if isinstance(columns, list) else []):
        if isinstance(column, dict):
            _check_keys(path, f"column {number}: ", column, Column.__struct_fields__)
    try:
        found = msgspec.convert(values, Definition)
    except msgspec.ValidationError as fault:
        raise UsageError(f"--definition: {path}: {fault}") from None
    return _checked(found, str(path))


def _installed(name: str) -> Path:
    from importlib.metadata import entry_points

    points = {point.name: point for point in entry_points(group=_GROUP)}
    if name not in points:
        raise UnknownName(f"--definition: {unknown('leaderboard', name, points)}")
    path: Path = points[name].load()
    return path


def _check_keys(path: Path, where: str, values: dict[str, Any], known: Sequence[str]) -> None:
    for key in values:
        if key not in known:
            raise UnknownName(f"--definition: {path}: {where}{unknown('key', key, known)}")


def _checked(found: Definition, where: str) -> Definition:
    if not found.columns:
        raise UsageError(f"--definition: {where}: no columns")
    for column in found.columns:
        fault = _fault(column)
        if fault:
            raise UsageError(f"--definition: {where}: column {column.title!r}: {fault}")
    twice = [t for t in found.titles if found.titles.count(t) > 1]
    if twice:
        raise UsageError(f"--definition: {where}: two columns have the title {twice[0]!r}")
    if found.rank and found.rank not in found.titles:
        raise UnknownName(f"--definition: {where}: rank: {unknown('column', found.rank, found.titles)}")
    sources = [column.source for column in found.weighted]
    if len(set(sources)) < len(sources):
        # The average's interval takes its columns to be independent, which those of one task are not.
        raise UsageError(f"--definition: {where}: weight: one column of each task or group may have one")
    return found


def _fault(column: Column) -> str:
    if not column.title.strip():
        return "it has no title"
    if bool(column.task) == bool(column.group):
        return "expected either `task` or `group`"
    if column.group and not column.metric:
        return "expected `metric`, the name of the group's number"
    if column.scale is not None and not column.scale[0] < column.scale[1]:
        return "expected `scale` from low to high"
    if column.weight and column.group and column.scale is None:
        return "expected `scale`: a group's number has none of its own, and the average needs one"
    return ""
