"""How sample scores become the metrics of a task."""

from __future__ import annotations

from typing import Literal

import msgspec

MissingPolicy = Literal["exclude", "floor", "zero"]
"""What becomes of an answer without a usable verdict: left out of the mean (and counted), given the
lowest score of the scale, or 0. Outages of model or judge are always left out and counted."""


class Means(msgspec.Struct, frozen=True, kw_only=True):
    """Mean of the scores; with groups, the mean of each, and their unweighted mean as the overall.

    AMU, for one: four evaluation dimensions, and `AMU` as the mean of the four means.
    """

    overall: str
    """Name of the headline metric."""
    groups: tuple[str, ...] = ()
    """Groups in the order in which they are shown; empty: one plain mean over all samples."""
    components: tuple[str, ...] = ()
    """Names in `Score.components` that are averaged by themselves, under the headline."""
    low: float = 0.0
    high: float = 1.0
    """Ends of the scale, for display and for the missing policy."""
    higher_is_better: bool = True
