"""Tables of a leaderboard as HTML: measured rows, and rows that others report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eval_anything.board.cells import cell, headings, interval, range_of, rank, span
from eval_anything.board.definition import Definition
from eval_anything.board.published import MARKS, MEANINGS, Table
from eval_anything.board.sheets import Line, Sheet
from eval_anything.report.frame import Cell, table, text
from eval_anything.reported import Reported
from eval_anything.results.escape import html
from eval_anything.results.reported import decimals_of, remarks


def measured(sheet: Sheet, definition: Definition, pages: Mapping[str, str], label: str) -> str:
    """Ranks, names and all columns that have a value, with headings over columns that belong together.

    `pages`: the page of each row, by its name.
    """
    at = definition.titles.index(definition.ranked_by)
    under = [c.under for c in definition.columns]
    under = ["", *under] if definition.weighted else under
    order = list(dict.fromkeys(under))
    filled = [
        k
        for k in range(len(under))
        if k == at or any(line.numbers[k].value is not None for line in sheet.lines)
    ]
    ends = {k: span(line.numbers[k] for line in sheet.lines) for k in filled}
    body = []
    for line in sheet.lines:
        row = [_td(rank(line.places[at]), "stick rank"), _name(line, pages)]
        for k in filled:
            shown_cell = cell(line.numbers[k], ends[k], line.places[k])
            row.append(_td(shown_cell, "number", order.index(under[k])))
        finished = "" if line.row.complete else ' data-unfinished="1"'
        body.append(f'<tr data-name="{html(line.row.name.lower())}"{finished}>{"".join(row)}</tr>')
    titles = "".join(
        f'<th scope="col" class="{"number ranked" if k == at else "number"}"'
        f' data-heading="{order.index(under[k])}">{html(definition.titles[k])}</th>'
        for k in filled
    )
    return (
        f'<div class="scroll" role="region" aria-label="{html(label)}" tabindex="0">'
        f'<table class="board sortable"><thead>{_over([under[k] for k in filled], order)}'
        f'<tr><th scope="col" class="stick rank">Rank</th><th scope="col" class="stick model">Model</th>'
        f"{titles}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def _over(under: Sequence[str], order: Sequence[str]) -> str:
    if not any(under):
        return ""
    heads = "".join(
        f'<th scope="colgroup" colspan="{count}" data-heading="{order.index(name)}">{html(name)}</th>'
        for name, count in headings(under)
    )
    return f'<tr class="over"><td class="stick rank"></td><td class="stick model"></td>{heads}</tr>'


def _td(content: Cell, kind: str, heading: int | None = None) -> str:
    key = "" if content.key is None else f' data-key="{html(str(content.key))}"'
    over = "" if heading is None else f' data-heading="{heading}"'
    return f'<td class="{kind}"{key}{over}>{content.html}</td>'


def _name(line: Line, pages: Mapping[str, str]) -> str:
    row = line.row
    name = f'<a href="{html(pages[row.name])}">{html(row.name).replace("/", "/<wbr>")}</a>'
    if row.series and row.step is not None:
        name += f' <span class="chip">step {row.step:,}</span>'
    if not row.complete:
        name += ' <span class="chip warn">unfinished</span>'
    return _td(Cell(name, row.name), "stick model")


def reported(one: Table) -> str:
    """A source's numbers, each with its status where it is not simply printed there."""
    decimals = [
        decimals_of([number.value for _, held in one.rows if (number := held[k]) is not None])
        for k in range(len(one.titles))
    ]
    rows = [
        [text(model), *(_reported(value, decimals[k]) for k, value in enumerate(held))]
        for model, held in one.rows
    ]
    return table(["model", *one.titles], rows, f"{one.source.title}, {one.source.where}", sortable=True)


def _reported(one: Reported | None, decimals: int) -> Cell:
    if one is None:
        return Cell('<span class="none">\u2013</span>')
    hint = f' title="{html("; ".join(filter(None, (one.status, one.remarks))))}"'
    written = html(f"{one.value:.{decimals}f}")
    return Cell(f"<span{hint}>{written}{MARKS[one.status]}</span>", one.value, number=True)


def said(one: Table) -> list[str]:
    """What must be known of a source's table: status, profile, remarks."""
    lines = [f"{MARKS[s]} {s}: {MEANINGS[s]}".strip() for s in one.statuses]
    lines += [f"profile: {one.profile}"] if one.profile else []
    return lines + remarks(one.numbers)


def of_line(line: Line, definition: Definition) -> str:
    """All numbers of one row, downwards: value, interval, places."""
    rows = []
    for title, one, place in zip(definition.titles, line.numbers, line.places, strict=True):
        value = cell(one, None)
        rows.append(
            [
                text(title),
                value,
                interval(one),
                Cell(html(range_of(place)), None if place is None else place.first, number=True),
                _names(place.better if place is not None else ()),
                _names(place.worse if place is not None else ()),
            ]
        )
    heads = ["column", "value", "95% interval", "place", "significantly better", "significantly worse"]
    return table(heads, rows, f"Numbers of {line.row.name}")


def _names(names: Sequence[str]) -> Cell:
    return Cell(f'<span class="wrap">{html("; ".join(names[:20]))}</span>', len(names))
