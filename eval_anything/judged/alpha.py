"""Krippendorff's alpha: how far several judges agree beyond chance; 1 fully, 0 as chance would have it.

Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011. Units without two verdicts say nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Level = Literal["nominal", "ordinal"]


def alpha(table: Floats, level: Level) -> float:
    """`table`: units by judges, NaN where a judge has no verdict. NaN where all verdicts are one value, or
    no unit has two: there is no chance to compare with.

    1 - D_o / D_e, observed by expected disagreement: nominal counts unequal pairs, ordinal the squared
    distance of their mid-ranks, which is Krippendorff's ordinal metric.
    """
    import numpy as np

    table = table[np.isfinite(table).sum(axis=1) >= 2]
    given = np.isfinite(table)
    per_unit = given.sum(axis=1).astype(np.float64)
    _, codes = np.unique(table[given], return_inverse=True)
    counts = np.bincount(codes).astype(np.float64)
    n = counts.sum()
    if level == "nominal":
        observed = _unequal(table, per_unit)
        expected = n**2 - (counts**2).sum()
    else:
        ranks = np.cumsum(counts) - counts / 2
        placed = np.zeros(table.shape)
        placed[given] = ranks[codes] - n / 2
        observed = 2 * (per_unit * (placed**2).sum(axis=1) - placed.sum(axis=1) ** 2)
        expected = 2 * n * (counts * (ranks - n / 2) ** 2).sum()
    if not expected > 0:
        return float("nan")
    return float(1 - (observed / (per_unit - 1)).sum() * (n - 1) / expected)


def _unequal(table: Floats, per_unit: Floats) -> Floats:
    """Ordered pairs of verdicts on each unit that are not the same."""
    judges = table.shape[1]
    equal = sum(
        (table[:, a] == table[:, b]).astype(float) for a in range(judges) for b in range(judges) if a != b
    )
    found: Floats = per_unit * (per_unit - 1) - equal
    return found
