"""The pages of a leaderboard: the tables, one for each model, task and training run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from eval_anything.board import tables
from eval_anything.board.cells import cell, rank, span
from eval_anything.board.check import SYNTHETIC
from eval_anything.board.curves import Dot, curve
from eval_anything.board.definition import Column, Definition
from eval_anything.board.numbers import Number, number
from eval_anything.board.published import Table
from eval_anything.board.rows import Row
from eval_anything.board.sheets import Line, Sheet, alike
from eval_anything.report.frame import Cell, listed, table, text
from eval_anything.report.plots import Bar, bars
from eval_anything.results.escape import html
from eval_anything.results.layout import page as laid_out
from eval_anything.results.words import counted

_TITLES = {
    "hub": "Measured",
    "path": "Measured on data from a folder",
    SYNTHETIC: "Synthetic data",
}
_BANNERS = {
    "path": "the data came from a folder, not from the hub: whether it is the published data is not known",
    SYNTHETIC: "synthetic data: a check of the machinery, not comparable with any other table here",
}
_RANKS = (
    "A rank is a range: from 1 + the number of models that are significantly better to the number of models"
    " minus those that are significantly worse. Models are told apart by a paired test on the samples that"
    " both answered (labels exchanged, 5 % for all pairs of a column together by Holm's method); where there"
    " is no such test, as for numbers made of several tasks, by 95 % intervals that do not overlap."
)


class LeftOut(NamedTuple):
    """An entry that is not shown, and why."""

    file: str
    name: str
    reasons: tuple[str, ...]


class Board(NamedTuple):
    """All that the pages show."""

    definition: Definition
    sheets: tuple[Sheet, ...]
    reported: tuple[Table, ...]
    series: Mapping[str, Sequence[Row]]
    left_out: tuple[LeftOut, ...]
    models: Mapping[str, str]
    """Pages by the names of rows, relative to the root."""
    tasks: Mapping[str, str]
    runs: Mapping[str, str]
    """Pages of training runs."""


def index(board: Board) -> str:
    definition = board.definition
    parts = [f"<h1>{html(definition.title)}</h1>"]
    if definition.summary:
        parts.append(f'<p class="lead">{html(definition.summary)}</p>')
    parts.append(_controls(definition))
    for n, sheet in enumerate(board.sheets):
        parts.append(_sheet(sheet, board, n))
    parts.append(
        '<p class="notes">Bars are 95 % intervals, each column on the range of its own values; bold: no model'
        " is significantly better, and some are worse; *: unfinished, not ranked.</p>"
        f"<details><summary>How ranks are made</summary><p>{html(_RANKS)}</p></details>"
    )
    parts += [_series(board), _reported(board.reported, "h2"), _left_out(board), _json("index")]
    return "\n".join(part for part in parts if part)


def title_of(sheet: Sheet) -> str:
    title = _TITLES.get(sheet.kind, sheet.kind)
    return f"{title}, otherwise than above" if sheet.apart else title


def _banners(sheet: Sheet, lines: Sequence[Line]) -> str:
    """What must be read before the numbers of `lines`, which are some of the table's."""
    unfinished = sum(not line.row.complete for line in lines)
    said = [_BANNERS[sheet.kind]] if sheet.kind in _BANNERS else []
    said += [f"{counted(unfinished, 'row')} of runs that are not finished: not ranked"] if unfinished else []
    if sheet.apart:
        said.append("not comparable with the first such table: it was measured otherwise")
    return listed(said, "banners") + listed(sheet.apart, "notes")


def _sheet(sheet: Sheet, board: Board, number: int) -> str:
    title = title_of(sheet)
    label = f"{title}, table {number + 1}"
    content = tables.measured(sheet, board.definition, board.models, label)
    head = f"<h2>{html(title)}</h2>{_banners(sheet, sheet.lines)}"
    return f'<section class="sheet {html(sheet.kind)}">{head}{content}</section>'


