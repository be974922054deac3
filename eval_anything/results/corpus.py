"""Metrics that are made of all scores at once, as their task makes them: F1, perplexities, BLEU."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from eval_anything.errors import UsageError
from eval_anything.results.scan import TaskScan
from eval_anything.stats.aggregate import Metric, Tree
from eval_anything.stats.bootstrap import Interval, too_few
from eval_anything.stats.bootstrap import interval as interval_of
from eval_anything.stats.metrics import Measurement

RESAMPLES = 200
"""Fewer than means have: each one costs a whole computation of the task's own."""
_SLOW_S = 0.02
"""Numbers that take longer than this have no interval."""

Items = Sequence[tuple[str, Any]]
"""Group and item of each row."""


class _Items(msgspec.Struct, frozen=True):
    items: dict[str, Any] = {}


class _Line(msgspec.Struct, frozen=True):
    score: _Items


class _Row(msgspec.Struct, frozen=True):
    group: str
    cluster: str
    items: dict[str, Any]


_reader = msgspec.json.Decoder(_Line)


def with_corpus(
    measured: list[Measurement], task: TaskScan, journal: Path, seed: int, include: Iterable[str]
) -> list[Measurement]:
    """`measured` with the numbers that the task's class makes of all scores at once.

    `include`: where the run's plug-ins are. A number that cannot be made has a reason in its place.
    """
    aggregation = task.plan.aggregation
    metrics = [metric for metric, _ in aggregation.walk()] if isinstance(aggregation, Tree) else []
    wanted = {metric.name: metric for metric in metrics if metric.corpus}
    if not wanted:
        return measured
    with journal.open("rb") as file:
        rows = _rows(file, task)
    make = _maker(task.plan.name, include)
    return [
        _made(found, wanted[found.result.name], rows, make, seed) if found.result.name in wanted else found
        for found in measured
    ]


def _rows(file: BinaryIO, task: TaskScan) -> list[_Row]:
    """Of every score, in the order of ids."""
    rows = []
    for sample_id, _, record in sorted(task, key=lambda item: item[:2]):
        if record.score_state == "scored":
            file.seek(record.score_at)
            items = _reader.decode(file.readline()).score.items
            rows.append(_Row(record.group, record.cluster or sample_id, items))
    return rows


def _maker(task: str, include: Iterable[str]) -> Callable[[str, Items], float]:
    @functools.cache
    def found() -> Any:
        from eval_anything.registry import Plugins

        return Plugins(include).tasks.get(task)

    def make(how: str, items: Items) -> float:
        number: float = found().corpus(how, items)
        return number

    return make


def _made(
    found: Measurement, metric: Metric, rows: Sequence[_Row], make: Callable[[str, Items], float], seed: int
) -> Measurement:
    own = [row for row in rows if metric.column in row.items and row.group in (metric.groups or (row.group,))]
    value, reason, interval = None, found.result.reason, Interval(None, None, "no value")
    if not reason and not own:
        reason = f"no score has {metric.column!r}"
    if not reason:
        try:
            value = make(metric.corpus, _items(own, metric))
            interval = _interval(own, metric, make, seed)
        except Exception as fault:  # noqa: BLE001 - a task's own bug costs its number and says so
            kind = "" if isinstance(fault, UsageError) else f"{type(fault).__name__}: "
            value, reason = None, f"{kind}{fault}"
    result = msgspec.structs.replace(
        found.result,
        value=value,
        reason=reason,
        low=interval.low,
        high=interval.high,
        interval_reason="" if reason else interval.reason,
    )
    return Measurement(result, None)


def _items(rows: Iterable[_Row], metric: Metric) -> Items:
    return [(row.group, row.items[metric.column]) for row in rows]


def _interval(
    rows: Sequence[_Row], metric: Metric, make: Callable[[str, Items], float], seed: int
) -> Interval:
    """By percentiles of the numbers of resampled clusters, those of each group by themselves."""
    import numpy as np

    began = time.perf_counter()
    make(metric.corpus, _items(rows, metric))
    if time.perf_counter() - began > _SLOW_S:
        return Interval(None, None, "one computation takes too long to repeat it for resamples")
    groups: dict[str, dict[str, list[_Row]]] = {}
    for row in rows:
        groups.setdefault(row.group, {}).setdefault(row.cluster, []).append(row)
    clusters = [list(own.values()) for own in groups.values()]
    if (least := min(map(len, clusters))) < 2:
        return Interval(None, None, too_few(least))
    generator = np.random.default_rng([seed & 0xFFFF_FFFF_FFFF_FFFF, len(rows)])
    draws = np.empty(RESAMPLES)
    for place in range(RESAMPLES):
        drawn = [own[k] for own in clusters for k in generator.integers(0, len(own), len(own)).tolist()]
        draws[place] = make(metric.corpus, _items((row for cluster in drawn for row in cluster), metric))
    return interval_of(draws)
