"""Percentile bootstrap of weighted means; all means of one draw are over the same resampled clusters.

Whole clusters are drawn, because answers to one image, or repeats of one sample, are not independent
(Davison and Hinkley, "Bootstrap Methods and their Application", 1997, sections 3.8 and 5.3.1). Where every
cluster lies inside one stratum, each stratum is resampled by itself: the sizes of the groups are fixed by the
benchmark's design. Where clusters cross strata, they are drawn jointly over all strata.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Codes = NDArray[np.int64]

RESAMPLES = 2000
LEVEL = 0.95
# Index draws held at once, unless one resample alone has more: the arrays then stay in the cache. A wide
# table does not, and is read whole for every such lot: fewer and larger ones are several times as fast.
_DRAWS_AT_ONCE = 100_000
_DRAWS_AT_ONCE_OF_WIDE = 1_000_000
_WIDE = 8
# A multinomial count costs about as much as eight index draws.
_MULTINOMIAL_GAIN = 8
ONE_GROUP = "one group of scores: "
"""Before the reason of a group that leaves a mean over several without an interval."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % interval, or None at both ends with the reason."""

    low: float | None
    high: float | None
    reason: str = ""
    draws: Floats | None = field(default=None, compare=False, repr=False)
    """The resampled numbers that it was read from; those of one bootstrap belong together, draw by draw."""


class Column(NamedTuple):
    """One number of each row, and how much the row counts in its mean (at least 0; 0: not at all)."""

    values: Floats
    weights: Floats


class Cell(NamedTuple):
    """The rows of one stratum, in one column."""

    column: int
    stratum: int


class Drawn(NamedTuple):
    """A cell resampled. Sums are of the distances from the centre, its mean: so that equal scores give an
    interval of exactly that score, not one rounding away."""

    sums: Floats
    weights: Floats
    centre: float
    total: float
    clusters: Codes


class Resampled:
    """Draws of every cell. Made by `resample`."""

    def __init__(self, cells: dict[Cell, Drawn], lone: frozenset[int], first: int = 0) -> None:
        """`lone`: strata of a single cluster. `first`: the column from which those asked for are counted."""
        self._cells = cells
        self._lone = lone
        self._first = first

    def beginning(self, column: int) -> Resampled:
        """The same draws, of the columns from `column` on."""
        return Resampled(self._cells, self._lone, self._first + column)

    def _known(self, cells: Iterable[Cell]) -> list[Drawn]:
        places = (Cell(cell.column + self._first, cell.stratum) for cell in cells)
        return [self._cells[place] for place in places if place in self._cells]

    def mean(self, cells: Iterable[Cell]) -> Floats:
        """The weighted mean over the rows of all `cells`, in each draw; NaN where a draw has none of them."""
        import numpy as np

        drawn = self._known(cells)
        first, total = drawn[0].centre, sum(cell.total for cell in drawn)
        centre = first + sum((cell.centre - first) * cell.total for cell in drawn) / total
        sums = np.zeros(len(drawn[0].sums))
        weights = np.zeros(len(drawn[0].sums))
        for cell in drawn:
            sums += cell.sums + (cell.centre - centre) * cell.weights
            weights += cell.weights
        with np.errstate(invalid="ignore", divide="ignore"):
            means: Floats = sums / weights + centre
        return means

    def why_none(self, cells: Iterable[Cell]) -> str:
        """Why a mean over `cells` has no interval; empty where it has one.

        Fewer than two clusters cannot tell a spread; neither can a stratum of one cluster, which every draw
        repeats: its share of the spread would be left out.
        """
        import numpy as np

        asked = list(cells)
        clusters = [drawn.clusters for drawn in self._known(asked)]
        n = len(np.unique(np.concatenate(clusters))) if clusters else 0
        if n < 2:
            return too_few(n)
        alone = any(cell.stratum in self._lone and self._known([cell]) for cell in asked)
        return f"{ONE_GROUP}{too_few(1)}" if alone else ""


