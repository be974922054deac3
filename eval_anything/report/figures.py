"""The figures of one task: metrics, where scores lie, what went wrong, what was chosen, said, spent."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

from eval_anything.report import plots
from eval_anything.report.embedding import MOST, plane
from eval_anything.report.samples import Source
from eval_anything.results.export import task_rows
from eval_anything.results.values import TaskResult
from eval_anything.results.words import number

_CHOICES, _VOTES = "share of the choices/", "share of the votes/"
_LEAST = 0.005
"""What is less is shown as 0.00, and needs no figure."""
_REFERENCES = 400
"""Reference answers in the plane at most."""


class TaskOfRun(NamedTuple):
    """One task in one run."""

    run: str
    """How the run is named."""
    result: TaskResult
    source: Source


def figures(name: str, runs: Sequence[TaskOfRun]) -> list[str]:
    """SVG figures, in the order in which they are shown."""
    found = [_metrics(name, runs), *_histograms(runs), _trouble(runs)]
    found += _chosen(runs) + _said(runs) + _spent(runs)
    return [figure for figure in found if figure]


def _metrics(name: str, runs: Sequence[TaskOfRun]) -> str:
    several = len(runs) > 1
    items = [
        plots.Bar(f"{m.name} ({run.run})" if several else m.name, m.value, m.low, m.high, series)
        for metric in dict.fromkeys(m.name for run in runs for m in run.result.metrics)
        for series, run in enumerate(runs)
        for m in run.result.metrics
        if m.name == metric
    ]
    first = runs[0].result.headline
    return plots.bars(items, first.scale_low, first.scale_high, f"{name}: metrics with 95 % intervals")


def _histograms(runs: Sequence[TaskOfRun]) -> list[str]:
    found = []
    for run in runs:
        values = [
            v.value for v in run.source.scan.verdicts() if v.outcome == "scored" and v.value is not None
        ]
        if values:
            scale = run.source.scan.plan.aggregation
            title = f"{run.run}: scores of {len(values)} answers"
            found.append(plots.histogram(values, scale.low, scale.high, title))
    return found


def _trouble(runs: Sequence[TaskOfRun]) -> str:
    names = ("failed", "refused", "cut at the limit", "empty", "no verdict")
    rows = []
    for run in runs:
        counts = run.result.counts
        of = max(counts.responses, 1)
        numbers = (sum(counts.errors.values()), counts.refused, counts.truncated, counts.empty)
        judged = counts.judge_failures / max(counts.judge_attempts, 1)
        rows.append([*(n / of for n in numbers), judged])
    if not any(value for row in rows for value in row):
        return ""
    return plots.grouped(names, [run.run for run in runs], rows, "Shares of answers with trouble")


def _chosen(runs: Sequence[TaskOfRun]) -> list[str]:
    """Which modalities were chosen, beside what people voted for (Align Anything, Figure 8)."""
    votes = runs[0].result.figures
    names = [name.removeprefix(_VOTES) for name in votes if name.startswith(_VOTES)]
    if not names:
        return []
    rows = [[votes[_VOTES + name] for name in names]]
    rows += [[run.result.figures.get(_CHOICES + name, 0.0) for name in names] for run in runs]
    series = ["voters", *(run.run for run in runs)]
    title = "Modalities chosen (t text, i image, a audio), and the voters' shares"
    return [plots.grouped(names, series, rows, title)]


def _said(runs: Sequence[TaskOfRun]) -> list[str]:
    """Answers and reference answers in one plane (Align Anything, Figure 7)."""
    references: list[str] = []
    answers: list[tuple[str, int, str]] = []
    room = (MOST - _REFERENCES) // len(runs)
    for series, run in enumerate(runs, 1):
        with task_rows(run.source.run, run.source.scan) as rows:
            for row in islice(rows, room):
                if series == 1:
                    references += [reference.text for reference in row["references"]]
                text = " ".join(part["text"] for part in row["parts"] if part["type"] == "text")
                if text.strip():
                    answers.append((text, series, f"{row['id']}: {text}"))
    references = references[:: max(1, len(references) // _REFERENCES)][:_REFERENCES]
    if len(references) < 3 or len(answers) < 3:
        return []
    texts = [*references, *(text for text, _, _ in answers)]
    where = plane(texts)
    labels = [*((0, text) for text in references), *((series, label) for _, series, label in answers)]
    items = [
        plots.Point(float(x), float(y), series, label)
        for (x, y), (series, label) in zip(where, labels, strict=True)
    ]
    names = ["reference answers", *(run.run for run in runs)]
    return [plots.points(items, names, "Answers and reference answers by the words that they share")]


def _spent(runs: Sequence[TaskOfRun]) -> list[str]:
    """Seconds an answer, and output tokens an answer."""
    found = []
    kinds = (
        ("seconds an answer", lambda r: r.seconds / max(r.counts.responses, 1)),
        ("output tokens an answer", lambda r: r.model_usage.output_tokens / max(r.counts.responses, 1)),
        ("US dollars, model and judge", _dollars),
    )
    for title, of in kinds:
        values = [(run.run, of(run.result)) for run in runs]
        if any(value and value >= _LEAST for _, value in values):
            items = [plots.Bar(f"{run}", value, series=k) for k, (run, value) in enumerate(values)]
            top = max(value or 0.0 for _, value in values)
            found.append(plots.bars(items, 0.0, top, f"{title[0].upper()}{title[1:]} (most: {number(top)})"))
    return found


def _dollars(result: TaskResult) -> float | None:
    used = (result.model_usage, result.judge_usage, result.tool_usage)
    known = [usage.cost_usd for usage in used if usage.cost_usd is not None]
    return sum(known) if known and not any(usage.unpriced for usage in used) else None
