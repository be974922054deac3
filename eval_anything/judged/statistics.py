"""Numbers over samples with 95 % intervals: means, and whatever else can be computed of rows drawn anew.

All draws take whole clusters: the existing bootstrap for means, rows by their clusters for correlations,
slopes and the like, which are no means.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import NormalDist
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

from eval_anything.errors import MissingExtra
from eval_anything.judged.values import Bin, Measure
from eval_anything.stats.bootstrap import LEVEL, Cell, Column, Interval, interval, resample, too_few

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Codes = NDArray[np.int64]

RESAMPLES = 1000
_GROUPS = 200
"""Clusters are left out in no more groups than this: more say little and take long."""


class Drawing(NamedTuple):
    """How intervals are made."""

    resamples: int = RESAMPLES
    seed: int = 0


def mean(name: str, values: Sequence[float], clusters: Sequence[str], drawing: Drawing) -> Measure:
    """The mean over all rows."""
    import numpy as np

    if not len(values):
        return Measure(name=name, value=None, n=0, reason="nothing to compare")
    column = Column(np.asarray(values, dtype=np.float64), np.ones(len(values)))
    strata = np.zeros(len(values), dtype=np.int64)
    drawn = resample([column], strata, _codes(clusters), 1, drawing.seed, drawing.resamples)
    cells = [Cell(0, 0)]
    reason = drawn.why_none(cells)
    span = Interval(None, None, reason) if reason else interval(drawn.mean(cells))
    return Measure(
        name=name,
        value=float(np.mean(column.values)),
        low=span.low,
        high=span.high,
        n=len(values),
        reason=reason,
    )


def drawn(
    name: str,
    statistic: Callable[..., float],
    columns: Sequence[Floats],
    clusters: Sequence[str],
    drawing: Drawing,
) -> Measure:
    """`statistic` of `columns`, arrays of one length; NaN is no value, and a draw of it says nothing."""
    import numpy as np

    n = len(clusters)
    value = float(statistic(*columns)) if n else float("nan")
    if not np.isfinite(value):
        return Measure(name=name, value=None, n=n, reason="no spread in it" if n else "nothing to compare")
    codes = _codes(clusters)
    if (found := int(codes.max()) + 1) < 2:
        return Measure(name=name, value=value, n=n, reason=too_few(found))
    rows = np.argsort(codes, kind="stable")
    sizes = np.bincount(codes)
    starts = np.cumsum(sizes) - sizes
    generator = np.random.default_rng([drawing.seed & 0xFFFF_FFFF_FFFF_FFFF, 1])
    draws = np.empty(drawing.resamples)
    for i in range(drawing.resamples):
        picked = generator.integers(0, found, found)
        lengths = sizes[picked]
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        at = rows[np.repeat(starts[picked], lengths) + within]
        draws[i] = statistic(*(column[at] for column in columns))
    span = interval(draws)
    return Measure(name=name, value=value, low=span.low, high=span.high, n=n, reason=span.reason)


def left_out(
    name: str, statistic: Callable[[Floats], float], table: Floats, clusters: Sequence[str]
) -> Measure:
    """`statistic` of all rows, with an interval from leaving out groups of clusters in turn (the jackknife:
    Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 11).

    For numbers that look at pairs of rows: one that is drawn twice would agree with itself.
    """
    import numpy as np

    n = len(table)
    value = statistic(table) if n else float("nan")
    if not np.isfinite(value):
        return Measure(name=name, value=None, n=n, reason="no spread in it" if n else "nothing to compare")
    codes = _codes(clusters) % _GROUPS
    groups = np.unique(codes)
    if len(groups) < 2:
        return Measure(name=name, value=value, n=n, reason=too_few(len(groups)))
    without = np.array([statistic(table[codes != group]) for group in groups])
    if not np.isfinite(without).all():
        return Measure(name=name, value=value, n=n, reason="one group of answers holds all of the spread")
    error = float(np.sqrt((len(groups) - 1) * without.var()))
    half = NormalDist().inv_cdf((1 + LEVEL) / 2) * error
    return Measure(name=name, value=value, low=value - half, high=value + half, n=n)


def _codes(clusters: Sequence[str]) -> Codes:
    import numpy as np

    found: Codes = np.unique(np.asarray(clusters, dtype=object).astype(str), return_inverse=True)[1]
    return found.reshape(-1)


def correlations() -> dict[str, Callable[[Floats, Floats], float]]:
    """SciPy's, by name; NaN where a side does not vary. Raises MissingExtra without SciPy."""
    stats = _scipy()
    found = {"Pearson's r": "pearsonr", "Spearman's rho": "spearmanr", "Kendall's tau-b": "kendalltau"}
    return {name: _varying(getattr(stats, function)) for name, function in found.items()}


def _varying(function: Callable[..., object]) -> Callable[[Floats, Floats], float]:
    def correlation(one: Floats, other: Floats) -> float:
        if len(one) < 2 or (one == one[0]).all() or (other == other[0]).all():
            return float("nan")
        return float(function(one, other).statistic)  # type: ignore[attr-defined]

    return correlation


def _scipy() -> ModuleType:
    try:
        import scipy.stats
    except ImportError as fault:
        raise MissingExtra(f"correlations need {fault.name}: pip install 'eval-anything[stats]'") from None
    found: ModuleType = scipy.stats
    return found


def slope(x: Floats, y: Floats) -> float:
    """Of the least-squares line; NaN where x does not vary."""
    centred = x - x.mean()
    spread = float(centred @ centred)
    return float(centred @ y) / spread if spread > 0 else float("nan")


def bins(ratings: Floats, labels: Floats, scale: tuple[float, float], n: int) -> list[Bin]:
    """`n` of equal width over the scale, those that hold ratings."""
    import numpy as np

    edges, places = _places(ratings, scale, n)
    return [
        Bin(
            low=float(edges[k]),
            high=float(edges[k + 1]),
            n=int(here.sum()),
            rating=float(np.mean(ratings[here])),
            label=float(np.mean(labels[here])),
        )
        for k in range(n)
        if (here := places == k).any()
    ]


def calibration_error(ratings: Floats, labels: Floats, scale: tuple[float, float], n: int) -> float:
    """ECE: the mean over all ratings of how far their bin's mean is from the mean of its labels, in points of
    the scale (Naeini, Cooper and Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian
    Binning", AAAI 2015)."""
    import numpy as np

    _, places = _places(ratings, scale, n)
    return float(np.abs(np.bincount(places, weights=ratings - labels, minlength=n)).sum() / len(ratings))


def _places(ratings: Floats, scale: tuple[float, float], n: int) -> tuple[Floats, Codes]:
    """Edges of the bins, and the bin of each rating; the scale's end, and what lies beyond, in the last."""
    import numpy as np

    low, high = scale
    edges = np.linspace(low, high, n + 1)
    places = np.clip(np.searchsorted(edges, ratings, side="right") - 1, 0, n - 1)
    return edges, places.astype(np.int64)
