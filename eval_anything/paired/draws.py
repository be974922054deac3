"""Draws of two runs at once: the same clusters resampled in both, or the two exchanged within clusters.

A difference of two metrics has far less spread than either of them when the samples are the same: hard ones
are hard for both. So each draw takes the same clusters of both runs, and the difference is computed in it by
the metrics' own formula. For a test, the runs' labels are exchanged cluster by cluster, which changes nothing
if there is no difference (Good, "Permutation, Parametric, and Bootstrap Tests of Hypotheses", 2005, ch. 3).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from eval_anything.stats.aggregate import Means, Metric, MissingPolicy, Tree
from eval_anything.stats.bootstrap import Cell, Column, Drawn, Resampled, resample
from eval_anything.stats.cell import Verdict
from eval_anything.stats.formula import Draws, Points
from eval_anything.stats.outline import Outline, outline
from eval_anything.stats.sheet import Sheet

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Codes = NDArray[np.int64]

_SWAPS_AT_ONCE = 4_000_000
"""Labels drawn at once (draws times clusters): some tens of megabytes."""


class Side(NamedTuple):
    """One of the two runs."""

    sheet: Sheet
    points: Points

    def value(self, metric: Metric) -> float | None:
        return None if self.points.why_none(metric) else self.points.value(metric)


class Both:
    """Two runs on the same samples and repeats, row by row."""

    def __init__(
        self,
        before: tuple[Verdict, ...],
        after: tuple[Verdict, ...],
        aggregation: Means | Tree,
        policy: MissingPolicy,
    ) -> None:
        self.outline: Outline = outline(aggregation)
        self.before, self.after = (
            Side(sheet, Points(sheet))
            for sheet in (Sheet(rows, self.outline, policy) for rows in (before, after))
        )
        self._columns = self.before.sheet.columns()
        self._others = self.after.sheet.columns()
        import numpy as np

        self._used: Codes = np.flatnonzero(self.before.sheet.used | self.after.sheet.used)
        self._strata = self.before.sheet.strata[self._used]
        self._clusters = self.before.sheet.clusters(self._used)

    def differences(self, metric: Metric, resampled: Resampled) -> tuple[Floats, str]:
        """after - before in every draw, and why there are none (an empty array then)."""
        import numpy as np

        draws = [
            Draws(side.sheet, side.points, resampled.beginning(first))
            for side, first in ((self.before, 0), (self.after, len(self._columns)))
        ]
        intervals = [draw.interval(metric) for draw in draws]
        reasons = [found.reason for found in intervals if found.draws is None]
        if reasons or intervals[0].draws is None or intervals[1].draws is None:
            return np.zeros(0), reasons[0] if reasons else "no draws"
        return intervals[1].draws - intervals[0].draws, ""

    def bootstrapped(self, seed: int, draws: int) -> Resampled:
        columns = [
            Column(column.values[self._used], column.weights[self._used])
            for column in (*self._columns, *self._others)
        ]
        return resample(columns, self._strata, self._clusters, self.before.sheet.n_strata, seed, draws)

    def exchanged(self, seed: int, draws: int) -> Resampled:
        """Labels exchanged with probability 1/2 in each cluster, `draws` times."""
        import numpy as np

        n = int(self._clusters.max()) + 1 if len(self._clusters) else 0
        pairs = [
            (Cell(k, g), *tables)
            for k in range(len(self._columns))
            for g, tables in self._tables(k, n).items()
        ]
        if not pairs:
            return Resampled({}, frozenset())
        gaps = np.concatenate(
            [np.stack([b - a for a, b in zip(*two, strict=True)], 1) for _, *two in pairs], 1
        )
        moved = _moved(gaps, np.random.default_rng([seed & 0xFFFF_FFFF_FFFF_FFFF, 1]), draws)
        cells: dict[Cell, Drawn] = {}
        for number, (cell, one, other) in enumerate(pairs):
            shift = moved[:, 2 * number : 2 * number + 2]
            members = np.flatnonzero((one[1] > 0) | (other[1] > 0))
            cells[cell] = _drawn(one, shift, members)
            cells[Cell(cell.column + len(self._columns), cell.stratum)] = _drawn(other, -shift, members)
        return Resampled(cells, frozenset())

    def _tables(self, column: int, n: int) -> dict[int, tuple[tuple[Floats, Floats], tuple[Floats, Floats]]]:
        """By stratum: weighted values and weights of each cluster, in the one run and in the other."""
        import numpy as np

        found = {}
        for stratum in range(self.before.sheet.n_strata):
            here = self._strata == stratum
            codes = self._clusters[here]
            sides = []
            for columns in (self._columns, self._others):
                weights = columns[column].weights[self._used][here]
                values = columns[column].values[self._used][here]
                sums = np.bincount(codes, weights=values * weights, minlength=n).astype(np.float64)
                sides.append((sums, np.bincount(codes, weights=weights, minlength=n).astype(np.float64)))
            if sides[0][1].any() or sides[1][1].any():
                found[stratum] = (sides[0], sides[1])
        return found


def _drawn(side: tuple[Floats, Floats], shift: Floats, members: Codes) -> Drawn:
    sums, weights = side
    return Drawn(
        sums.sum() + shift[:, 0], weights.sum() + shift[:, 1], 0.0, float(weights.sum()) or 1.0, members
    )


def _moved(gaps: Floats, generator: np.random.Generator, draws: int) -> Floats:
    """Sums of random halves of the rows of `gaps` (clusters by columns): (draws, columns)."""
    import numpy as np

    units = len(gaps)
    found = np.empty((draws, gaps.shape[1]))
    step = max(1, _SWAPS_AT_ONCE // max(units, 1))
    for start in range(0, draws, step):
        rows = min(step, draws - start)
        bits = np.unpackbits(
            generator.integers(0, 256, (rows, -(-units // 8)), np.uint8), axis=1, count=units
        )
        found[start : start + rows] = bits.astype(np.float64) @ gaps
    return found
