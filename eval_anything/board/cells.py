"""Cells of a leaderboard: a number with its interval as a small bar, a place, a name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from eval_anything.board.numbers import Number
from eval_anything.board.ranks import Place
from eval_anything.report.frame import Cell
from eval_anything.results.escape import html
from eval_anything.results.words import number as written

_WIDE, _TALL = 84, 8
_DASH = "\u2013"


def span(numbers: Iterable[Number]) -> tuple[float, float] | None:
    """From the lowest to the highest that is known in a column; None where nothing is to be drawn."""
    ends = [v for one in numbers for v in (one.value, one.low, one.high) if v is not None]
    return (min(ends), max(ends)) if ends and min(ends) < max(ends) else None


def shown(value: float, ends: tuple[float, float] | None) -> str:
    """Two decimals; three where all lies within 1."""
    return written(value, 3 if ends is not None and ends[1] - ends[0] <= 1 and abs(value) < 1 else 2)


def cell(one: Number, ends: tuple[float, float] | None, place: Place | None = None) -> Cell:
    """The number and, below it, its interval on the range of its column; bold where none is better for
    sure and some is worse."""
    if one.value is None:
        return Cell(f'<span class="none" title="{html(one.reason)}">{_DASH}</span>')
    text = html(shown(one.value, ends))
    if place is not None and place.first == 1 and place.worse:
        text = f"<strong>{text}</strong>"
    if not one.finished:
        text = f'<span class="unfinished" title="unfinished">{text}*</span>'
    hint = f' title="{html(described(one, ends, place))}"'
    return Cell(f"<span{hint}>{text}</span>{_bar(one, ends)}", one.value, number=True)


def described(one: Number, ends: tuple[float, float] | None, place: Place | None) -> str:
    said = []
    if one.low is not None and one.high is not None:
        said.append(f"95% interval {shown(one.low, ends)} to {shown(one.high, ends)}")
    elif one.reason:
        said.append(f"no interval: {one.reason}")
    if place is not None:
        said.append(f"place {range_of(place)}")
    if not one.finished:
        said.append("unfinished: not ranked")
    return "; ".join(said)


def range_of(place: Place | None) -> str:
    if place is None:
        return _DASH
    return str(place.first) if place.first == place.last else f"{place.first}{_DASH}{place.last}"


def rank(place: Place | None) -> Cell:
    if place is None:
        return Cell('<span class="none" title="not ranked">\u2013</span>', None, number=True)
    return Cell(f'<span class="place">{html(range_of(place))}</span>', -place.first, number=True)


def interval(one: Number, ends: tuple[float, float] | None = None) -> Cell:
    if one.low is None or one.high is None:
        return Cell(f'<span class="none">{html(one.reason) or _DASH}</span>')
    return Cell(html(f"[{shown(one.low, ends)}, {shown(one.high, ends)}]"), one.high - one.low, number=True)


def _bar(one: Number, ends: tuple[float, float] | None) -> str:
    if ends is None or one.value is None:
        return ""
    start, end = ends

    def x(value: float) -> float:
        return round(3 + (_WIDE - 6) * (value - start) / (end - start), 1)

    low, high = (one.value if v is None else v for v in (one.low, one.high))
    left, right = sorted((x(low), x(high)))
    return (
        f'<svg class="range" viewBox="0 0 {_WIDE} {_TALL}" width="{_WIDE}" height="{_TALL}"'
        ' aria-hidden="true">'
        f'<path class="track" d="M0 4H{_WIDE}"/>'
        f'<rect class="series0 spread" x="{left}" y="1.5" width="{max(right - left, 1):.1f}"'
        ' height="5" rx="2.5"/>'
        f'<circle class="middle" cx="{x(one.value)}" cy="4" r="2.6"/></svg>'
    )


def headings(under: Sequence[str]) -> list[tuple[str, int]]:
    """Neighbours with one heading, counted."""
    found: list[tuple[str, int]] = []
    for name in under:
        if found and found[-1][0] == name:
            found[-1] = (name, found[-1][1] + 1)
        else:
            found.append((name, 1))
    return found
