"""What the measuring of judges comes to."""

from __future__ import annotations

import msgspec


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """One number with its 95 % interval."""

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    n: int
    """Samples (or pairs of verdicts) that it is over."""
    reason: str = ""
    """Why there is no value, or no interval."""


class Bin(msgspec.Struct, frozen=True, kw_only=True):
    """Ratings from `low` to `high` (in the last bin with its end), and the labels of the same answers."""

    low: float
    high: float
    n: int
    rating: float
    """Mean of the judge's ratings."""
    label: float
    """Mean of the labels."""


class JudgeMeasures(msgspec.Struct, frozen=True, kw_only=True):
    """One judge on one task."""

    judge: str
    verdicts: int
    missing: int
    """Answers that it was to judge and gave no verdict on."""
    labelled: int
    """Verdicts on answers that have a label."""
    measures: list[Measure]
    calibration: list[Bin] = []


class TaskMeasures(msgspec.Struct, frozen=True, kw_only=True):
    task: str
    synthetic: bool
    judges: list[JudgeMeasures]
    together: list[Measure] = []
    """Of all judges on the same answers."""
    notes: list[str] = []


class Report(msgspec.Struct, frozen=True, kw_only=True):
    format: int = 1
    runs: list[str]
    labels: str
    """Where they come from; empty: there are none."""
    resamples: int
    seed: int
    tasks: list[TaskMeasures]
