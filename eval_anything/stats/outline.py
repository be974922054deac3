"""A task's metrics as they are computed and shown, whichever way its aggregation is written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from eval_anything.stats.aggregate import Means, Metric, Tree


class Entry(NamedTuple):
    metric: Metric
    depth: int
    whole: bool
    """Whether every response planned belongs to it; how many belong to parts, the plan does not say."""


class Outline(NamedTuple):
    """`Means` and `Tree` in one form: all metrics in the order in which they are shown."""

    entries: tuple[Entry, ...]
    low: float
    high: float
    higher_is_better: bool
    lacking_is_missing: bool
    """A score without the key of a component: missing from its mean, or none of its business."""

    @property
    def headline(self) -> Metric:
        return self.entries[0].metric

    @property
    def names(self) -> list[str]:
        return [entry.metric.name for entry in self.entries]

    def leaves(self) -> Iterator[Metric]:
        return (entry.metric for entry in self.entries if not entry.metric.parts)

    def groups(self) -> tuple[str, ...]:
        """Every group that a metric names, in the order of first mention."""
        return tuple(dict.fromkeys(group for leaf in self.leaves() for group in leaf.groups))

    def takes_any_group(self) -> bool:
        """Whether some metric is over all rows, of whatever group."""
        return any(not leaf.groups for leaf in self.leaves())

    def columns(self) -> frozenset[str]:
        """The components of scores that go into a metric."""
        means = [leaf for leaf in self.leaves() if not leaf.corpus]
        return frozenset(name for leaf in means for name in (leaf.column, leaf.per) if name)

    def scale(self, metric: Metric) -> tuple[float, float]:
        """Lowest and highest value of `metric`."""
        low = self.low if metric.low is None else metric.low
        high = self.high if metric.high is None else metric.high
        return low, high

    def better(self, metric: Metric) -> bool:
        """Whether higher values of `metric` are better."""
        return self.higher_is_better if metric.higher_is_better is None else metric.higher_is_better

    def value_scale(self) -> tuple[float, float] | None:
        """Lowest and highest value of a score; None where no metric is a mean of the values themselves."""
        for leaf in self.leaves():
            if not leaf.column and not leaf.per and not leaf.corpus:
                low, high = sorted(end / leaf.factor for end in self.scale(leaf))
                return low, high
        return None


def outline(aggregation: Means | Tree) -> Outline:
    if isinstance(aggregation, Means):
        entries = _of_means(aggregation)
    else:
        entries = tuple(
            Entry(metric, depth, metric is aggregation.headline or _takes_every_row(metric))
            for metric, depth in aggregation.walk()
        )
    return Outline(
        entries,
        aggregation.low,
        aggregation.high,
        aggregation.higher_is_better,
        lacking_is_missing=isinstance(aggregation, Means),
    )


def _of_means(means: Means) -> tuple[Entry, ...]:
    groups = tuple(Metric(name=name, groups=(name,)) for name in means.groups)
    components = (Metric(name=name, column=name, groups=means.groups) for name in means.components)
    return (
        Entry(Metric(name=means.overall, parts=groups), 0, whole=True),
        *(Entry(metric, 1, whole=True) for metric in components),
        *(Entry(metric, 1, whole=False) for metric in groups),
    )


def _takes_every_row(metric: Metric) -> bool:
    return any(not leaf.groups and not leaf.column for leaf in metric.leaves())
