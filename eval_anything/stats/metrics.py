"""The metrics of one task, computed from the verdicts on its responses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from eval_anything.stats.aggregate import Means, MissingPolicy, Tree
from eval_anything.stats.bootstrap import Interval
from eval_anything.stats.cell import Verdict
from eval_anything.stats.formula import Draws, Points
from eval_anything.stats.outline import Entry, Outline, outline
from eval_anything.stats.sheet import Sheet

if TYPE_CHECKING:
    from eval_anything.stats.bootstrap import Floats


class MetricResult(msgspec.Struct, frozen=True, kw_only=True):
    """One number with its error bar and with all that is missing from it. n = n_scored + missing."""

    name: str
    headline: bool
    """Whether it is the task's overall metric."""
    depth: int
    """How far below the headline it stands: 0 for the headline itself and for what is not part of it."""
    value: float | None
    reason: str = ""
    """Why there is no value; empty when there is one."""
    low: float | None = None
    """Lower end of the 95 % bootstrap interval."""
    high: float | None = None
    interval_reason: str = ""
    """Why there is no interval; empty when there is one."""
    n: int
    """Responses planned, where it is over all of them; else those in the journal that belong to it: the plan
    does not split them."""
    n_scored: int
    n_missing: dict[str, int]
    """Responses without a score by score state; those not judged yet are in none of them."""
    n_imputed: int = 0
    """How many of the missing entered the mean, under the missing policy or by the protocol itself."""
    n_stand_in: int = 0
    """How many of those by the protocol: it has a number of its own for them."""
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
    aggregation: Means | Tree,
    rows: Iterable[Verdict],
    policy: MissingPolicy,
    seed: int,
    planned: int | None = None,
) -> list[MetricResult]:
    """What `measure` finds, without the draws."""
    return [found.result for found in measure(aggregation, rows, policy, seed, planned)]


def measure(
    aggregation: Means | Tree,
    rows: Iterable[Verdict],
    policy: MissingPolicy,
    seed: int,
    planned: int | None = None,
) -> list[Measurement]:
    """The headline metric, then all others in the order in which they are shown: of `Means` one for each
    component and one for each group; of a `Tree` the headline's parts and theirs, then its others. The order
    of `rows` does not matter.

    Means of rows are weighted by the rows' weights. `planned` is how many responses the task is to have;
    None: as many as there are rows. The missing policy reaches unparsed and refused answers only, and none
    that has a value all the same: that is the protocol's own, so it is in the mean, and still counts as
    missing. A part without any value leaves the whole without one, unless it is to be skipped: the mean of
    the rest would be a different metric under the same name. Rows of groups that no metric takes are in no
    mean; they count as missing from the headline.
    """
    shown = outline(aggregation)
    ordered = sorted(rows, key=lambda row: (row.id, row.repeat))
    sheet = Sheet(ordered, shown, policy)
    points = Points(sheet)
    draws = Draws(sheet, points, sheet.resampled(seed))
    total = max(planned or 0, len(ordered))
    found = []
    for entry in shown.entries:
        interval = draws.interval(entry.metric)
        found.append(Measurement(_result(shown, entry, sheet, points, interval, total), interval.draws))
    return found


def _result(
    shown: Outline, entry: Entry, sheet: Sheet, points: Points, interval: Interval, total: int
) -> MetricResult:
    metric = entry.metric
    tally = sheet.tally(metric)
    reason = points.why_none(metric)
    low, high = shown.scale(metric)
    return MetricResult(
        name=metric.name,
        headline=metric is shown.headline,
        depth=entry.depth,
        value=None if reason else points.value(metric),
        reason=reason,
        low=interval.low,
        high=interval.high,
        interval_reason=interval.reason,
        n=total if entry.whole else tally.n,
        n_scored=tally.scored,
        n_missing=tally.missing,
        n_imputed=tally.imputed,
        n_stand_in=tally.stand_in,
        n_truncated=tally.truncated,
        scale_low=low,
        scale_high=high,
        higher_is_better=shown.better(metric),
    )
