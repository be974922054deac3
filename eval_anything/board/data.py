"""The same as the pages say, for programs: JSON values of the leaderboard."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from eval_anything.board.definition import Definition
from eval_anything.board.numbers import Number, number
from eval_anything.board.pages import Board, title_of
from eval_anything.board.published import Table
from eval_anything.board.ranks import Place
from eval_anything.board.rows import Row
from eval_anything.board.sheets import Line, Sheet
from eval_anything.report.script import literal
from eval_anything.report.strings import tamed

FORMAT = 1


def write(path: Path, value: dict[str, Any]) -> None:
    """Strings are tamed as in a report's files, and nothing in them can be taken for a tag."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(literal(tamed({"format": FORMAT, **value})).decode() + "\n", encoding="utf-8")


def index(board: Board) -> dict[str, Any]:
    return {
        "title": board.definition.title,
        "ranked_by": board.definition.ranked_by,
        "columns": msgspec.to_builtins(board.definition.columns),
        "tables": [_sheet(sheet, board) for sheet in board.sheets],
        "reported": [reported(table) for table in board.reported],
        "series": {name: {"page": page} for name, page in board.runs.items()},
        "left_out": [one._asdict() for one in board.left_out],
    }


def _sheet(sheet: Sheet, board: Board) -> dict[str, Any]:
    return {
        "title": title_of(sheet),
        "data": sheet.kind,
        "measured_otherwise": list(sheet.apart),
        "rows": [
            {**line_of(line, board.definition), "page": board.models[line.row.name]} for line in sheet.lines
        ],
    }


def line_of(line: Line, definition: Definition) -> dict[str, Any]:
    numbers = {
        title: {**_number(one), **_place(place)}
        for title, one, place in zip(definition.titles, line.numbers, line.places, strict=True)
    }
    return {**_row(line.row), "numbers": numbers}


def _row(row: Row) -> dict[str, Any]:
    return {
        "name": row.name,
        "model": row.model,
        "series": row.series or None,
        "step": row.step,
        "created": row.created,
        "data": row.kind,
        "complete": row.complete,
    }


def _number(one: Number) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(one)
    return found


def _place(place: Place | None) -> dict[str, Any]:
    if place is None:
        return {"rank": None}
    return {"rank": [place.first, place.last], "better": list(place.better), "worse": list(place.worse)}


def reported(table: Table) -> dict[str, Any]:
    return {
        "source": msgspec.to_builtins(table.source),
        "profile": table.profile,
        "rows": [
            {
                "model": model,
                "numbers": {
                    title: {"value": one.value, "status": one.status, "remarks": one.remarks}
                    for title, one in zip(table.titles, held, strict=True)
                    if one is not None
                },
            }
            for model, held in table.rows
        ],
    }


def model(line: Line, sheet: Sheet, board: Board) -> dict[str, Any]:
    results = [entry.scores.results for entry in line.row.entries]
    return {
        **line_of(line, board.definition),
        "table": title_of(sheet),
        "results": [msgspec.to_builtins(one) for one in results],
    }


def task(name: str, board: Board, found: Sequence[Table]) -> dict[str, Any]:
    return {
        "task": name,
        "tables": [
            {
                "title": title_of(sheet),
                "data": sheet.kind,
                "measured_otherwise": list(sheet.apart),
                "rows": [
                    {**_row(line.row), "metrics": msgspec.to_builtins(result.metrics)}
                    for line in sheet.lines
                    if (result := line.row.result(name)) is not None
                ],
            }
            for sheet in board.sheets
        ],
        "reported": [reported(table) for table in found],
    }


def series(name: str, rows: Sequence[Row], definition: Definition) -> dict[str, Any]:
    return {
        "series": name,
        "checkpoints": [
            {
                **_row(row),
                "numbers": {column.title: _number(number(row, column)) for column in definition.columns},
            }
            for row in rows
        ],
    }
