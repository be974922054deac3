"""Judges measured: against labels, against themselves, against each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations
from math import log2
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from eval_anything.judged.alpha import Level, alpha
from eval_anything.judged.labels import Labels
from eval_anything.judged.statistics import (
    Drawing,
    bins,
    calibration_error,
    correlations,
    drawn,
    left_out,
    mean,
    slope,
)
from eval_anything.judged.values import JudgeMeasures, Measure, Report, TaskMeasures
from eval_anything.judged.verdicts import Series, TaskSeries, Verdict, choice
from eval_anything.results.words import counted
from eval_anything.stats.outline import outline

if TYPE_CHECKING:
    from eval_anything.judged.statistics import Floats

BINS = 10
_SAME = 1e-9
_SHOWN = 10
_LEVELS: tuple[Level, ...] = ("ordinal", "nominal")


class Terms(NamedTuple):
    drawing: Drawing = Drawing()
    bins: int = BINS
    """Of the calibration."""


class _Labelled(NamedTuple):
    """A verdict with a label beside it."""

    rating: float
    labels: list[float]
    cluster: str
    words: int

    @property
    def label(self) -> float:
        return sum(self.labels) / len(self.labels)


def measure(runs: Sequence[str], tasks: Sequence[TaskSeries], labels: Labels | None, terms: Terms) -> Report:
    """Raises MissingExtra where there are labels and SciPy is not installed."""
    found = [_task(task, labels, terms) for task in tasks]
    if labels is not None:
        known = {(t.plan.name, v.id) for t in tasks for s in t.series for v in s.verdicts}
        unused = labels.unused(known)
        more = f" and {len(unused) - _SHOWN} more" if len(unused) > _SHOWN else ""
        note = [f"labels of samples without a verdict: {', '.join(unused[:_SHOWN])}{more}"] if unused else []
        found = [msgspec.structs.replace(task, notes=[*task.notes, *note]) for task in found]
    return Report(
        runs=list(runs),
        labels="" if labels is None else labels.source,
        resamples=terms.drawing.resamples,
        seed=terms.drawing.seed,
        tasks=found,
    )


def _task(task: TaskSeries, labels: Labels | None, terms: Terms) -> TaskMeasures:
    scale = outline(task.plan.aggregation).value_scale()
    notes: list[str] = []
    if labels is not None and not labels.preferences and scale is not None:
        low, high = labels.range()
        if low < scale[0] or high > scale[1]:
            notes.append(
                f"labels from {low:g} to {high:g} on a scale from {scale[0]:g} to {scale[1]:g}: another scale"
                " is correlated, not compared"
            )
            scale = None
    answers = {(v.id, v.answer) for series in task.series for v in series.verdicts}
    several = len(answers) - len({sample for sample, _ in answers})
    if several:
        notes.append(
            f"{counted(several, 'further answer')} to the same samples: only verdicts on one answer agree"
        )
    if labels is not None and labels.preferences:
        notes.append("a judge prefers the model's answer where it rates it above the reference answer")
    # A panel agrees with its members because it is made of them.
    single = [series for series in task.series if not series.combines]
    return TaskMeasures(
        task=task.plan.name,
        synthetic=task.plan.data == "synthetic",
        judges=[_judge(task.plan.name, series, labels, scale, terms) for series in task.series],
        together=_alphas("alpha of all judges", single) if len(single) > 1 else [],
        notes=notes,
    )


def _judge(
    task: str, series: Series, labels: Labels | None, scale: tuple[float, float] | None, terms: Terms
) -> JudgeMeasures:
    rows = [] if labels is None else list(_labelled(task, series, labels))
    measures: list[Measure] = []
    found = []
    if labels is not None:
        measures += _against(rows, labels.preferences, scale, terms)
        if scale is not None and not labels.preferences:
            found = bins(*_columns(rows), scale, terms.bins)
    measures += _by_order(series.verdicts, terms.drawing)
    measures += _by_repeat(series, terms.drawing)
    return JudgeMeasures(
        judge=series.judge,
        verdicts=sum(v.value is not None for v in series.verdicts),
        missing=sum(v.value is None for v in series.verdicts),
        labelled=len(rows),
        measures=measures,
        calibration=found,
    )


def _labelled(task: str, series: Series, labels: Labels) -> Iterable[_Labelled]:
    for verdict in series.verdicts:
        rating = verdict.choice if labels.preferences else verdict.value
        known = labels.of(task, verdict.id, verdict.answer)
        if rating is not None and known:
            yield _Labelled(rating, known, verdict.cluster, verdict.words)


def _columns(rows: Sequence[_Labelled]) -> tuple[Floats, Floats]:
    import numpy as np

    return np.array([row.rating for row in rows]), np.array([row.label for row in rows])


def _against(
    rows: list[_Labelled], preferences: bool, scale: tuple[float, float] | None, terms: Terms
) -> list[Measure]:
    """Agreement with each person who labelled an answer counts in proportion; all else is with their mean."""
    import numpy as np

    clusters = [row.cluster for row in rows]

    def share(name: str, within: float) -> Measure:
        shares = [
            sum(abs(row.rating - x) <= within + _SAME for x in row.labels) / len(row.labels) for row in rows
        ]
        return mean(name, shares, clusters, terms.drawing)

    ratings, labels = _columns(rows)
    found: list[Measure] = []
    if preferences:
        decided = [row for row in rows if row.rating != 0.5 and row.label != 0.5]
        right = [float((row.rating > 0.5) == (row.label > 0.5)) for row in decided]
        found.append(share("same preference", 0.0))
        found.append(mean("same preference, no ties", right, [row.cluster for row in decided], terms.drawing))
    elif scale is not None:
        found += [share("exact agreement", 0.0), share("agreement within 1", 1.0)]
        found.append(mean("judge - label", list(ratings - labels), clusters, terms.drawing))
    for name, correlation in correlations().items():
        found.append(drawn(name, correlation, (ratings, labels), clusters, terms.drawing))
    if scale is not None and not preferences:
        ends, n = scale, terms.bins

        def error(one: Floats, other: Floats) -> float:
            return calibration_error(one, other, ends, n)

        found.append(drawn("calibration error (ECE)", error, (ratings, labels), clusters, terms.drawing))
    if scale is not None or preferences:
        lengths = np.array([log2(1 + row.words) for row in rows])
        name = "length bias (judge - label, for twice the words)"
        found.append(drawn(name, slope, (lengths, ratings - labels), clusters, terms.drawing))
    return found


def _by_order(verdicts: Sequence[Verdict], drawing: Drawing) -> list[Measure]:
    """Of judges that rate two answers, on answers that they were shown in both orders."""
    orders: dict[tuple[str, str], dict[str, tuple[float, float]]] = {}
    clusters: dict[tuple[str, str], str] = {}
    for verdict in verdicts:
        for first, ratings in verdict.orders.items():
            orders.setdefault((verdict.id, verdict.answer), {}).setdefault(first, ratings)
            clusters[verdict.id, verdict.answer] = verdict.cluster
    both = {key: (found["response"], found["reference"]) for key, found in orders.items() if len(found) == 2}
    if not both:
        return []
    where = [clusters[key] for key in both]
    pairs = list(both.values())
    same = [float(choice(*one) == choice(*other)) for one, other in pairs]
    # Whoever is first, how often is it preferred: one of two verdicts each, a tie is half of one.
    favoured = [(choice(*one) + 1 - choice(*other)) / 2 for one, other in pairs]
    gain = [((one[0] - one[1]) - (other[0] - other[1])) / 2 for one, other in pairs]
    return [
        mean("same preference in both orders", same, where, drawing),
        mean("preference for the first (0.5: none)", favoured, where, drawing),
        mean("position bias (points for being first)", gain, where, drawing),
    ]


def _by_repeat(series: Series, drawing: Drawing) -> list[Measure]:
    """Of verdicts on one and the same answer: how often two of them are the same."""
    by_answer: dict[tuple[str, str], list[Verdict]] = {}
    for verdict in series.verdicts:
        if verdict.value is not None:
            by_answer.setdefault((verdict.id, verdict.answer), []).append(verdict)
    again = [found for found in by_answer.values() if len(found) > 1]
    if not again:
        return []
    shares = []
    for found in again:
        values = [v.value for v in found if v.value is not None]
        same = [abs(a - b) <= _SAME for a, b in combinations(values, 2)]
        shares.append(sum(same) / len(same))
    repeats = [
        Series(judge=str(i), verdicts=[f[i] for f in again if len(f) > i])
        for i in range(max(map(len, again)))
    ]
    return [
        mean("self-consistency", shares, [found[0].cluster for found in again], drawing),
        *_alphas("alpha of repeats", repeats),
    ]


def _alphas(name: str, series: Sequence[Series]) -> list[Measure]:
    """Over answers; of several verdicts of one judge on an answer the first."""
    import numpy as np

    units: dict[tuple[str, str], int] = {}
    clusters: list[str] = []
    given: dict[tuple[int, int], float] = {}
    for column, one in enumerate(series):
        for verdict in one.verdicts:
            if verdict.value is None:
                continue
            key = (verdict.id, verdict.answer)
            if key not in units:
                units[key] = len(clusters)
                clusters.append(verdict.cluster)
            given.setdefault((units[key], column), verdict.value)
    table = np.full((len(clusters), len(series)), np.nan)
    for place, value in given.items():
        table[place] = value
    kept = np.isfinite(table).sum(axis=1) >= 2
    table, where = table[kept], [cluster for cluster, keep in zip(clusters, kept, strict=True) if keep]
    return [_alpha(f"{name}, {level}", table, where, level) for level in _LEVELS]


def _alpha(name: str, table: Floats, clusters: Sequence[str], level: Level) -> Measure:
    """Nothing is said of nominal agreement where no two verdicts are likely to be the same number."""
    import numpy as np

    given = table[np.isfinite(table)]
    if level == "nominal" and (given != np.rint(given)).any():
        return Measure(name=name, value=None, n=len(table), reason="ratings are no whole numbers")
    return left_out(name, lambda rows: alpha(rows, level), table, clusters)
