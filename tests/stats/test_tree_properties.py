"""Random trees over random rows, against the definitions written down once more in the simplest form."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval_anything.stats import bootstrap
from eval_anything.stats.aggregate import Metric, Tree
from eval_anything.stats.cell import Verdict
from eval_anything.stats.metrics import evaluate, measure

GROUPS = ("a", "b", "c")
POLICIES = st.sampled_from(["exclude", "floor", "zero"])
_quirks = {"round_means": st.none() | st.integers(0, 3), "digits": st.none() | st.integers(0, 3)}
_leaf = {
    "groups": st.lists(st.sampled_from(GROUPS), max_size=2, unique=True).map(tuple),
    "column": st.sampled_from(["", "", "p", "q"]),
    "low": st.none() | st.just(2.0),
    "blocks": st.none() | st.none() | st.integers(1, 3),
}
_alike = st.fixed_dictionaries(
    {
        "per": st.sampled_from(["", "", "r"]),
        "factor": st.sampled_from([1.0, 100.0, -0.5]),
        "each": st.sampled_from(["response", "sample"]),
    }
)


@st.composite
def trees(draw: st.DrawFn, *, rounded: bool) -> Tree:
    numbers = itertools.count()
    headline = _metric(draw, numbers, rounded)
    others = tuple(_metric(draw, numbers, rounded) for _ in range(draw(st.integers(0, 2))))
    low, better = draw(st.sampled_from([0.0, 1.0])), draw(st.booleans())
    return Tree(headline=headline, others=others, low=low, high=10.0, higher_is_better=better)


def _metric(
    draw: st.DrawFn,
    numbers: Iterator[int],
    rounded: bool,
    depth: int = 0,
    alike: dict[str, Any] | None = None,
) -> Metric:
    """`alike`: below a pooled metric, what its leaves have in common."""
    name = f"m{next(numbers)}"
    quirks = draw(st.fixed_dictionaries(_quirks)) if rounded else {}
    if depth == 3 or draw(st.booleans()):
        return Metric(name=name, **draw(st.fixed_dictionaries(_leaf)), **quirks, **(alike or draw(_alike)))
    pooled = draw(st.booleans())
    below = alike or (draw(_alike) if pooled else None)
    parts = tuple(_metric(draw, numbers, rounded, depth + 1, below) for _ in range(draw(st.integers(1, 3))))
    return Metric(name=name, parts=parts, pooled=pooled, skip_empty=draw(st.booleans()), **quirks)


_numbers = st.none() | st.floats(1, 10) | st.sampled_from([1.0, 2.0])
_states = st.sampled_from([*["scored"] * 4, "unparsed", "judge_error", "refused", "no_response", None])


@st.composite
def _verdicts(draw: st.DrawFn) -> Verdict:
    name = draw(st.text("xyz", min_size=1, max_size=3))
    return Verdict(
        id=name,
        repeat=draw(st.integers(0, 2)),
        group="abcd"[sum(map(ord, name)) % 4],  # of the sample, so that its repeats have it too
        cluster=draw(st.sampled_from(["", "", "u", "v"])),
        state=draw(_states),
        value=draw(_numbers),
        truncated=draw(st.booleans()),
        weight=draw(st.just(1.0) | st.sampled_from([0.0, 0.25, 3.0])),
        components=draw(st.dictionaries(st.sampled_from(["p", "q", "r"]), _numbers)),
    )


ROWS = st.lists(_verdicts(), max_size=25, unique_by=lambda row: (row.id, row.repeat))


class Plain:
    """The definitions once more, row by row, in the simplest form."""

    def __init__(self, tree: Tree, rows: list[Verdict], policy: str) -> None:
        self.tree, self.rows, self.policy = tree, rows, policy
        leaves = [leaf for root in (tree.headline, *tree.others) for leaf in root.leaves()]
        self.named = {name for leaf in leaves for name in leaf.groups}

    def value(self, metric: Metric) -> float | None:
        def digits(number: float, n: int | None) -> float:
            return number if n is None else round(number, n)

        if metric.parts and not metric.pooled:
            values = [self.value(part) for part in metric.parts]
            known = [value for value in values if value is not None]
            if not known or (len(known) < len(values) and not metric.skip_empty):
                return None
            return digits(digits(math.fsum(known) / len(known), metric.round_means), metric.digits)
        leaf = next(iter(metric.leaves()))
        terms = self.terms(metric)
        weight = math.fsum(w for w, _, _ in terms)
        if not weight:
            return None
        number = digits(math.fsum(w * v for w, v, _ in terms) / weight, metric.round_means)
        if leaf.per:
            by = digits(math.fsum(w * d for w, _, d in terms) / weight, metric.round_means)
            if not by:
                return None
            number /= by
        return digits(number * leaf.factor, metric.digits)

    def terms(self, metric: Metric) -> list[tuple[float, float, float]]:
        """Weight, value and divisor of each row that enters; one that two equal leaves take enters once."""
        found: dict[Any, tuple[float, float, float]] = {}
        for leaf in metric.leaves():
            taken = [row for row in self.rows if not leaf.groups or row.group in leaf.groups]
            used = {(row.id, row.repeat): self.entry(row, leaf) for row in taken}
            repeats = Counter(name for (name, _), entry in used.items() if entry is not None)
            weights = {
                (row.id, row.repeat): row.weight / (repeats[row.id] if leaf.each == "sample" else 1)
                for row in taken
                if used[row.id, row.repeat] is not None
            }
            if leaf.blocks and not metric.pooled:
                self.level(weights, leaf.blocks)
            for key, weight in weights.items():
                value, divisor = used[key] or (0.0, 0.0)
                same = (leaf.column, leaf.per, leaf.each, self.substitute(leaf))
                found[key, same] = (weight, value, divisor)
        return list(found.values())

    def level(self, weights: dict[tuple[str, int], float], size: int) -> None:
        """Each block of rows of one group, in order, weighs 1 altogether."""
        places = {(row.id, row.repeat): self.place(row) for row in self.rows}
        for place in set(places.values()):
            keys = sorted(key for key in weights if places[key] == place)
            for start in range(0, len(keys), size):
                block = keys[start : start + size]
                total = math.fsum(weights[key] for key in block)
                weights |= {key: weights[key] / (total or 1.0) for key in block}

    def place(self, row: Verdict) -> str | None:
        """Groups that no metric names are one."""
        return row.group if row.group in self.named else None

    def substitute(self, leaf: Metric) -> float | None:
        low = self.tree.low if leaf.low is None else leaf.low
        high = self.tree.high if leaf.high is None else leaf.high
        floor = low if self.tree.higher_is_better else high
        return {"exclude": None, "zero": 0.0, "floor": floor / leaf.factor}[self.policy]

    def own(self, row: Verdict, leaf: Metric) -> tuple[float, float] | None:
        """What the row itself says."""
        value = row.components.get(leaf.column) if leaf.column else row.value
        divisor = row.components.get(leaf.per) if leaf.per else 1.0
        if value is None or divisor is None:
            return None
        if row.state == "scored" and (row.value is not None or leaf.column):
            return value, divisor
        partly = row.state == "unparsed" and bool(leaf.column)
        stands_in = row.state in ("unparsed", "no_response") and row.value is not None
        return (value, divisor) if partly or stands_in else None

    def entry(self, row: Verdict, leaf: Metric) -> tuple[float, float] | None:
        if leaf.column and row.components and leaf.column not in row.components:
            return None
        own, substitute = self.own(row, leaf), self.substitute(leaf)
        bad = row.state in ("unparsed", "refused", "scored")
        if own is not None or substitute is None or not bad:
            return own
        if not leaf.per:
            return substitute, 1.0
        divisor = self.usual_divisor(row, leaf)
        return None if divisor is None else (substitute * divisor, divisor)

    def usual_divisor(self, row: Verdict, leaf: Metric) -> float | None:
        near = [other for other in self.rows if self.place(other) == self.place(row)]
        known = [(other.weight, self.own(other, leaf)) for other in near]
        terms = [(weight, own[1]) for weight, own in known if own is not None]
        weight = math.fsum(w for w, _ in terms)
        return math.fsum(w * d for w, d in terms) / weight if weight else None


@settings(max_examples=100, deadline=None)
@given(tree=trees(rounded=True), rows=ROWS, policy=POLICIES)
def test_agrees_with_a_plain_recomputation(tree: Tree, rows: list[Verdict], policy: Any) -> None:
    plain = Plain(tree, rows, policy)
    found = evaluate(tree, rows, policy, 0)
    for (metric, depth), result in zip(tree.walk(), found, strict=True):
        expected = plain.value(metric)
        assert (result.name, result.depth) == (metric.name, depth)
        assert result.value == (None if expected is None else pytest.approx(expected, rel=1e-9, abs=1e-9))
        assert (result.value is None) == bool(result.reason)
        assert (result.low is None) == bool(result.interval_reason)
        assert result.n >= result.n_scored + sum(result.n_missing.values())
        assert result.n_stand_in <= result.n_imputed <= sum(result.n_missing.values())
    assert found[0].n == len(rows)


@settings(max_examples=100, deadline=None)
@given(tree=trees(rounded=False), rows=ROWS, policy=POLICIES)
def test_a_draw_of_every_cluster_once_gives_the_values(tree: Tree, rows: list[Verdict], policy: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bootstrap, "RESAMPLES", 1)
        patch.setattr(
            bootstrap, "_resampled", lambda table, generator, draws: table.sum(axis=0, keepdims=True)
        )
        found = measure(tree, rows, policy, 0)
    for measured in found:
        if measured.draws is not None:
            assert measured.draws == pytest.approx([measured.result.value], rel=1e-9, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(tree=trees(rounded=True), rows=ROWS, policy=POLICIES, data=st.data())
def test_the_order_of_rows_never_matters(
    tree: Tree, rows: list[Verdict], policy: Any, data: st.DataObject
) -> None:
    assert evaluate(tree, rows, policy, 1) == evaluate(tree, data.draw(st.permutations(rows)), policy, 1)
