"""Percentile bootstrap intervals for weighted means and for the unweighted mean of group means.

Whole clusters are resampled, because answers to one image, or repeats of one sample, are not independent
(Davison and Hinkley, "Bootstrap Methods and their Application", 1997, sections 3.8 and 5.3.1). Where every
cluster lies inside one group, each group is resampled by itself: the sizes of the groups are fixed by the
benchmark's design. Where clusters cross groups, they are drawn jointly over all groups.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Codes = NDArray[np.int64]

RESAMPLES = 2000
LEVEL = 0.95
# Index draws held at once, unless one resample alone has more: the arrays then stay in the cache.
_DRAWS_AT_ONCE = 100_000
# A multinomial count costs about as much as eight index draws.
_MULTINOMIAL_GAIN = 8


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % interval, or None at both ends with the reason."""

    low: float | None
    high: float | None
    reason: str = ""
    draws: Floats | None = field(default=None, compare=False, repr=False)
    """The resampled means that it was read from; those of one bootstrap belong together, draw by draw."""


@dataclass(frozen=True, slots=True)
class Intervals:
    groups: tuple[Interval, ...]
    overall: Interval
    parts: tuple[Interval, ...] = ()


def bootstrap(
    values: Floats,
    groups: Codes,
    clusters: Codes,
    n_groups: int,
    seed: int,
    weights: Floats | None = None,
    parts: Floats | None = None,
) -> Intervals:
    """Intervals of the weighted mean of each group and of the unweighted mean of the group means.

    Three arrays of one length: values, group codes in [0, n_groups), cluster codes from 0. The same arrays
    and seed give the same intervals; the caller sorts the rows by key. A group of fewer than two clusters
    has no interval, and then neither has the overall: its spread would be an understatement.

    `weights` (at least 0; None: 1 each) belong to the rows and go where their clusters go, so the resampled
    means are ratios of sums. `parts` (rows by parts, NaN where a row has none) are averaged over all groups
    in the very same draws.
    """
    import numpy as np

    weights = np.ones(len(values)) if weights is None else weights
    parts = np.empty((len(values), 0)) if parts is None else parts
    cell = clusters * n_groups + groups
    n_clusters = int(clusters.max()) + 1 if len(clusters) else 0
    shape = (n_clusters, n_groups)
    table = _summed(values, weights, groups, n_groups, cell, shape)
    alone = np.zeros(len(values), dtype=np.int64)
    columns = [_summed(part, _known(part, weights), alone, 1, cell, shape) for part in parts.T]
    present = table.counts > 0
    few = [g for g in range(n_groups) if present[:, g].sum() < 2]
    if bool((present.sum(axis=1) <= 1).all()):
        means, part_means = _stratified(table, columns, present, seed)
    else:
        means, part_means = _joint(table, columns, seed)
    means = means + table.centres
    each = tuple(
        Interval(None, None, _too_few(int(present[:, g].sum()))) if g in few else _percentiles(means[:, g])
        for g in range(n_groups)
    )
    of_parts = tuple(
        _part_interval(column, part_means[:, k] + column.centres[0]) for k, column in enumerate(columns)
    )
    if few:
        reason = each[0].reason if n_groups == 1 else f"one group of scores: {each[few[0]].reason}"
        return Intervals(each, Interval(None, None, reason), of_parts)
    return Intervals(each, _percentiles(means.mean(axis=1)), of_parts)


def _too_few(n: int) -> str:
    return f"an interval needs 2 independent samples or more, here: {n}"


@dataclass(frozen=True, slots=True)
class _Table:
    """Weighted sums and weights, clusters by groups; and the means that were subtracted.

    Centred first, so that equal scores give an interval of exactly that score, not one rounding away.
    """

    sums: Floats
    counts: Floats
    centres: Floats

    def rows(self, chosen: Any, groups: Any) -> list[Floats]:
        return [self.sums[chosen, groups], self.counts[chosen, groups]]


def _known(part: Floats, weights: Floats) -> Floats:
    import numpy as np

    return np.where(np.isnan(part), 0.0, weights)


