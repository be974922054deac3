"""The metrics of one task, computed from the verdicts on its responses."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from eval_anything.stats.aggregate import Means, MissingPolicy
from eval_anything.stats.cell import Cell, Verdict

if TYPE_CHECKING:
    from eval_anything.stats.bootstrap import Floats, Interval, Intervals


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


class Measurement(msgspec.Struct, frozen=True):
    """A metric, and the bootstrap draws behind its interval (None where it has none).

    Draws of one task's metrics belong together: draw k of each is of the same resampled clusters.
    """

    result: MetricResult
    draws: "Floats | None"


def evaluate(
    means: Means, rows: Iterable[Verdict], policy: MissingPolicy, seed: int, planned: int | None = None
) -> list[MetricResult]:
    """What `measure` finds, without the draws."""
    return [found.result for found in measure(means, rows, policy, seed, planned)]


def measure(
    means: Means, rows: Iterable[Verdict], policy: MissingPolicy, seed: int, planned: int | None = None
) -> list[Measurement]:
    """The headline metric, then one for each component, then one for each group. The order of `rows` does
    not matter.

    Every mean is weighted by the rows' weights. `planned` is how many responses the task is to have; None: as
    many as there are rows. The missing policy reaches unparsed and refused answers only; a score that lacks
    a component is unparsed as far as that component goes. A group without any value leaves the headline
    without one: the mean of the rest would be a different metric under the same name. Rows of groups that
    `means` does not name are in no mean; they count as missing from the headline.
    """
    ordered = sorted(rows, key=lambda row: (row.id, row.repeat))
    named = means.groups or ("",)
    by_group: dict[str, list[Verdict]] = {name: [] for name in named}
    for row in ordered:
        if not means.groups:
            by_group[""].append(row)
        elif row.group in by_group:
            by_group[row.group].append(row)
    cells = [Cell(by_group[name], means, policy) for name in named]
    used = [row for name in named for row in by_group[name]]
    parts = [Cell(used, means, policy, component) for component in means.components]
    intervals = _intervals(cells, parts, seed)
    total = max(planned or 0, len(ordered))
    found = [Measurement(_headline(means, cells, intervals.overall, total), intervals.overall.draws)]
    found += [
        Measurement(_result(name, cell, means, interval, total), interval.draws)
        for name, cell, interval in zip(means.components, parts, intervals.parts, strict=True)
    ]
    if means.groups:
        found += [
            Measurement(_result(name, cell, means, interval, len(cell.rows)), interval.draws)
            for name, cell, interval in zip(named, cells, intervals.groups, strict=True)
        ]
    return found


def _result(name: str, cell: Cell, means: Means, interval: Interval, n: int) -> MetricResult:
    return MetricResult(
        name=name,
        headline=False,
        value=cell.value,
        reason="" if cell.value is not None else cell.why_none(),
        low=interval.low,
        high=interval.high,
        interval_reason=interval.reason,
        n=n,
        n_scored=cell.scored,
        n_missing=dict(sorted(cell.missing.items())),
        n_imputed=cell.imputed,
        n_truncated=cell.truncated,
        scale_low=means.low,
        scale_high=means.high,
        higher_is_better=means.higher_is_better,
    )


def _headline(means: Means, cells: list[Cell], interval: Interval, total: int) -> MetricResult:
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
        n_imputed=sum(cell.imputed for cell in cells),
        n_truncated=sum(cell.truncated for cell in cells),
        scale_low=means.low,
        scale_high=means.high,
        higher_is_better=means.higher_is_better,
    )


def _intervals(cells: list[Cell], parts: list[Cell], seed: int) -> Intervals:
    import numpy as np

    from eval_anything.stats.bootstrap import bootstrap

    used = [item for cell in cells for item in cell.used]
    names = [item.row.cluster or item.row.id for item in used]
    # Sorted by name, so that the codes, and with them the draws, do not depend on the order of arrival.
    codes = {name: code for code, name in enumerate(sorted(set(names)))}
    columns = [{id(item.row): item.value for item in part.used} for part in parts]
    return bootstrap(
        np.array([item.value for item in used], dtype=np.float64),
        np.repeat(np.arange(len(cells)), [len(cell.used) for cell in cells]),
        np.array([codes[name] for name in names], dtype=np.int64),
        len(cells),
        seed,
        np.array([item.row.weight for item in used], dtype=np.float64),
        np.array([[column.get(id(item.row), math.nan) for column in columns] for item in used]).reshape(
            len(used), len(columns)
        ),
    )