def resample(
    columns: Sequence[Column],
    strata: Codes,
    clusters: Codes,
    n_strata: int,
    seed: int,
    draws: int = RESAMPLES,
) -> Resampled:
    """Draw whole clusters, `draws` times, and sum each column over the rows of each stratum in every draw.

    Arrays of one length: the columns', stratum codes in [0, n_strata), cluster codes from 0. The same arrays
    and seed give the same draws; the caller sorts the rows by key. Weights belong to the rows and go where
    their clusters go, so the resampled means are ratios of sums.
    """
    import numpy as np

    counted = np.zeros(len(strata), dtype=bool)
    for column in columns:
        counted |= column.weights > 0
    places = np.unique(clusters[counted] * n_strata + strata[counted])
    crossing = len(np.unique(places // n_strata)) < len(places)
    tables = {
        Cell(k, g): table
        for k, column in enumerate(columns)
        for g, table in _tables(column, strata, clusters, n_strata, crossing).items()
    }
    if crossing:
        return Resampled(_drawn(tables, np.arange(int(clusters.max()) + 1), (seed, 0), draws), frozenset())
    members = [places[places % n_strata == g] // n_strata for g in range(n_strata)]
    found: dict[Cell, Drawn] = {}
    for g in range(n_strata):
        # Each from a stream of its own, so that no other stratum can move its interval.
        found |= _drawn(
            {cell: t for cell, t in tables.items() if cell.stratum == g}, members[g], (seed, g), draws
        )
    return Resampled(found, frozenset(g for g in range(n_strata) if len(members[g]) == 1))


def too_few(n: int) -> str:
    """Why `n` clusters have no interval."""
    return f"an interval needs 2 independent samples or more, here: {n}"


class _Table(NamedTuple):
    """A cell's distances from its centre and its weights, summed by cluster."""

    sums: Floats
    weights: Floats
    centre: float
    total: float


def _tables(
    column: Column, strata: Codes, clusters: Codes, n_strata: int, crossing: bool
) -> dict[int, _Table]:
    """The column's cells that have any weight, by stratum. Where no cluster crosses strata they share arrays:
    all that a cluster has belongs to the one stratum that it is in."""
    import numpy as np

    values, weights = column
    totals = np.bincount(strata, weights=weights, minlength=n_strata)
    sums = np.bincount(strata, weights=values * weights, minlength=n_strata)
    centres = sums / np.where(totals > 0, totals, 1.0)
    distances = (values - centres[strata]) * weights
    length = int(clusters.max()) + 1 if len(clusters) else 0

    def by_cluster(rows: Any) -> tuple[Floats, Floats]:
        sums = np.bincount(clusters[rows], weights=distances[rows], minlength=length)
        counts = np.bincount(clusters[rows], weights=weights[rows], minlength=length)
        # Without any rows bincount counts in integers, whatever the weights.
        return sums.astype(np.float64), counts.astype(np.float64)

    everywhere = () if crossing else by_cluster(slice(None))
    return {
        g: _Table(*(everywhere or by_cluster(strata == g)), float(centres[g]), float(totals[g]))
        for g in np.flatnonzero(totals > 0).tolist()
    }


def _drawn(
    tables: dict[Cell, _Table], members: Codes, seed: tuple[int, int], draws: int
) -> dict[Cell, Drawn]:
    """`members`: the clusters that are drawn, as often as there are of them; `seed`: of what, and which
    stream of it."""
    import numpy as np

    if not tables:
        return {}
    order: list[tuple[Cell, str]] = []
    for column in sorted({cell.column for cell in tables}):
        cells = [cell for cell in tables if cell.column == column]
        order += [(cell, "sums") for cell in cells] + [(cell, "weights") for cell in cells]
    rows = np.stack([getattr(tables[cell], name)[members] for cell, name in order], axis=1)
    totals = _resampled(rows, _generator(*seed), draws)
    at = {key: totals[:, k] for k, key in enumerate(order)}
    return {
        cell: Drawn(
            at[cell, "sums"],
            at[cell, "weights"],
            table.centre,
            table.total,
            members[table.weights[members] > 0],
        )
        for cell, table in tables.items()
    }


def _resampled(table: Floats, generator: np.random.Generator, draws: int) -> Floats:
    """Column sums of `table` (units by columns) over `draws` draws of its rows with replacement.

    Judges give few distinct scores. Equal rows are interchangeable, so drawing how often each distinct row
    comes up (multinomial) has the very same distribution, at a small share of the cost.
    """
    import numpy as np

    units = len(table)
    distinct, sizes = np.unique(table, axis=0, return_counts=True)
    if len(distinct) * _MULTINOMIAL_GAIN <= units:
        times = generator.multinomial(units, sizes / units, size=draws)
        return times.astype(np.float64) @ distinct
    totals = np.empty((draws, table.shape[1]))
    at_once = _DRAWS_AT_ONCE_OF_WIDE if table.shape[1] > _WIDE else _DRAWS_AT_ONCE
    step = max(1, at_once // units)
    for start in range(0, draws, step):
        rows = min(step, draws - start)
        drawn = generator.integers(0, units, size=(rows, units))
        drawn += np.arange(rows)[:, None] * units
        times = np.bincount(drawn.ravel(), minlength=rows * units).reshape(rows, units)
        totals[start : start + rows] = times.astype(np.float64) @ table
    return totals


def _generator(seed: int, stream: int) -> np.random.Generator:
    import numpy as np

    return np.random.default_rng([seed & 0xFFFF_FFFF_FFFF_FFFF, stream])


def interval(draws: Floats) -> Interval:
    """The interval that `draws` span; those that are no finite number (a ratio to 0) say nothing."""
    import numpy as np

    finite = np.isfinite(draws)
    if not finite.any():
        return Interval(None, None, "no resample has something of every part")
    draws = np.where(finite, draws, np.nan)
    low, high = percentiles(draws)
    return Interval(low, high, draws=draws)


def percentiles(draws: Floats) -> tuple[float, float]:
    """Ends of the 95 % interval. Draws that missed a group altogether (NaN) say nothing of its mean."""
    import numpy as np

    tail = 100 * (1 - LEVEL) / 2
    ends: Any = np.nanpercentile(draws, [tail, 100 - tail])
    return float(ends[0]), float(ends[1])
