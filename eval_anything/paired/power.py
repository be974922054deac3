"""Tests of changes: p-values, several at once, and how large a change must be to be seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eval_anything.stats.bootstrap import Floats

_SAME = 1e-12


def detectable(
    threshold: float, error: float, clusters: int, power: float = 0.8, tolerated: float = 0.0
) -> float:
    """The smallest true change that a test finds with probability `power`.

    tolerated + threshold * sqrt(1 + ((tolerated + threshold) / error + z)^2 / clusters) + z * error, z the
    normal quantile of `power`, `error` the standard error of the difference (Bloom, "Minimum Detectable
    Effects", Evaluation Review 19, 1995). The root makes up for the change's own part in the spread of
    exchanged labels.
    """
    z = NormalDist().inv_cdf(power)
    return (
        tolerated
        + threshold * math.sqrt(1 + ((tolerated + threshold) / error + z) ** 2 / clusters)
        + z * error
    )


def threshold(null: Floats, alpha: float) -> float | None:
    """What an observed change must exceed for p <= alpha, given its draws without a change.

    Scores of few values give changes of few values: half of the step to the next one is added. None where
    no p can be so small: too few draws, or so few clusters that the largest change is drawn too often.
    """
    import numpy as np

    known = np.sort(null[np.isfinite(null)])[::-1]
    rank = math.floor(alpha * (1 + len(known)) - 1 + 1e-9)
    if rank < 0 or rank >= len(known):
        return None
    at = float(known[rank])
    above = known[known > at + _SAME * max(1.0, abs(at))]
    return at + (float(above.min()) - at) / 2 if len(above) else None


def p_value(null: Floats, observed: float) -> float | None:
    """The share of draws without a change that are at least as extreme as what was observed, which is one of
    them itself (Phipson and Smyth, "Permutation p-values should never be zero", 2010)."""
    import numpy as np

    known = null[np.isfinite(null)]
    if not len(known):
        return None
    tolerance = _SAME * max(1.0, abs(observed))
    return float((1 + (known >= observed - tolerance).sum()) / (1 + len(known)))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """p-values adjusted for testing all of them (Holm, Scandinavian Journal of Statistics 6, 1979); None, of
    what could not be tested, stays None and does not count."""
    known = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, i) in enumerate(known):
        highest = max(highest, min(1.0, (len(known) - rank) * p))
        adjusted[i] = highest
    return adjusted
