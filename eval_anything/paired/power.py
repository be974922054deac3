"""How large a change must be to be seen, and several tests at once."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist


def detectable(error: float, alpha: float, power: float = 0.8, sides: int = 2) -> float:
    """The smallest true change that a test at level `alpha` finds with probability `power`.

    (z(1 - alpha / sides) + z(power)) * error, `error` the standard error of the difference (Bloom, "Minimum
    Detectable Effects", Evaluation Review 19, 1995).
    """
    normal = NormalDist()
    return (normal.inv_cdf(1 - alpha / sides) + normal.inv_cdf(power)) * error


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
