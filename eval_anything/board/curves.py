"""A number over the steps of a training run, as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from eval_anything.report.plots import figure
from eval_anything.results.escape import html
from eval_anything.results.words import number

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 640, 230, 56, 20, 14, 36


class Dot(NamedTuple):
    step: int
    value: float
    low: float | None
    high: float | None


def curve(dots: Sequence[Dot], title: str) -> str:
    """Values joined by a line, in the order of steps, their intervals as a band behind them."""
    ends = [v for dot in dots for v in (dot.value, dot.low, dot.high) if v is not None]
    low, high = min(ends), max(ends)
    first, last = dots[0].step, dots[-1].step

    def x(step: int) -> float:
        return round(_LEFT + (_WIDTH - _LEFT - _RIGHT) * (step - first) / ((last - first) or 1), 1)

    def y(value: float) -> float:
        return round(_TOP + (_HEIGHT - _TOP - _BOTTOM) * (high - value) / ((high - low) or 1), 1)

    decimals = 3 if high - low <= 1 else 2
    parts = []
    for k in range(4):
        value = low + (high - low) * k / 3
        parts.append(f'<path class="grid" d="M{_LEFT} {y(value)}H{_WIDTH - _RIGHT}"/>')
        tick = html(number(value, decimals))
        parts.append(f'<text class="tick end" x="{_LEFT - 8}" y="{y(value) + 4}">{tick}</text>')
    for step in _ticks([dot.step for dot in dots]):
        parts.append(f'<text class="tick mid" x="{x(step)}" y="{_HEIGHT - 12}">{step:,}</text>')
    band = [dot for dot in dots if dot.low is not None and dot.high is not None]
    if len(band) > 1:
        over = [f"{x(d.step)} {y(d.high or 0.0)}" for d in band]
        under = [f"{x(d.step)} {y(d.low or 0.0)}" for d in reversed(band)]
        parts.append(f'<path class="series0 band" d="M{"L".join(over + under)}Z"/>')
    line = "L".join(f"{x(d.step)} {y(d.value)}" for d in dots)
    parts.append(f'<path class="line" d="M{line}"/>')
    for dot in dots:
        said = f"step {dot.step:,}: {number(dot.value, decimals)}"
        parts.append(
            f'<circle class="series0" cx="{x(dot.step)}" cy="{y(dot.value)}" r="4">'
            f"<title>{said}</title></circle>"
        )
    return figure(parts, _HEIGHT, title)


def _ticks(steps: Sequence[int]) -> list[int]:
    """At most six of the steps, the first and the last among them."""
    if len(steps) <= 6:
        return list(dict.fromkeys(steps))
    return [steps[round(k * (len(steps) - 1) / 5)] for k in range(6)]