def _controls(definition: Definition) -> str:
    under = [column.under for column in definition.columns]
    order = list(dict.fromkeys(["", *under] if definition.weighted else under))
    boxes = "".join(
        f'<label class="check"><input type="checkbox" data-heading="{i}" checked> {html(name)}</label>'
        for i, name in enumerate(order)
        if name and len(order) > 1
    )
    columns = f"<fieldset><legend>Columns</legend>{boxes}</fieldset>" if boxes else ""
    return (
        '<form class="controls" id="controls" role="search" aria-label="Filter the tables">'
        '<label>Model <input type="search" id="filter" placeholder="part of a name" autocomplete="off">'
        "</label>"
        '<label class="check"><input type="checkbox" id="finished"> finished only</label>'
        f'{columns}<output id="shown" aria-live="polite"></output></form>'
    )


def _series(board: Board) -> str:
    if not board.runs:
        return ""
    items = "".join(
        f'<li><a href="{html(page)}">{html(name)}</a>'
        f' <span class="soft">{counted(len(board.series[name]), "checkpoint")}</span></li>'
        for name, page in board.runs.items()
    )
    said = "The tables show the last finished checkpoint of each; here are all of them."
    return f'<h2>Training runs</h2><p class="soft">{said}</p><ul>{items}</ul>'


def _reported(found: Sequence[Table], level: str) -> str:
    if not found:
        return ""
    parts = [
        f"<{level}>Reported by others</{level}>",
        listed(["not measured here: numbers of papers and of other leaderboards"], "banners"),
    ]
    for one in found:
        source = html(f"{one.source.title}, {one.source.where}")
        if one.source.url.startswith("https://"):
            source = f'<a href="{html(one.source.url)}" rel="noreferrer">{source}</a>'
        parts.append(f'<section class="reported"><h3>{source}</h3>{tables.reported(one)}')
        parts.append(f"{listed(tables.said(one), 'notes')}</section>")
    return "\n".join(parts)


def _left_out(board: Board) -> str:
    if not board.left_out:
        return ""
    rows = [[text(one.name), text(one.file), text("; ".join(one.reasons))] for one in board.left_out]
    return f"<h2>Left out</h2>{table(['model', 'file', 'why'], rows, 'Entries that are not shown')}"


def _json(name: str) -> str:
    return f'<p class="more"><a href="{html(name)}.json">This page as JSON</a></p>'


def model_page(line: Line, sheet: Sheet, board: Board, stem: str) -> str:
    row = line.row
    facts = [f"model: {row.model}", f"data: {row.kind}", f"measured: {row.created}"]
    parts = [f"<h1>{html(row.name)}</h1>", _banners(sheet, [line]), listed(facts, "notes")]
    if row.series in board.runs:
        where = f'<a href="../{html(board.runs[row.series])}">{html(row.series)}</a>'
        parts.append(f"<p>A checkpoint of the training run {where}.</p>")
    parts.append(f"<h2>{html(board.definition.title)}</h2>{tables.of_line(line, board.definition)}")
    for entry in row.entries:
        for block in laid_out(entry.scores.results).blocks:
            parts.append(f"<h2>{html(block.title)}</h2>{listed(block.banners, 'banners')}")
            cells = [[text(value) for value in values] for values in block.rows]
            parts.append(table(block.columns, cells, block.title) + listed(block.lines, "notes"))
    return "\n".join([*parts, _json(stem)])


def task_page(task: str, board: Board, reported: Sequence[Table], stem: str) -> str:
    """Every metric of a task, of all models, one table for each way in which it was measured."""
    parts = [f"<h1>{html(task)}</h1>"]
    for sheet in board.sheets:
        held = [line for line in sheet.lines if line.row.result(task) is not None]
        if held:
            parts.append(_of_task(task, sheet, held, board))
    return "\n".join([*parts, _reported(reported, "h2"), _json(stem)])


