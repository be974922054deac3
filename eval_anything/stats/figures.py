"""Means of what scores carry beside their value: the numbers that explain a metric without being one."""

from __future__ import annotations

import math
from collections.abc import Iterable

from eval_anything.stats.aggregate import Means, Tree
from eval_anything.stats.cell import Verdict
from eval_anything.stats.outline import outline


def figures(aggregation: Means | Tree, rows: Iterable[Verdict]) -> dict[str, float]:
    """The weighted mean over scored rows of each component that goes into no metric.

    Names come in the order in which the scores state them, the rows sorted by sample and repeat.
    """
    metrics = outline(aggregation).columns()
    found: dict[str, list[tuple[float, float]]] = {}
    for row in sorted(rows, key=lambda row: (row.id, row.repeat)):
        if row.outcome != "scored":
            continue
        for name, value in row.components.items():
            if name not in metrics and value is not None:
                found.setdefault(name, []).append((row.weight, value))
    totals = {name: math.fsum(weight for weight, _ in pairs) for name, pairs in found.items()}
    return {
        name: math.fsum(weight * value for weight, value in pairs) / totals[name]
        for name, pairs in found.items()
        if totals[name]
    }
