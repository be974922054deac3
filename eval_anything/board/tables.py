"""Tables of a leaderboard as HTML: measured rows, and rows that others report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eval_anything.board.cells import cell, headings, interval, range_of, rank, shown, span
from eval_anything.board.definition import Definition
from eval_anything.board.published import MARKS, MEANINGS, Table
from eval_anything.board.sheets import Line, Sheet
from eval_anything.report.frame import Cell, table, text
from eval_anything.reported import Reported
from eval_anything.results.escape import html


def measured(sheet: Sheet, definition: Definition, pages: Mapping[str, str], label: str) -> str:
    """Ranks, names and all columns, with headings over columns that belong together.

    `pages`: the page of each row, by its name.
    """
    at = definition.titles.index(definition.ranked_by)
    ends = [span(line.numbers[k] for line in sheet.lines) for k in range(len(definition.titles))]
    under = [c.under for c in definition.columns]
    under = ["", *under] if definition.weighted else under
    body = []
    for line in sheet.lines:
        cells = [cell(one, ends[k], line.places[k]) for k, one in enumerate(line.numbers)]
        row = [_td(rank(line.places[at]), "stick rank"), _name(line, pages)]
        row += [_td(c, "number", i) for c, i in zip(cells, _numbered(under), strict=True)]
        finished = "" if line.row.complete else ' data-unfinished="1"'
        body.append(f'<tr data-name="{html(line.row.name.lower())}"{finished}>{"".join(row)}</tr>')
    titles = "".join(
        f'<th scope="col" class="number{" ranked" if k == at else ""}" data-heading="{i}">{html(title)}</th>'
        for k, (title, i) in enumerate(zip(definition.titles, _numbered(under), strict=True))
    )
    return (
        f'<div class="scroll" role="region" aria-label="{html(label)}" tabindex="0">'
        f'<table class="board sortable"><thead>{_over(under)}'
        f'<tr><th scope="col" class="stick rank">Rank</th><th scope="col" class="stick model">Model</th>'
        f"{titles}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def _numbered(under: Sequence[str]) -> list[int]:
    """For each column, which heading it stands under, in the order of first mention."""
    order = list(dict.fromkeys(under))
    return [order.index(name) for name in under]


def _over(under: Sequence[str]) -> str:
    if not any(under):
        return ""
    order = list(dict.fromkeys(under))
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
    name = f'<a href="{html(pages[row.name])}">{html(row.name)}</a>'
    if row.series and row.step is not None:
        name += f' <span class="chip">step {row.step:,}</span>'
    if not row.complete:
        name += ' <span class="chip warn">unfinished</span>'
    return _td(Cell(name, row.name), "stick model")


def reported(one: Table) -> str:
    """A source's numbers, each with its status where it is not simply printed there."""
    ends = [_ends(one, k) for k in range(len(one.titles))]
    rows = [
        [text(model), *(_reported(number, ends[k]) for k, number in enumerate(held))]
        for model, held in one.rows
    ]
    return table(["model", *one.titles], rows, f"{one.source.title}, {one.source.where}", sortable=True)


def _ends(one: Table, column: int) -> tuple[float, float] | None:
    values = [held[column].value for _, held in one.rows if held[column] is not None]  # type: ignore[union-attr]
    return (min(values), max(values)) if values else None


def _reported(one: Reported | None, ends: tuple[float, float] | None) -> Cell:
    if one is None:
        return Cell('<span class="none">\u2013</span>')
    hint = f' title="{html("; ".join(filter(None, (one.status, one.remarks))))}"'
    return Cell(
        f"<span{hint}>{html(shown(one.value, ends))}{MARKS[one.status]}</span>", one.value, number=True
    )


def said(one: Table) -> list[str]:
    """What must be known of a source's table: status, profile, remarks."""
    lines = [f"{MARKS[s]} {s}: {MEANINGS[s]}".strip() for s in one.statuses]
    lines += [f"profile: {one.profile}"] if one.profile else []
    remarks = dict.fromkeys(number.remarks for number in one.numbers if number.remarks)
    return lines + list(remarks)[:8]


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
                text("; ".join(place.better) if place is not None and place.better else ""),
                text("; ".join(place.worse) if place is not None and place.worse else ""),
            ]
        )
    heads = ["column", "value", "95% interval", "place", "better for sure", "worse for sure"]
    return table(heads, rows, f"Numbers of {line.row.name}")