def _of_task(task: str, sheet: Sheet, held: Sequence[Line], board: Board) -> str:
    metrics = _metrics(task, held)
    columns = [Column(title=name, task=task, metric=name) for name in metrics]
    numbers = {line.row.name: [number(line.row, column) for column in columns] for line in held}
    ends = [span(own[k] for own in numbers.values()) for k in range(len(columns))]
    at = next((k for k, c in enumerate(board.definition.columns) if c.task == task), None)
    shift = 1 if board.definition.weighted else 0
    ordered = sorted(held, key=lambda line: _best_first(numbers[line.row.name][0]))
    rows = []
    for line in ordered:
        place = None if at is None else line.places[at + shift]
        name = f'<a href="../{html(board.models[line.row.name])}">{html(line.row.name)}</a>'
        cells = [cell(one, ends[k]) for k, one in enumerate(numbers[line.row.name])]
        rows.append([rank(place), Cell(name, line.row.name), *cells])
    first = held[0].row.task(task)
    assert first is not None
    plan = first.plan
    facts = [
        f"version {plan.version}" + (f", profile {plan.profile}" if plan.profile else ""),
        f"judge: {plan.judge}" + ("" if plan.protocol_judge else " (not the protocol's judge)"),
        f"data: {plan.data}, revision {plan.revision}; {counted(plan.planned, 'answer')} planned",
    ]
    shown = [numbers[line.row.name][0] for line in ordered]
    scale = next((one.scale for one in shown if one.scale is not None), None) or (0.0, 1.0)
    drawn = [Bar(line.row.name, n.value, n.low, n.high) for line, n in zip(ordered, shown, strict=True)]
    return "\n".join(
        [
            f"<h2>{html(title_of(sheet))}</h2>{_banners(sheet, held)}",
            table(["rank", "model", *metrics], rows, f"{task}: {title_of(sheet)}", sortable=True),
            listed(facts, "notes"),
            bars(drawn[:40], min(scale[0], 0.0), scale[1], f"{task}: {metrics[0]}, with 95 % intervals"),
        ]
    )


def _metrics(task: str, held: Sequence[Line]) -> list[str]:
    results = [result for line in held if (result := line.row.result(task)) is not None]
    return list(dict.fromkeys(metric.name for result in results for metric in result.metrics))


def _best_first(one: Number) -> tuple[bool, float]:
    if one.value is None:
        return True, 0.0
    return False, -one.value if one.higher_is_better else one.value


def series_page(name: str, rows: Sequence[Row], board: Board, stem: str) -> str:
    """One training run: every column over its steps."""
    parts = [f"<h1>{html(name)}</h1>", '<p class="lead">Every checkpoint, by training step.</p>']
    for held in alike(rows, board.definition):
        ordered = sorted(held, key=lambda row: row.step or 0)
        kind = ordered[0].kind
        if kind in _BANNERS:
            parts.append(listed([_BANNERS[kind]], "banners"))
        columns = [
            c for c in board.definition.columns if any(number(r, c).value is not None for r in ordered)
        ]
        parts.append(_steps(name, ordered, columns))
        for column in columns:
            dots = [
                Dot(row.step or 0, one.value, one.low, one.high)
                for row in ordered
                if (one := number(row, column)).value is not None
            ]
            if len(dots) > 1:
                parts.append(curve(dots, f"{column.title}, with 95 % intervals"))
    return "\n".join([*parts, _json(stem)])


def _steps(name: str, rows: Sequence[Row], columns: Sequence[Column]) -> str:
    ends = [span(number(row, column) for row in rows) for column in columns]
    lines = []
    for row in rows:
        step = Cell(f"{row.step:,}", row.step, number=True)
        cells = [cell(number(row, column), ends[k]) for k, column in enumerate(columns)]
        state = "finished" if row.complete else "UNFINISHED"
        lines.append([step, *cells, text(row.name), text(state)])
    heads = ["step", *(column.title for column in columns), "model", "state"]
    return table(heads, lines, f"Checkpoints of {name}", sortable=True)
