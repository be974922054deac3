"""Two runs, task by task: the change of every metric, its interval, a paired test, and what it rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from eval_anything.errors import DataError
from eval_anything.paired.draws import Both
from eval_anything.paired.match import Key, Matched, match
from eval_anything.paired.power import detectable, holm, p_value, threshold
from eval_anything.paired.scores import RunScores, TaskScores
from eval_anything.paired.values import Changed, Comparison, MetricChange, TaskComparison
from eval_anything.stats.bootstrap import interval
from eval_anything.stats.outline import Entry
from eval_anything.stores.identity import differences

if TYPE_CHECKING:
    from eval_anything.stats.bootstrap import Floats, Resampled

RESAMPLES = 10_000
_SHOWN = 10
_MODEL = frozenset({"model", "seed"})
"""Parts of an identity in which two runs may differ and still be measured alike."""
_SAME = 1e-12


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """How a comparison is made."""

    resamples: int = RESAMPLES
    seed: int = 0
    alpha: float = 0.05
    """Of all tasks together."""
    power: float = 0.8
    tolerated: dict[str, float] = {}
    """By task: a true drop up to this is none, on the scale of the metric that is looked at."""


def compare(before: RunScores, after: RunScores, terms: Terms | None = None) -> Comparison:
    """Raises DataError where the runs have no task in common."""
    terms = terms or Terms()
    names = [task.plan.name for task in before.tasks]
    others = [task.plan.name for task in after.tasks]
    shared = [name for name in names if name in others]
    if not shared:
        raise DataError(
            f"no task in common: {', '.join(names)} in the first run, {', '.join(others)} in the second"
        )
    # What one task alone would have to show, were all others unchanged (Holm's first step).
    each = msgspec.structs.replace(terms, alpha=terms.alpha / len(shared))
    tasks = [_task(_of(before, name), _of(after, name), each) for name in shared]
    adjusted = holm([task.headline.p for task in tasks])
    return Comparison(
        before=before.name,
        after=after.name,
        complete=before.results.complete and after.results.complete,
        alpha=terms.alpha,
        power=terms.power,
        resamples=terms.resamples,
        seed=terms.seed,
        tasks=[msgspec.structs.replace(t, p_holm=p) for t, p in zip(tasks, adjusted, strict=True)],
        only_before=[name for name in names if name not in others],
        only_after=[name for name in others if name not in names],
    )


def _of(run: RunScores, name: str) -> TaskScores:
    found = run.task(name)
    assert found is not None
    return found


def unlike(before: TaskScores, after: TaskScores) -> list[str]:
    """What differs in how two runs measured a task: data, judge, prompts, profile; not the model."""
    one, other = (
        {name: value for name, value in task.plan.identity.items() if name not in _MODEL}
        for task in (before, after)
    )
    return differences(one, other)


def _task(before: TaskScores, after: TaskScores, terms: Terms) -> TaskComparison:
    matched = match(before.verdicts, after.verdicts)
    both = Both(matched.before, matched.after, after.plan.aggregation, after.plan.missing)
    drawn = both.bootstrapped(terms.seed, terms.resamples) if matched.before else None
    swapped = both.exchanged(terms.seed, terms.resamples) if matched.before else None
    clusters = len({v.cluster or v.id for v in matched.before})
    tolerated = terms.tolerated.get(after.plan.name, 0.0)
    metrics = [
        _tested(*_change(both, entry, drawn, swapped), clusters, tolerated, terms)
        for entry in both.outline.entries
    ]
    better = both.outline.better(both.outline.headline)
    gains = [_gain(a.value, b.value, better) for a, b in zip(matched.before, matched.after, strict=True)]
    return TaskComparison(
        task=after.plan.name,
        version=after.plan.version,
        profile=after.plan.profile,
        synthetic="synthetic" in (before.plan.data, after.plan.data),
        pairs=len(matched.before),
        clusters=clusters,
        only_before=len(matched.only_before),
        only_after=len(matched.only_after),
        unscored=len(matched.unscored),
        unmatched=_named(matched),
        wins=sum(gain > _SAME for gain in gains),
        ties=sum(abs(gain) <= _SAME for gain in gains),
        losses=sum(gain < -_SAME for gain in gains),
        metrics=metrics,
        changed=_most_changed(matched),
        settings=unlike(before, after),
    )


def _gain(before: float | None, after: float | None, higher_is_better: bool) -> float:
    if before is None or after is None:
        return 0.0
    return after - before if higher_is_better else before - after


def _change(
    both: Both, entry: Entry, drawn: "Resampled | None", swapped: "Resampled | None"
) -> tuple[MetricChange, "Floats | None"]:
    """The change, and its draws without one."""
    metric = entry.metric
    before, after = both.before.value(metric), both.after.value(metric)
    found = MetricChange(
        name=metric.name,
        depth=entry.depth,
        before=before,
        after=after,
        difference=None if before is None or after is None else after - before,
        higher_is_better=both.outline.better(metric),
        scale=both.outline.scale(metric),
    )
    if found.difference is None or drawn is None or swapped is None:
        reason = both.before.points.why_none(metric) or both.after.points.why_none(metric)
        return msgspec.structs.replace(found, reason=reason or "no pair of scores"), None
    draws, reason = both.differences(metric, drawn)
    if reason:
        return msgspec.structs.replace(found, reason=reason), None
    spread = interval(draws)
    null, _ = both.differences(metric, swapped)
    changed = msgspec.structs.replace(
        found,
        low=spread.low,
        high=spread.high,
        error=_deviation(draws),
    )
    return changed, null


def _tested(
    change: MetricChange, null: "Floats | None", clusters: int, tolerated: float, terms: Terms
) -> MetricChange:
    """With its p-values, and the changes that these samples would show.

    A drop is tested against what is tolerated by the same exchanged labels, whose spread the drop itself
    widens: that is on the side of caution.
    """
    if null is None or change.gain is None:
        return change
    drops = -null if change.higher_is_better else null
    tested = msgspec.structs.replace(
        change, p=p_value(abs(null), abs(change.gain)), p_worse=p_value(drops, -change.gain - tolerated)
    )
    either, drop = threshold(abs(null), terms.alpha), threshold(drops, terms.alpha)
    if not change.error or either is None or drop is None:
        return tested
    return msgspec.structs.replace(
        tested,
        detectable=detectable(either, change.error, clusters, terms.power),
        detectable_drop=detectable(drop, change.error, clusters, terms.power, tolerated),
    )


def _deviation(draws: "Floats") -> float:
    import numpy as np

    return float(np.nanstd(draws))


def _named(matched: Matched) -> list[str]:
    """Some of what has no partner, so that one can look."""
    kinds: tuple[tuple[str, tuple[Key, ...]], ...] = (
        ("only in the first run", matched.only_before),
        ("only in the second run", matched.only_after),
        ("without a score in one of them", matched.unscored),
    )
    return [f"{sample} ({kind})" for kind, keys in kinds for sample, _ in keys[:_SHOWN]]


def _most_changed(matched: Matched) -> list[Changed]:
    found = [
        Changed(id=a.id, repeat=a.repeat, group=a.group, before=a.value, after=b.value)
        for a, b in zip(matched.before, matched.after, strict=True)
        if a.value is not None and b.value is not None and a.value != b.value
    ]
    return sorted(found, key=lambda c: (-abs(c.after - c.before), c.id, c.repeat))[:_SHOWN]
