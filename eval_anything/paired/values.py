"""What a comparison of two runs comes to."""

from __future__ import annotations

import msgspec


class MetricChange(msgspec.Struct, frozen=True, kw_only=True):
    """One metric in both runs, on the samples that both have."""

    name: str
    depth: int
    before: float | None
    after: float | None
    difference: float | None
    """after - before."""
    low: float | None = None
    """Lower end of the 95 % interval of the difference, from the same resampled clusters in both."""
    high: float | None = None
    error: float | None = None
    """Standard error of the difference: the deviation of its draws."""
    p: float | None = None
    """Two-sided, from labels exchanged within clusters."""
    p_worse: float | None = None
    """One-sided: that the second run is worse by no more than what is tolerated."""
    detectable: float | None = None
    """The smallest true change, either way, that would be found with the comparison's power; None also where
    no change could be found, or where nothing varies."""
    detectable_drop: float | None = None
    """The smallest true drop that a one-sided test would find with it."""
    reason: str = ""
    """Why a number is missing."""
    higher_is_better: bool = True
    scale: tuple[float, float] = (0.0, 1.0)

    @property
    def gain(self) -> float | None:
        """The difference, positive where the second run is better."""
        if self.difference is None:
            return None
        return self.difference if self.higher_is_better else -self.difference


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """One sample whose score changed."""

    id: str
    repeat: int
    group: str
    before: float
    after: float


class TaskComparison(msgspec.Struct, frozen=True, kw_only=True):
    task: str
    version: str
    profile: str
    synthetic: bool
    pairs: int
    """Answers to one sample and repeat, scored in both runs."""
    clusters: int
    """Independent samples among them."""
    only_before: int
    only_after: int
    unscored: int
    """In both runs, and without a usable score in one."""
    unmatched: list[str]
    """Some of those, by name."""
    wins: int
    """Pairs in which the second run's score is better."""
    ties: int
    losses: int
    metrics: list[MetricChange]
    """The headline first."""
    p_holm: float | None = None
    """The headline's p, adjusted for all tasks compared."""
    changed: list[Changed] = []
    """The samples that changed most."""
    settings: list[str] = []
    """What differs in how the two were measured, apart from the model: the difference is then not the
    model's alone."""

    @property
    def headline(self) -> MetricChange:
        return self.metrics[0]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    format: int = 1
    before: str
    """Model of the first run."""
    after: str
    complete: bool
    """Whether both runs are finished."""
    alpha: float
    power: float
    resamples: int
    seed: int
    tasks: list[TaskComparison]
    only_before: list[str]
    """Tasks that only the first run has."""
    only_after: list[str]
