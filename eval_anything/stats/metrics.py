"""The metrics of one task, computed from the verdicts on its responses."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from eval_anything.stats.aggregate import Means, MissingPolicy
from eval_anything.values import ScoreState

if TYPE_CHECKING:
    from eval_anything.stats.bootstrap import Interval, Intervals

# Only these say something about the answer; the other states are outages of the judge or the model.
_ANSWERED_BADLY: tuple[ScoreState, ...] = ("unparsed", "refused")


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What became of one response, as far as metrics are concerned."""

    id: str
    repeat: int
    group: str
    cluster: str
    """Empty: the sample is a cluster of its own, which its repeats share."""
    state: ScoreState | None
    """None: not judged yet (the run is unfinished)."""
    value: float | None
    truncated: bool = False

    @property
    def outcome(self) -> ScoreState | None:
        """The state, where "scored" without a number is what it amounts to: no usable verdict."""
        return "unparsed" if self.state == "scored" and self.value is None else self.state


class MetricResult(msgspec.Struct, frozen=True, kw_only=True):
    """One number with its error bar and with all that is missing from it. n = n_scored + missing."""

    name: str
    headline: bool
    """Whether it is the task's overall metric."""
    value: float | None
    reason: str = ""
    """Why there is no value; empty when there is one."""
    low: float | None = None
    """Lower end of the 95 % bootstrap interval."""
    high: float | None = None
    interval_reason: str = ""
    """Why there is no interval; empty when there is one."""
    n: int
    """Responses planned (headline); responses in the journal (groups: the plan does not split them)."""
    n_scored: int
    n_missing: dict[str, int]
    """Responses without a score by score state; those not judged yet are in none of them."""
    n_imputed: int = 0
    """How many of the missing entered the mean under the missing policy."""
    n_truncated: int = 0
    scale_low: float
    scale_high: float
    higher_is_better: bool

    @property
    def missing(self) -> int:
        return self.n - self.n_scored

    @property
    def judge_error_rate(self) -> float | None:
        """Share of the verdicts asked for that the judge did not give; None where none was asked for."""
        return judge_error_rate(self.n_scored, self.n_missing)


def judge_error_rate(scored: int, missing: dict[str, int]) -> float | None:
    """(unparsed + judge_error) / (scored + unparsed + judge_error)."""
    failed = missing.get("unparsed", 0) + missing.get("judge_error", 0)
    return failed / (scored + failed) if scored + failed else None


def evaluate(
    means: Means, rows: Iterable[Verdict], policy: MissingPolicy, seed: int, planned: int | None = None
) -> list[MetricResult]:
    """The headline metric, then one for each group. The order of `rows` does not matter.

    `planned` is how many responses the task is to have; None: as many as there are rows. The missing policy
    reaches unparsed and refused answers only. A group without any value leaves the headline without one:
    the mean of the rest would be a different metric under the same name. Rows of groups that `means` does
    not name are in no mean; they count as missing from the headline.
    """
    ordered = sorted(rows, key=lambda row: (row.id, row.repeat))
    named = means.groups or ("",)
    by_group: dict[str, list[Verdict]] = {name: [] for name in named}
    for row in ordered:
        if not means.groups:
            by_group[""].append(row)
        elif row.group in by_group:
            by_group[row.group].append(row)
    cells = [_Cell(by_group[name], means, policy) for name in named]
    intervals = _intervals(cells, seed)
    total = max(planned or 0, len(ordered))
    headline = _headline(means, cells, intervals.overall, total)
    if not means.groups:
        return [headline]
    groups = [
        cell.result(name, means, interval)
        for name, cell, interval in zip(named, cells, intervals.groups, strict=True)
    ]
    return [headline, *groups]


