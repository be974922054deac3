"""The number of a row in a column, and the weighted average of several."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from eval_anything.board.definition import Column, Definition
from eval_anything.board.rows import Row


class Number(msgspec.Struct, frozen=True, kw_only=True):
    """One cell of the table."""

    value: float | None
    low: float | None = None
    """Ends of the 95 % interval."""
    high: float | None = None
    reason: str = ""
    """Why there is no value, or no interval."""
    scale: tuple[float, float] | None = None
    higher_is_better: bool = True
    finished: bool = True
    """Whether all answers behind it have come to an end; where not, it has no rank."""


def number(row: Row, column: Column) -> Number:
    if column.group:
        return _of_group(row, column)
    result = row.result(column.task)
    if result is None:
        return Number(value=None, reason=f"{column.task} was not run", higher_is_better=_better(column))
    wanted = column.metric or result.headline.name
    metric = next((m for m in result.metrics if m.name == wanted), None)
    if metric is None:
        names = ", ".join(m.name for m in result.metrics[:12])
        return Number(value=None, reason=f"{column.task} has no metric {wanted!r} (it has {names})")
    known = column.higher_is_better
    return Number(
        value=metric.value,
        low=metric.low,
        high=metric.high,
        reason=metric.reason or metric.interval_reason,
        scale=column.scale or (metric.scale_low, metric.scale_high),
        higher_is_better=metric.higher_is_better if known is None else known,
        finished=result.counts.finished >= result.counts.planned,
    )


def _of_group(row: Row, column: Column) -> Number:
    found = row.combined(column.group, column.metric)
    better = _better(column)
    if found is None:
        reason = f"{column.group}: {column.metric} was not run as a group"
        return Number(value=None, reason=reason, scale=column.scale, higher_is_better=better)
    return Number(
        value=found.value,
        low=found.low,
        high=found.high,
        reason=found.reason,
        scale=column.scale,
        higher_is_better=better,
        finished=row.complete,
    )


def _better(column: Column) -> bool:
    return column.higher_is_better is not False


def average(definition: Definition, numbers: Sequence[Number]) -> Number:
    """The weighted mean of the columns with a weight, each as per cent of the way from the bad end of its
    scale to the good one. `numbers` are in the order of `definition.columns`.

    The interval is that of a sum of independent estimates (Zou and Donner, "Construction of confidence
    limits about effect measures", Statistics in Medicine 27, 2008): the distances from values to ends,
    weighted, add up as squares.
    """
    parts = [(column, one) for column, one in zip(definition.columns, numbers, strict=True) if column.weight]
    lacking = [column.title for column, one in parts if one.value is None or not _finite(one)]
    if lacking:
        return Number(value=None, reason=f"no {', '.join(lacking)}", scale=(0.0, 100.0))
    total = sum(column.weight for column, _ in parts)
    shares = [(column.weight / total, *_percent(one)) for column, one in parts]
    value = sum(weight * at for weight, at, _, _ in shares)
    ends: list[float | None] = [None, None]
    if all(low is not None and high is not None for _, _, low, high in shares):
        below = sum((weight * (at - (low or 0.0))) ** 2 for weight, at, low, _ in shares)
        above = sum((weight * ((high or 0.0) - at)) ** 2 for weight, at, _, high in shares)
        ends = [value - math.sqrt(below), value + math.sqrt(above)]
    return Number(
        value=value,
        low=ends[0],
        high=ends[1],
        reason="" if ends[0] is not None else "a part of it has no interval",
        scale=(0.0, 100.0),
        finished=all(one.finished for _, one in parts),
    )


def _finite(one: Number) -> bool:
    return one.scale is not None and all(map(math.isfinite, one.scale)) and one.scale[0] < one.scale[1]


def _percent(one: Number) -> tuple[float, float | None, float | None]:
    """Value, low and high; where lower is better, the ends change places."""
    assert one.scale is not None and one.value is not None
    start, end = one.scale if one.higher_is_better else one.scale[::-1]

    def share(value: float) -> float:
        return 100 * (value - start) / (end - start)

    ends = (one.low, one.high) if one.higher_is_better else (one.high, one.low)
    low, high = (None if value is None else share(value) for value in ends)
    return share(one.value), low, high
