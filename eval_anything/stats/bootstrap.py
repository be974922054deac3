"""Percentile bootstrap intervals for means and for the unweighted mean of group means.

Whole clusters are resampled, because answers to one image, or repeats of one sample, are not independent
(Davison and Hinkley, "Bootstrap Methods and their Application", 1997, sections 3.8 and 5.3.1). Where every
cluster lies inside one group, each group is resampled by itself: the sizes of the groups are fixed by the
benchmark's design. Where clusters cross groups, they are drawn jointly over all groups.
"""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Intervals:
    groups: tuple[Interval, ...]
    overall: Interval


def bootstrap(values: Floats, groups: Codes, clusters: Codes, n_groups: int, seed: int) -> Intervals:
    """Intervals of the mean of each group and of the unweighted mean of the group means.

    Three arrays of one length: values, group codes in [0, n_groups), cluster codes from 0. The same arrays
    and seed give the same intervals; the caller sorts the rows by key. A group of fewer than two clusters
    has no interval, and then neither has the overall: its spread would be an understatement.
    """
    import numpy as np

    sums, counts, centres = _tables(values, groups, clusters, n_groups)
    present = counts > 0
    few = [g for g in range(n_groups) if present[:, g].sum() < 2]
    if bool((present.sum(axis=1) <= 1).all()):
        columns = [
            _group_means(sums[present[:, g], g], counts[present[:, g], g], seed, g) for g in range(n_groups)
        ]
        means = np.stack(columns, axis=1)
    else:
        means = _joint_means(sums, counts, seed)
    means += centres
    each = tuple(
        Interval(None, None, _too_few(int(present[:, g].sum()))) if g in few else _percentiles(means[:, g])
        for g in range(n_groups)
    )
    if few:
        reason = each[0].reason if n_groups == 1 else f"one group of scores: {each[few[0]].reason}"
        return Intervals(each, Interval(None, None, reason))
    return Intervals(each, _percentiles(means.mean(axis=1)))


def _too_few(n: int) -> str:
    return f"an interval needs 2 independent samples or more, here: {n}"


def _tables(values: Floats, groups: Codes, clusters: Codes, n_groups: int) -> tuple[Floats, Floats, Floats]:
    """Sums and counts, clusters by groups; and the group means that were subtracted.

    Centred first, so that equal scores give an interval of exactly that score, not one rounding away.
    """
    import numpy as np

    n_clusters = int(clusters.max()) + 1 if len(clusters) else 0
    sizes = np.bincount(groups, minlength=n_groups)
    centres = np.bincount(groups, weights=values, minlength=n_groups) / np.maximum(sizes, 1)
    cell = clusters * n_groups + groups
    n_cells = n_clusters * n_groups
    sums = np.bincount(cell, weights=values - centres[groups], minlength=n_cells).astype(np.float64)
    counts = np.bincount(cell, minlength=n_cells).astype(np.float64)
    return sums.reshape(n_clusters, n_groups), counts.reshape(n_clusters, n_groups), centres


def _group_means(sums: Floats, counts: Floats, seed: int, group: int) -> Floats:
    """Resampled means of one group. Its own stream, so that no other group can move its interval."""
    import numpy as np

    if not len(sums):
        return np.zeros(RESAMPLES)
    drawn = _resampled(np.stack([sums, counts], axis=1), _generator(seed, group))
    return drawn[:, 0] / drawn[:, 1]


def _joint_means(sums: Floats, counts: Floats, seed: int) -> Floats:
    """Resampled means of all groups from joint draws; NaN where a draw has nothing of a group."""
    import numpy as np

    n_groups = sums.shape[1]
    drawn = _resampled(np.concatenate([sums, counts], axis=1), _generator(seed, 0))
    with np.errstate(invalid="ignore", divide="ignore"):
        means: Floats = drawn[:, :n_groups] / drawn[:, n_groups:]
    return means


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
    """Draws that missed a group altogether say nothing about its mean and are left out."""
    import numpy as np

    tail = 100 * (1 - LEVEL) / 2
    ends: Any = np.nanpercentile(means, [tail, 100 - tail])
    return Interval(float(ends[0]), float(ends[1]))