class _Cell:
    """The rows of one group, the values that enter its mean, and what is missing."""

    def __init__(self, rows: Sequence[Verdict], means: Means, policy: MissingPolicy) -> None:
        self.rows = rows
        self.used: list[Verdict] = []
        self.values: list[float] = []
        self.missing: Counter[str] = Counter()
        self.scored = 0
        substitute = _substitute(means, policy)
        for row in rows:
            outcome = row.outcome
            if outcome == "scored" and row.value is not None:
                self.scored += 1
                self._use(row, row.value)
            elif outcome is not None:
                self.missing[outcome] += 1
                if substitute is not None and outcome in _ANSWERED_BADLY:
                    self._use(row, substitute)

    def _use(self, row: Verdict, value: float) -> None:
        self.used.append(row)
        self.values.append(value)

    @property
    def value(self) -> float | None:
        return math.fsum(self.values) / len(self.values) if self.values else None

    @property
    def truncated(self) -> int:
        return sum(row.truncated for row in self.rows)

    def why_none(self) -> str:
        if not self.rows:
            return "no responses"
        states = ", ".join(f"{n} {state}" for state, n in sorted(self.missing.items()))
        waiting = len(self.rows) - self.missing.total()
        parts = [states] if states else []
        parts += [f"{waiting} not judged yet"] if waiting else []
        return f"nothing scored of {len(self.rows)}: {', '.join(parts)}"

    def result(self, name: str, means: Means, interval: Interval) -> MetricResult:
        value = self.value
        return MetricResult(
            name=name,
            headline=False,
            value=value,
            reason="" if value is not None else self.why_none(),
            low=interval.low,
            high=interval.high,
            interval_reason=interval.reason,
            n=len(self.rows),
            n_scored=self.scored,
            n_missing=dict(sorted(self.missing.items())),
            n_imputed=len(self.values) - self.scored,
            n_truncated=self.truncated,
            scale_low=means.low,
            scale_high=means.high,
            higher_is_better=means.higher_is_better,
        )


def _substitute(means: Means, policy: MissingPolicy) -> float | None:
    """What stands in for an unusable verdict. The floor is the worst end of the scale, whichever that is."""
    if policy == "exclude":
        return None
    if policy == "zero":
        return 0.0
    return means.low if means.higher_is_better else means.high


def _headline(means: Means, cells: list[_Cell], interval: Interval, total: int) -> MetricResult:
    values = [cell.value for cell in cells]
    known = [value for value in values if value is not None]
    reason = ""
    if len(known) < len(values):
        empty = values.index(None)
        reason = cells[empty].why_none()
        if means.groups:
            others = len(values) - len(known) - 1
            reason = f"group {means.groups[empty]!r}: {reason}"
            reason += f"; {others} more without a score" if others else ""
    missing = sum((cell.missing for cell in cells), Counter())
    return MetricResult(
        name=means.overall,
        headline=True,
        value=None if reason else math.fsum(known) / len(known),
        reason=reason,
        low=interval.low,
        high=interval.high,
        interval_reason=interval.reason,
        n=total,
        n_scored=sum(cell.scored for cell in cells),
        n_missing=dict(sorted(missing.items())),
        n_imputed=sum(len(cell.values) - cell.scored for cell in cells),
        n_truncated=sum(cell.truncated for cell in cells),
        scale_low=means.low,
        scale_high=means.high,
        higher_is_better=means.higher_is_better,
    )


def _intervals(cells: list[_Cell], seed: int) -> Intervals:
    import numpy as np

    from eval_anything.stats.bootstrap import bootstrap

    names = [row.cluster or row.id for cell in cells for row in cell.used]
    # Sorted by name, so that the codes, and with them the draws, do not depend on the order of arrival.
    codes = {name: code for code, name in enumerate(sorted(set(names)))}
    return bootstrap(
        np.array([value for cell in cells for value in cell.values], dtype=np.float64),
        np.repeat(np.arange(len(cells)), [len(cell.values) for cell in cells]),
        np.array([codes[name] for name in names], dtype=np.int64),
        len(cells),
        seed,
    )
