"""Plots as SVG text: bars with intervals, histograms, points. Colours are the style sheet's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from eval_anything.results.escape import html
from eval_anything.results.words import number

_WIDTH, _LABEL, _ROW, _MARGIN = 640, 190, 26, 44
_SERIES = 6
"""How many colours there are."""


class Bar(NamedTuple):
    label: str
    value: float | None
    low: float | None = None
    high: float | None = None
    series: int = 0


def bars(items: Sequence[Bar], low: float, high: float, title: str) -> str:
    """Horizontal bars from `low`; intervals as whiskers. What has no value says so."""
    finite = [v for item in items for v in (item.value, item.low, item.high) if v is not None]
    low, high = min([low, *finite]), max([high, *finite])
    height = _ROW * len(items) + 34
    room = _WIDTH - _LABEL - 70

    def x(value: float) -> float:
        return round(_LABEL + room * (value - low) / ((high - low) or 1), 1)

    parts = [_axis(low, high, x, height)]
    for i, item in enumerate(items):
        y = i * _ROW + 8
        parts.append(
            f'<text class="label" x="{_LABEL - 8}" y="{y + 12}">{html(_short(item.label, 28))}</text>'
        )
        if item.value is None:
            parts.append(f'<text class="none" x="{_LABEL + 4}" y="{y + 12}">no value</text>')
            continue
        start = x(min(max(0.0, low), high)) if low < 0 else x(low)
        end = x(item.value)
        parts.append(
            f'<rect class="series{item.series % _SERIES}" x="{min(start, end)}" y="{y}"'
            f' width="{max(abs(end - start), 1):.1f}" height="16" rx="2"/>'
        )
        edge = max(start, end)
        if item.low is not None and item.high is not None:
            edge = max(edge, x(item.high))
            parts.append(f'<path class="whisker" d="M{x(item.low)} {y + 8}H{x(item.high)}"/>')
        parts.append(f'<text class="value" x="{edge + 6}" y="{y + 12}">{html(number(item.value))}</text>')
    return figure(parts, height, title)


def histogram(values: Sequence[float], low: float, high: float, title: str, bins: int = 20) -> str:
    """How many of `values` lie where on the scale."""
    low, high = min([low, *values]), max([high, *values])
    step = (high - low) / bins or 1.0
    counts = [0] * bins
    for value in values:
        counts[min(bins - 1, int((value - low) / step))] += 1
    top, height = max([*counts, 1]), 170
    room, floor = _WIDTH - 2 * _MARGIN, height - 34
    parts = [f'<path class="axis" d="M{_MARGIN} {floor}H{_WIDTH - _MARGIN}"/>']
    for i, count in enumerate(counts):
        tall = round(count / top * (floor - 18), 1)
        left = round(_MARGIN + room * i / bins + 1, 1)
        hint = f"{number(low + i * step)} to {number(low + (i + 1) * step)}: {count}"
        parts.append(
            f'<rect class="series0" x="{left}" y="{floor - tall}" width="{room / bins - 2:.1f}"'
            f' height="{tall}"><title>{html(hint)}</title></rect>'
        )
    parts += [
        f'<text class="tick" x="{_MARGIN}" y="{floor + 18}">{html(number(low))}</text>',
        f'<text class="tick end" x="{_WIDTH - _MARGIN}" y="{floor + 18}">{html(number(high))}</text>',
        f'<text class="tick" x="{_MARGIN}" y="12">most in one bar: {top}</text>',
    ]
    return figure(parts, height, title)


class Point(NamedTuple):
    x: float
    y: float
    series: int
    label: str = ""


def points(items: Sequence[Point], series: Sequence[str], title: str) -> str:
    """Points in the plane, without axes: only their distances mean anything."""
    known = [item for item in items if math.isfinite(item.x) and math.isfinite(item.y)]
    height = 420
    left, right = min((p.x for p in known), default=0.0), max((p.x for p in known), default=1.0)
    top, bottom = max((p.y for p in known), default=1.0), min((p.y for p in known), default=0.0)

    def place(value: float, start: float, end: float, room: float) -> float:
        return round(20 + room * (value - start) / ((end - start) or 1), 1)

    parts = [
        f'<circle class="series{p.series % _SERIES} dot" cx="{place(p.x, left, right, _WIDTH - 40)}"'
        f' cy="{place(p.y, top, bottom, height - 70)}" r="3">'
        f"<title>{html(_short(p.label, 120))}</title></circle>"
        for p in known
    ]
    return figure([*parts, _legend(series, height - 16)], height, title)


def grouped(
    groups: Sequence[str], series: Sequence[str], values: Sequence[Sequence[float]], title: str
) -> str:
    """Shares side by side: one group of upright bars for each of `groups`, one bar in it for each series."""
    height, floor = 240, 176
    room = (_WIDTH - 2 * _MARGIN) / max(len(groups), 1)
    top = max([v for row in values for v in row] + [1e-9])
    parts = [f'<path class="axis" d="M{_MARGIN} {floor}H{_WIDTH - _MARGIN}"/>']
    wide = room * 0.8 / max(len(series), 1)
    for g, name in enumerate(groups):
        left = _MARGIN + room * (g + 0.1)
        for s, row in enumerate(values):
            tall = round(row[g] / top * (floor - 20), 1)
            parts.append(
                f'<rect class="series{s % _SERIES}" x="{left + s * wide:.1f}" y="{floor - tall}"'
                f' width="{wide - 1:.1f}" height="{tall}">'
                f"<title>{html(f'{series[s]}, {name}: {row[g]:.3f}')}</title></rect>"
            )
        parts.append(
            f'<text class="tick mid" x="{left + room * 0.4:.1f}" y="{floor + 18}">{html(name)}</text>'
        )
    return figure([*parts, _legend(series, height - 14)], height, title)


def _legend(series: Sequence[str], y: float) -> str:
    parts, x = [], 20.0
    for s, name in enumerate(series):
        label = _short(name, 34)
        parts.append(f'<rect class="series{s % _SERIES}" x="{x}" y="{y - 9}" width="10" height="10" rx="2"/>')
        parts.append(f'<text class="tick" x="{x + 15}" y="{y}">{html(label)}</text>')
        x += 32 + 7 * len(label)
    return "".join(parts)


def _axis(low: float, high: float, x: object, height: int) -> str:
    assert callable(x)
    lines = []
    for k in range(5):
        value = low + (high - low) * k / 4
        at = x(value)
        lines.append(f'<path class="grid" d="M{at} 0V{height - 24}"/>')
        lines.append(f'<text class="tick mid" x="{at}" y="{height - 8}">{html(number(value))}</text>')
    return "".join(lines)


def figure(parts: Sequence[str], height: float, title: str) -> str:
    """A figure with its title; screen readers are told the title alone, numbers stand in the tables."""
    return (
        f'<figure><svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{html(title)}">'
        f"{''.join(parts)}</svg><figcaption>{html(title)}</figcaption></figure>"
    )


def _short(label: str, most: int) -> str:
    return label if len(label) <= most else label[: most - 1] + "\u2026"
