"""Tables of rows that were measured alike: one for each kind of data and each way of measuring."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from eval_anything.board.check import KINDS, apart
from eval_anything.board.definition import Column, Definition
from eval_anything.board.numbers import Number, average, number
from eval_anything.board.ranks import Place, paired, places, winners
from eval_anything.board.rows import Row

_SHOWN = 4


class Line(NamedTuple):
    """One row of a table, in the order of the definition's titles."""

    row: Row
    numbers: tuple[Number, ...]
    places: tuple[Place | None, ...]


class Sheet(NamedTuple):
    """Rows that may be compared; the best in the ranked column first."""

    kind: str
    apart: tuple[str, ...]
    """What differs from how the first table of this kind was measured; empty: it is the first."""
    lines: tuple[Line, ...]


def sheets(rows: Sequence[Row], definition: Definition) -> list[Sheet]:
    """Real data first; rows that were measured alike on every task of the definition share a table."""
    found = []
    for kind in KINDS:
        sets = alike([row for row in rows if row.kind == kind], definition)
        for held in sets:
            reasons = () if held is sets[0] else tuple(_reasons(sets[0], held, definition))
            found.append(Sheet(kind, reasons, _lines(held, definition)))
    return found


def _tasks(row: Row, definition: Definition) -> list[str]:
    """Those of its tasks that count here: of the columns, and all where a group's number is shown."""
    wanted = {column.task for column in definition.columns}
    groups = {column.group for column in definition.columns if column.group}
    whole = any(c.group in groups for entry in row.entries for c in entry.scores.results.combined)
    return [task.plan.name for task in row.tasks if whole or task.plan.name in wanted]


def alike(rows: Sequence[Row], definition: Definition) -> list[list[Row]]:
    """Sets of rows that may share columns; the largest first. Rows with most tasks first, each put to the
    first set with which it has no conflict."""
    sets: list[list[Row]] = []
    for row in sorted(rows, key=lambda row: (-len(_tasks(row, definition)), row.name, row.created)):
        home = next((held for held in sets if not _reasons(held, [row], definition)), None)
        if home is None:
            sets.append([row])
        else:
            home.append(row)
    return sorted(sets, key=lambda held: -len(held))


def _reasons(held: Sequence[Row], others: Sequence[Row], definition: Definition) -> list[str]:
    """What keeps `others` from the table of `held`: one line for each task and difference."""
    found: dict[str, None] = {}
    for row in others:
        for name in _tasks(row, definition):
            task = row.task(name)
            there = next((t for r in held if (t := r.task(name)) is not None), None)
            if task is None or there is None:
                continue
            lines = apart(there, task, definition.ignore_settings)
            found |= {f"{name}: {line}": None for line in lines[:_SHOWN]}
            if len(lines) > _SHOWN:
                found[f"{name}: and {len(lines) - _SHOWN} more settings"] = None
    return list(found)


def _lines(rows: Sequence[Row], definition: Definition) -> tuple[Line, ...]:
    columns: list[Column | None] = list(definition.columns)
    table = [[number(row, column) for column in definition.columns] for row in rows]
    if definition.weighted:
        columns.insert(0, None)
        table = [[average(definition, numbers), *numbers] for numbers in table]
    changes = paired(rows, definition.columns)
    names = [row.name for row in rows]
    placed: list[list[Place | None]] = []
    for k, column in enumerate(columns):
        numbers = [line[k] for line in table]
        tests = {
            pair: change.get((column.task, column.metric)) if column and column.task else None
            for pair, change in changes.items()
        }
        placed.append(places(names, numbers, winners(numbers, tests)))
    lines = [
        Line(row, tuple(numbers), tuple(column[i] for column in placed))
        for i, (row, numbers) in enumerate(zip(rows, table, strict=True))
    ]
    return tuple(sorted(lines, key=lambda line: _order(line, definition)))


def _order(line: Line, definition: Definition) -> tuple[bool, bool, float, str]:
    """Ranked rows by value, then those that are unfinished, then those without a value."""
    at = definition.titles.index(definition.ranked_by)
    one = line.numbers[at]
    value = one.value if one.value is not None else 0.0
    return one.value is None, not one.finished, -value if one.higher_is_better else value, line.row.name
