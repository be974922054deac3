"""Which models can be told apart, and the places that each may have.

Two models are told apart in a column where a test on the samples that both answered says so, at 5 % for all
pairs of the column together (Holm). A model's places are those from 1 + the number of models that are
significantly better to n - the number of those that are significantly worse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import NamedTuple

from eval_anything.board.definition import Column
from eval_anything.board.numbers import Number
from eval_anything.board.rows import Row
from eval_anything.paired.compare import Terms, compare
from eval_anything.paired.power import holm
from eval_anything.paired.values import MetricChange

ALPHA = 0.05
RESAMPLES = 2_000


class Place(NamedTuple):
    """Where a model may stand."""

    first: int
    last: int
    better: tuple[str, ...]
    """Names of the models that are significantly better."""
    worse: tuple[str, ...]


Pair = tuple[int, int]
Changes = Mapping[str, MetricChange]
"""By "task metric" of what two rows share."""


def paired(rows: Sequence[Row], columns: Sequence[Column]) -> dict[Pair, dict[tuple[str, str], MetricChange]]:
    """The changes of every pair of rows, by task and metric ("" the headline), on the tasks of `columns`."""
    wanted = {column.task for column in columns if column.task}
    runs = [row.only(wanted) for row in rows]
    found: dict[Pair, dict[tuple[str, str], MetricChange]] = {}
    for j, after in enumerate(runs):
        for i, before in enumerate(runs[:j]):
            if not {t.plan.name for t in before.tasks} & {t.plan.name for t in after.tasks}:
                continue
            changes = found[i, j] = {}
            for task in compare(before, after, Terms(resamples=RESAMPLES, alpha=ALPHA)).tasks:
                changes |= {(task.task, metric.name): metric for metric in task.metrics}
                changes[task.task, ""] = task.headline
    return found


def p_value(change: MetricChange) -> float | None:
    """Two-sided, of exchanged labels. Where none of those draws is as extreme, so that p is only known to be
    small, the normal tail of the difference over its standard error, where that is smaller still: without
    it, Holm's correction over many models could not tell any two apart."""
    if change.p is None or change.difference is None:
        return None
    floor = 1 / (1 + RESAMPLES)
    if change.p > floor * (1 + 1e-9) or not change.error:
        return change.p
    return min(change.p, 2 * NormalDist().cdf(-abs(change.difference) / change.error))


def winners(numbers: Sequence[Number], changes: Mapping[Pair, MetricChange | None]) -> dict[Pair, int]:
    """Of the pairs that can be told apart, the one that is better. Pairs without a test (nothing shared, or
    a number that is no task's) are told apart where their intervals do not overlap."""
    ranked = [i for i, one in enumerate(numbers) if one.value is not None and one.finished]
    pairs = [(i, j) for j in ranked for i in ranked if i < j]
    raw = [None if (change := changes.get(pair)) is None else p_value(change) for pair in pairs]
    found = {}
    for pair, untested, p in zip(pairs, raw, holm(raw), strict=True):
        i, j = pair
        if untested is None:
            better = _disjoint(numbers[i], numbers[j])
        else:
            change = changes[pair]
            assert p is not None and change is not None
            better = None if p > ALPHA or not change.gain else change.gain > 0
        if better is not None:
            found[pair] = j if better else i
    return found


def _disjoint(one: Number, other: Number) -> bool | None:
    """Whether `other` is significantly better; None where that cannot be said."""
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return None
    if other.low > one.high:
        return one.higher_is_better
    if one.low > other.high:
        return not one.higher_is_better
    return None


def places(names: Sequence[str], numbers: Sequence[Number], won: Mapping[Pair, int]) -> list[Place | None]:
    """A place for every number that has one."""
    ranked = [i for i, one in enumerate(numbers) if one.value is not None and one.finished]
    better: dict[int, list[str]] = {i: [] for i in ranked}
    worse: dict[int, list[str]] = {i: [] for i in ranked}
    for (i, j), winner in won.items():
        loser = i if winner == j else j
        better[loser].append(names[winner])
        worse[winner].append(names[loser])
    return [
        Place(1 + len(better[i]), len(ranked) - len(worse[i]), tuple(better[i]), tuple(worse[i]))
        if i in better
        else None
        for i in range(len(numbers))
    ]
