"""The one formula of a metric, on numbers and on arrays of bootstrap draws alike."""

from __future__ import annotations

import abc
import math
from typing import TYPE_CHECKING, Generic, TypeVar

from eval_anything.stats.aggregate import Metric
from eval_anything.stats.bootstrap import ONE_GROUP, Interval, Resampled, interval
from eval_anything.stats.sheet import Sheet

if TYPE_CHECKING:
    from eval_anything.stats.bootstrap import Floats

N = TypeVar("N")


class Formula(abc.ABC, Generic[N]):
    """A metric over rows with weights w, values v and divisors d is factor * (sum wv / sum w), with `per`
    factor * (sum wv / sum w) / (sum wd / sum w); a metric over parts is their unweighted mean."""

    def __init__(self, sheet: Sheet) -> None:
        self._sheet = sheet
        self._known: dict[Metric, N] = {}

    def value(self, metric: Metric) -> N:
        """Of a metric that has one: `Points.why_none` says whether it has."""
        if metric not in self._known:
            self._known[metric] = self._of_rows(metric) if _is_of_rows(metric) else self._of_parts(metric)
        return self._known[metric]

    def _of_parts(self, metric: Metric) -> N:
        mean = self._mean([self.value(part) for part in self.counted(metric)])
        return self._rounded(self._rounded(mean, metric.round_means), metric.digits)

    def _of_rows(self, metric: Metric) -> N:
        leaf = next(metric.leaves())
        if leaf.spread:
            return self._rounded(self._spread(leaf), metric.digits)
        mean = self._rounded(self._mean_of_rows(metric, per=False), metric.round_means)
        per = self._rounded(self._mean_of_rows(metric, per=True), metric.round_means) if leaf.per else None
        return self._rounded(self._scaled(mean, per, leaf.factor), metric.digits)

    @abc.abstractmethod
    def counted(self, metric: Metric) -> list[Metric]:
        """The parts that go into the mean of a metric over parts."""

    @abc.abstractmethod
    def _mean_of_rows(self, metric: Metric, *, per: bool) -> N:
        """The weighted mean of the values of all rows, or of what they are divided by."""

    @abc.abstractmethod
    def _spread(self, leaf: Metric) -> N:
        """The standard deviation of the means of the leaf's blocks, times its factor."""

    @abc.abstractmethod
    def _mean(self, parts: list[N]) -> N: ...

    @abc.abstractmethod
    def _scaled(self, mean: N, per: N | None, factor: float) -> N: ...

    @abc.abstractmethod
    def _rounded(self, number: N, digits: int | None) -> N: ...


class Points(Formula[float]):
    """The values themselves."""

    def __init__(self, sheet: Sheet) -> None:
        super().__init__(sheet)
        self._reasons: dict[Metric, str] = {}

    def why_none(self, metric: Metric) -> str:
        """Why the metric has no value; empty where it has one."""
        if metric not in self._reasons:
            self._reasons[metric] = self._why_none(metric)
        return self._reasons[metric]

    def _why_none(self, metric: Metric) -> str:
        if _is_of_rows(metric):
            if not math.fsum(self._sheet.terms(metric).weights.tolist()):
                return self._sheet.tally(metric).why_none()
            leaf = next(metric.leaves())
            if leaf.per and not self._rounded(self._mean_of_rows(metric, per=True), metric.round_means):
                return f"the mean of {leaf.per!r}, by which it is divided, is 0"
            return ""
        reasons = {part: self.why_none(part) for part in metric.parts}
        empty = [part for part, reason in reasons.items() if reason]
        if not empty or (metric.skip_empty and len(empty) < len(metric.parts)):
            return ""
        first, others = empty[0], len(empty) - 1
        name = f"group {first.name!r}" if first.groups == (first.name,) else repr(first.name)
        more = f"; {others} more without a score" if others else ""
        return f"{name}: {reasons[first]}{more}"

    def counted(self, metric: Metric) -> list[Metric]:
        return [part for part in metric.parts if not metric.skip_empty or not self.why_none(part)]

    def _mean_of_rows(self, metric: Metric, *, per: bool) -> float:
        terms = self._sheet.terms(metric)
        total = math.fsum((terms.pers if per else terms.values).tolist())
        return total / math.fsum(terms.weights.tolist())

    def _spread(self, leaf: Metric) -> float:
        return float(self._sheet.block_means(leaf).std()) * abs(leaf.factor)

    def _mean(self, parts: list[float]) -> float:
        return math.fsum(parts) / len(parts)

    def _scaled(self, mean: float, per: float | None, factor: float) -> float:
        return (mean if per is None else mean / per) * factor

    def _rounded(self, number: float, digits: int | None) -> float:
        return number if digits is None else round(number, digits)


class Draws(Formula["Floats"]):
    """The same for every resample at once; never rounded, as the quirk is one of the printed number."""

    def __init__(self, sheet: Sheet, points: Points, resampled: Resampled) -> None:
        super().__init__(sheet)
        self._points = points
        self._resampled = resampled

    def interval(self, metric: Metric) -> Interval:
        reason = self._why_none(metric)
        if not reason and self._points.why_none(metric):
            reason = "no value"
        return Interval(None, None, reason) if reason else interval(self.value(metric))

    def _why_none(self, metric: Metric) -> str:
        """A part whose spread is unknown leaves the whole without: its own would be an understatement."""
        if metric.spread:
            return "a deviation of blocks: resampled rows are in none"
        if _is_of_rows(metric):
            return self._resampled.why_none(self._sheet.cells(metric))
        for part in self.counted(metric):
            reason = self._why_none(part)
            if reason:
                told = len(metric.parts) == 1 or reason.startswith(ONE_GROUP)
                return reason if told else ONE_GROUP + reason
        return ""

    def counted(self, metric: Metric) -> list[Metric]:
        return self._points.counted(metric)

    def _mean_of_rows(self, metric: Metric, *, per: bool) -> Floats:
        return self._resampled.mean(self._sheet.cells(metric, per=per))

    def _spread(self, leaf: Metric) -> Floats:
        raise AssertionError("a spread has no interval")

    def _mean(self, parts: list[Floats]) -> Floats:
        import numpy as np

        means: Floats = np.stack(parts, axis=1).mean(axis=1)
        return means

    def _scaled(self, mean: Floats, per: Floats | None, factor: float) -> Floats:
        import numpy as np

        with np.errstate(invalid="ignore", divide="ignore"):
            return (mean if per is None else mean / per) * factor

    def _rounded(self, number: Floats, digits: int | None) -> Floats:
        return number


def _is_of_rows(metric: Metric) -> bool:
    return not metric.parts or metric.pooled
