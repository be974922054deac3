"""Reported results as plain tables, one for each table of a source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from eval_anything.results.escape import plain

if TYPE_CHECKING:
    from eval_anything.reported import Reported


def reported_text(rows: Sequence[Reported]) -> str:
    """Each source's tables with the models as rows, the scale, and the remarks below; no trailing newline."""
    tables: dict[tuple[str, ...], list[Reported]] = {}
    for row in rows:
        key = (row.source.title, row.source.where, row.profile, row.status, str((row.low, row.high)))
        tables.setdefault(key, []).append(row)
    return "\n\n".join(_table(table) for table in tables.values())


def _table(rows: Sequence[Reported]) -> str:
    from tabulate import tabulate

    numbers = {((row.metric, row.setting), row.model): row.value for row in rows}
    columns = list(dict.fromkeys(column for column, _ in numbers))
    models = list(dict.fromkeys(model for _, model in numbers))
    decimals = {
        metric: decimals_of([row.value for row in rows if row.metric == metric]) for metric, _ in columns
    }

    def cell(column: tuple[str, str], model: str) -> str:
        value = numbers.get((column, model))
        return "" if value is None else f"{value:.{decimals[column[0]]}f}"

    names = [plain(", ".join(filter(None, column))) for column in columns]
    if len(columns) > len(models):  # what is longer goes down the page
        headers = ["metric", *map(plain, models)]
        body = [
            [name, *(cell(column, model) for model in models)]
            for name, column in zip(names, columns, strict=True)
        ]
    else:
        headers = ["model", *names]
        body = [[plain(model), *(cell(column, model) for column in columns)] for model in models]
    align = ["left", *["right"] * (len(headers) - 1)]
    lines = [_heading(rows[0]), tabulate(body, headers, "simple", colalign=align, disable_numparse=True)]
    return "\n".join([*lines, *remarks(rows)])


def decimals_of(values: Sequence[float]) -> int:
    """A source prints all numbers of a metric to the same number of decimals: 6.0 beside 5.95 is 6.00."""
    return max(len(repr(value).partition(".")[2]) for value in values)


def _heading(row: Reported) -> str:
    ends = ("open" if end is None else f"{end:g}" for end in (row.low, row.high))
    facts = [row.status, f"scale {' to '.join(ends)}", *([f"profile {row.profile}"] if row.profile else [])]
    return plain(f"{row.source.title}, {row.source.where} ({'; '.join(facts)})")


def remarks(rows: Sequence[Reported]) -> list[str]:
    """What holds for all numbers once, anything else with the number that it is about."""
    said = {row.remarks for row in rows}
    if len(said) == 1:
        return [plain(remark) for remark in said if remark]
    return [
        plain(f"{', '.join(filter(None, (row.model, row.metric, row.setting)))}: {row.remarks}")
        for row in rows
        if row.remarks
    ]