def _summed(
    values: Floats, weights: Floats, groups: Codes, n_groups: int, cell: Codes, shape: tuple[int, int]
) -> _Table:
    """`groups` says which mean each value is centred on, `cell` where in the table it is added."""
    import numpy as np

    values = np.where(np.isnan(values), 0.0, values)
    totals = np.bincount(groups, weights=weights, minlength=n_groups)
    sums = np.bincount(groups, weights=values * weights, minlength=n_groups)
    centres = sums / np.where(totals > 0, totals, 1.0)
    n_cells = shape[0] * shape[1]
    sums = np.bincount(cell, weights=(values - centres[groups]) * weights, minlength=n_cells)
    counts = np.bincount(cell, weights=weights, minlength=n_cells)
    # Without any rows bincount counts in integers, whatever the weights.
    return _Table(sums.astype(np.float64).reshape(shape), counts.astype(np.float64).reshape(shape), centres)


def _stratified(
    table: _Table, columns: list[_Table], present: NDArray[np.bool_], seed: int
) -> tuple[Floats, Floats]:
    """Resampled means of groups and of parts; each group from a stream of its own, so that no other group
    can move its interval."""
    import numpy as np

    n_groups = present.shape[1]
    means = np.zeros((RESAMPLES, n_groups))
    sums = np.zeros((RESAMPLES, 2 * len(columns)))
    for g in range(n_groups):
        here = present[:, g]
        if not here.any():
            continue
        rows = [*table.rows(here, g), *(row for column in columns for row in column.rows(here, g))]
        drawn = _resampled(np.stack(rows, axis=1), _generator(seed, g))
        means[:, g] = drawn[:, 0] / drawn[:, 1]
        sums += drawn[:, 2:]
    return means, _ratios(sums[:, 0::2], sums[:, 1::2])


def _joint(table: _Table, columns: list[_Table], seed: int) -> tuple[Floats, Floats]:
    """Resampled means of groups and of parts from joint draws; NaN where a draw has nothing of one."""
    import numpy as np

    n_groups = table.sums.shape[1]
    of_parts = [column.sums.sum(axis=1, keepdims=True) for column in columns]
    of_parts += [column.counts.sum(axis=1, keepdims=True) for column in columns]
    rows = np.concatenate([table.sums, table.counts, *of_parts], axis=1)
    drawn = _resampled(rows, _generator(seed, 0))
    means = _ratios(drawn[:, :n_groups], drawn[:, n_groups : 2 * n_groups])
    rest = drawn[:, 2 * n_groups :]
    return means, _ratios(rest[:, : len(columns)], rest[:, len(columns) :])


def _ratios(sums: Floats, weights: Floats) -> Floats:
    import numpy as np

    with np.errstate(invalid="ignore", divide="ignore"):
        found: Floats = sums / weights
    return found


def _part_interval(column: _Table, means: Floats) -> Interval:
    clusters = int((column.counts.sum(axis=1) > 0).sum())
    return Interval(None, None, _too_few(clusters)) if clusters < 2 else _percentiles(means)


def _resampled(table: Floats, generator: np.random.Generator) -> Floats:
    """Column sums of `table` (units by columns) over RESAMPLES draws of its rows with replacement.

    Judges give few distinct scores. Equal rows are interchangeable, so drawing how often each distinct row
    comes up (multinomial) has the very same distribution, at a small share of the cost.
    """
    import numpy as np

    units = len(table)
    distinct, sizes = np.unique(table, axis=0, return_counts=True)
    if len(distinct) * _MULTINOMIAL_GAIN <= units:
        times = generator.multinomial(units, sizes / units, size=RESAMPLES)
        return times.astype(np.float64) @ distinct
    totals = np.empty((RESAMPLES, table.shape[1]))
    step = max(1, _DRAWS_AT_ONCE // units)
    for start in range(0, RESAMPLES, step):
        rows = min(step, RESAMPLES - start)
        draws = generator.integers(0, units, size=(rows, units))
        draws += np.arange(rows)[:, None] * units
        times = np.bincount(draws.ravel(), minlength=rows * units).reshape(rows, units)
        totals[start : start + rows] = times.astype(np.float64) @ table
    return totals


def _generator(seed: int, stream: int) -> np.random.Generator:
    import numpy as np

    return np.random.default_rng([seed & 0xFFFF_FFFF_FFFF_FFFF, stream])


def _percentiles(means: Floats) -> Interval:
    low, high = percentiles(means)
    return Interval(low, high, draws=means)


def percentiles(draws: Floats) -> tuple[float, float]:
    """Ends of the 95 % interval. Draws that missed a group altogether (NaN) say nothing of its mean."""
    import numpy as np

    tail = 100 * (1 - LEVEL) / 2
    ends: Any = np.nanpercentile(draws, [tail, 100 - tail])
    return float(ends[0]), float(ends[1])
