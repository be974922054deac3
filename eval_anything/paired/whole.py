"""Whether the scores of a run and its results say the same: a file may be damaged, or changed by hand."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from eval_anything.results.values import TaskResult
from eval_anything.stats.aggregate import Metric
from eval_anything.stats.formula import Points
from eval_anything.stats.outline import outline
from eval_anything.stats.sheet import Sheet

if TYPE_CHECKING:
    from eval_anything.paired.scores import RunScores, TaskScores


def contradictions(scores: RunScores) -> Iterator[str]:
    """What in it contradicts itself, the gravest first."""
    results = {task.name: task for task in scores.results.tasks}
    if not scores.tasks:
        yield "it has no tasks"
    if list(results) != [task.plan.name for task in scores.tasks]:
        yield "its results are of other tasks than its scores"
        return
    for task in scores.tasks:
        yield from _of_task(task, results[task.plan.name])


def _of_task(task: TaskScores, result: TaskResult) -> Iterator[str]:
    plan = task.plan
    if (result.fingerprint, result.data, result.judge) != (plan.fingerprint, plan.data, plan.judge):
        yield f"{plan.name}: results and plan differ in fingerprint, data or judge"
    counts = result.counts
    judged = sum(verdict.outcome is not None for verdict in task.verdicts)
    scored = sum(verdict.outcome == "scored" for verdict in task.verdicts)
    if (counts.planned, counts.finished, counts.scored) != (plan.planned, judged, scored):
        yield f"{plan.name}: its counts of answers are not those of its scores"
    shown = {metric.name: metric.value for metric in result.metrics}
    for name, value in _values(task).items():
        if name not in shown or not same(shown[name], value):
            yield f"{plan.name}: {name} is {shown.get(name)}, its scores give {value}"
            return


def _values(task: TaskScores) -> dict[str, float | None]:
    """Every metric, computed anew; without those that are made of more than scores."""
    laid = outline(task.plan.aggregation)
    rows = sorted(task.verdicts, key=lambda row: (row.id, row.repeat))
    points = Points(Sheet(rows, laid, task.plan.missing))

    def value(metric: Metric) -> float | None:
        return None if points.why_none(metric) else points.value(metric)

    metrics = [entry.metric for entry in laid.entries]
    return {m.name: value(m) for m in metrics if not any(leaf.corpus for leaf in m.leaves())}


def same(one: float | None, other: float | None) -> bool:
    """Equal but for rounding; None is equal to None alone."""
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
