"""How sample scores become the metrics of a task."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import Literal

import msgspec

MissingPolicy = Literal["exclude", "floor", "zero"]
"""What becomes of an answer without a usable verdict: left out of the mean (and counted), given the
lowest score of the scale, or 0. Outages of model or judge are always left out and counted."""


class Means(msgspec.Struct, frozen=True, kw_only=True, tag="means", tag_field="kind"):
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


class Metric(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One number: a leaf over rows, or an inner node over its parts.

    A leaf (no parts) is the weighted mean over the rows of its groups, pooled. With `column` it counts only
    rows whose scores have that component (a score without the key is none of its business, one with None is
    missing), and rows that have no components at all: those are missing. A component with a verdict counts
    where the score as a whole is unparsed, because another has none.

    An inner node is the unweighted mean of its parts' values. A row is scored in it where each of its leaves
    that the row belongs to has a score. Raises ValueError where a leaf has what only an inner node may have,
    or the reverse.
    """

    name: str
    groups: tuple[str, ...] = ()
    """Leaf: the groups of its rows; empty: all rows."""
    parts: tuple[Metric, ...] = ()
    pooled: bool = False
    """Inner node: the rows of all its leaves are averaged together, in place of the parts' values."""
    column: str = ""
    """Leaf: the component of the scores that is averaged, in place of their value."""
    per: str = ""
    """Leaf: divided by the mean of this component over the same rows (a ratio of sums)."""
    factor: float = 1.0
    """Leaf: the mean, or the ratio, times this."""
    each: Literal["response", "sample"] = "response"
    """Leaf: "sample" has the repeats of a sample share its weight, however many of them have a value."""
    blocks: int | None = None
    """Quirk, leaf: rows with a value are taken in blocks of so many, in the order of their ids and in each
    group by itself, and the mean is that of the blocks' means: a short last block weighs as much as a whole
    one. A pooled node is over the rows alone."""
    spread: bool = False
    """Leaf with blocks: the standard deviation (population) of the blocks' means, in place of their mean."""
    corpus: str = ""
    """Leaf: the task makes the number of the items called `column` of all its rows at once, by what this
    names (`Task.corpus`), in place of a mean: F1, a perplexity, BLEU. It is no part of another metric."""
    skip_empty: bool = False
    """Inner node: the mean of those parts that have a value (else one without leaves the node without)."""
    round_means: int | None = None
    """Quirk of published scripts: means are rounded to so many digits before they are divided or go up."""
    digits: int | None = None
    """Quirk: the number itself is rounded to so many digits, and goes up like that."""
    low: float | None = None
    """Ends of the scale, where they differ from the tree's."""
    high: float | None = None
    higher_is_better: bool | None = None
    """Where it differs from the tree's."""

    def __post_init__(self) -> None:
        wrong = _leaf_fields(self) if self.parts else _inner_fields(self)
        if wrong:
            kind = "parts" if self.parts else "no parts"
            raise ValueError(f"metric {self.name!r} has {kind}: {', '.join(wrong)} is not for it")
        if not math.isfinite(self.factor) or not self.factor:
            raise ValueError(f"metric {self.name!r}: factor is {self.factor}, expected a number but 0")
        if self.spread and (not self.blocks or self.per):
            raise ValueError(f"metric {self.name!r}: a spread is one of blocks, and no ratio")
        if self.blocks is not None and self.blocks < 1:
            raise ValueError(f"metric {self.name!r}: blocks of {self.blocks} rows, expected 1 or more")
        if any(part.corpus for part in self.parts):
            raise ValueError(
                f"metric {self.name!r}: what is made of all rows at once has no mean with others"
            )
        if self.pooled and len({(leaf.factor, leaf.each, bool(leaf.per)) for leaf in self.leaves()}) > 1:
            raise ValueError(f"metric {self.name!r} is pooled: its leaves need one factor, each, and per")

    def walk(self, depth: int = 0) -> Iterator[tuple[Metric, int]]:
        """The metric and all below it, each with its depth, in the order in which they are shown."""
        yield self, depth
        for part in self.parts:
            yield from part.walk(depth + 1)

    def leaves(self) -> Iterator[Metric]:
        return (metric for metric, _ in self.walk() if not metric.parts)


class Tree(msgspec.Struct, frozen=True, kw_only=True, tag="tree", tag_field="kind"):
    """Metrics that are made of each other: categories of groups, ratios, components.

    LLaVA-Bench, for one: the ratings of the model per those of the reference, by category and over all.
    Raises ValueError where two metrics have one name, or one has none.
    """

    headline: Metric
    """Shown first; its parts are shown below it."""
    others: tuple[Metric, ...] = ()
    """Shown after it, and not part of it."""
    low: float = 0.0
    high: float = 1.0
    """Ends of the metrics' scale, for display and for the missing policy."""
    higher_is_better: bool = True

    def __post_init__(self) -> None:
        counts = Counter(metric.name for metric, _ in self.walk())
        if "" in counts:
            raise ValueError("a metric of the tree is without a name")
        twice = [name for name, n in counts.items() if n > 1]
        if twice:
            raise ValueError(f"metric {twice[0]!r} is there twice: names in a tree must differ")

    def walk(self) -> Iterator[tuple[Metric, int]]:
        """Every metric with its depth, in the order in which they are shown."""
        for root in (self.headline, *self.others):
            yield from root.walk()


_LEAF_ONLY = ("groups", "column", "per", "blocks", "spread", "corpus")


def _leaf_fields(metric: Metric) -> list[str]:
    return [name for name in _LEAF_ONLY if getattr(metric, name)] + [
        name for name, default in (("factor", 1.0), ("each", "response")) if getattr(metric, name) != default
    ]


def _inner_fields(metric: Metric) -> list[str]:
    return [name for name in ("pooled", "skip_empty") if getattr(metric, name)]
