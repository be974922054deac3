"""Numbers that others report, in tables of their own: never among those that were measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from eval_anything.board.definition import Column
from eval_anything.registry import Plugins
from eval_anything.reported import Reported, Source

MARKS = {"published": "", "recomputed": "\u2020", "presumed": "\u2021"}
MEANINGS = {
    "published": "as the source prints it",
    "recomputed": "computed here from printed numbers",
    "presumed": "printed; what it stands for is this project's reading of the source",
}


class Table(NamedTuple):
    """What one source says under one profile."""

    source: Source
    profile: str
    titles: tuple[str, ...]
    """Of the columns that it has a number for."""
    rows: tuple[tuple[str, tuple[Reported | None, ...]], ...]
    """Model, with how it was made; and its numbers."""

    @property
    def numbers(self) -> list[Reported]:
        return [one for _, held in self.rows for one in held if one is not None]

    @property
    def statuses(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(one.status for one in self.numbers))


def installed() -> tuple[Reported, ...]:
    """All that installed packages bring."""
    registry = Plugins().reported
    return tuple(row for name in registry.names() for row in registry.get(name)().results())


def tables(every: Iterable[Reported], columns: Sequence[Column]) -> list[Table]:
    """Those of `columns`, one table for each source and profile, in the order of the sources."""
    wanted = {
        (column.reported_as or column.source, column.reported or column.metric): column.title
        for column in columns
    }
    found: dict[tuple[Source, str], dict[tuple[str, str], Reported]] = {}
    for one in every:
        title = wanted.get((one.task, one.metric))
        if title is not None:
            label = ", ".join(filter(None, (one.model, one.setting)))
            found.setdefault((one.source, one.profile), {})[label, title] = one
    order = [column.title for column in columns]
    return [_table(source, profile, cells, order) for (source, profile), cells in found.items()]


def _table(
    source: Source, profile: str, cells: dict[tuple[str, str], Reported], order: Sequence[str]
) -> Table:
    titles = tuple(title for title in order if any(t == title for _, t in cells))
    models = dict.fromkeys(model for model, _ in cells)
    rows = tuple((model, tuple(cells.get((model, title)) for title in titles)) for model in models)
    return Table(source, profile, titles, rows)
