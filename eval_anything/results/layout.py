"""What is said of results, in which order; how it is drawn is `table`'s affair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eval_anything.results.costs import CALLED, NOT_RECORDED
from eval_anything.results.words import NONE, consumption, counted, number, percent
from eval_anything.stats.metrics import MetricResult
from eval_anything.values.usage import dollars

if TYPE_CHECKING:
    from eval_anything.results.values import CombinedResult, Cost, Results, TaskResult

COLUMNS = ("metric", "value", "95% interval", "n", "scored", "missing", "truncated", "judge errors", "judge")
NUMERIC = range(1, 8)
INDENT = "  "
"""Before a metric's name, once for each level below the headline."""


@dataclass(frozen=True, slots=True)
class Block:
    """One task, or one group's numbers: the table, what must be read before it, and what explains it."""

    title: str
    banners: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    """Cells in the order of the columns, unescaped."""
    lines: tuple[str, ...]
    columns: tuple[str, ...] = COLUMNS


@dataclass(frozen=True, slots=True)
class Page:
    title: str
    banners: tuple[str, ...]
    blocks: tuple[Block, ...]
    lines: tuple[str, ...]


def page(results: Results) -> Page:
    planned = sum(task.counts.planned for task in results.tasks)
    finished = sum(task.counts.finished for task in results.tasks)
    unfinished = () if results.complete else (f"unfinished run: {finished} of {planned} responses",)
    return Page(
        title=f"{results.model} ({results.created})",
        banners=(*unfinished, *results.changes),
        blocks=(*(_block(task) for task in results.tasks), *_combined_blocks(results)),
        lines=(*_cost_lines(results), *(f"note: {note}" for note in results.notes)),
    )


def _cost_lines(results: Results) -> list[str]:
    """What all of it cost, with its parts; nothing where nobody bills."""
    if not results.costs or not results.costs[-1].billed or results.costs[-1].reason == NOT_RECORDED:
        return []
    *parts, whole = results.costs
    shown = [f"{CALLED[part.of]} {_dollars(part)}" for part in parts if part.billed]
    cached = f"; {counted(whole.from_cache, 'answer')} from the cache at no cost" if whole.from_cache else ""
    reason = f"; {whole.reason}" if whole.reason else ""
    return [f"cost: {_dollars(whole)} ({', '.join(shown)}){cached}{reason}"]


def _dollars(cost: Cost) -> str:
    if cost.usd is not None:
        return dollars(cost.usd)
    return dollars(cost.at_least_usd or None, unpriced=1)


def several(runs: Sequence[Results]) -> Page:
    """Several runs side by side: for each task the metrics down, the runs across."""
    labels = [f"{run.model} ({run.created[:16]})" for run in runs]
    names = dict.fromkeys(task.name for run in runs for task in run.tasks)
    unfinished = [label for label, run in zip(labels, runs, strict=True) if not run.complete]
    return Page(
        title=f"{len(runs)} runs",
        banners=tuple(f"unfinished run: {label}" for label in unfinished),
        blocks=tuple(_across(name, runs, labels) for name in names),
        lines=tuple(
            f"{label}: note: {note}" for label, run in zip(labels, runs, strict=True) for note in run.notes
        ),
    )


def _across(name: str, runs: Sequence[Results], labels: Sequence[str]) -> Block:
    tasks = [next((task for task in run.tasks if task.name == name), None) for run in runs]
    held = [task for task in tasks if task is not None]
    banners = dict.fromkeys(banner for task in held for banner in _banners(task))
    if len({(task.version, task.profile, task.data, task.judge) for task in held}) > 1:
        banners["not measured alike: version, profile, data or judge differ between the runs"] = None
    metrics = {metric.name: metric for task in held for metric in task.metrics}
    rows = tuple(
        (INDENT * metric.depth + metric.name, *(_beside(task, metric.name) for task in tasks))
        for metric in metrics.values()
    )
    return Block(f"{name} ({_version(held[0])})", tuple(banners), rows, (), ("metric", *labels))


def _beside(task: TaskResult | None, name: str) -> str:
    metric = None if task is None else next((m for m in task.metrics if m.name == name), None)
    if metric is None:
        return NONE
    decimals = _decimals(metric.scale_high - metric.scale_low)
    value = number(metric.value, decimals)
    return value if metric.low is None else f"{value} {_interval(metric.low, metric.high, decimals)}"


def _block(task: TaskResult) -> Block:
    return Block(
        title=f"{task.name} ({_version(task)})",
        banners=tuple(_banners(task)),
        rows=tuple(_cells(task, metric) for metric in task.metrics),
        lines=tuple(_lines(task)),
    )


def _version(task: TaskResult) -> str:
    return f"version {task.version}" + (f", profile {task.profile}" if task.profile else "")


def _banners(task: TaskResult) -> list[str]:
    counts = task.counts
    banners = []
    if task.data == "synthetic":
        banners.append("synthetic data: not comparable with published numbers")
    if not task.protocol_judge:
        kind = "offline; " if ":" not in task.judge else ""
        banners.append(f"judge: {task.judge} ({kind}not the protocol's judge)")
    if counts.finished < counts.planned:
        banners.append(f"unfinished: {counts.finished} of {counts.planned} responses")
    return banners


def _interval(low: float | None, high: float | None, decimals: int) -> str:
    if low is None or high is None:
        return NONE
    return f"[{number(low, decimals)}, {number(high, decimals)}]"


def _decimals(span: float) -> int:
    """Scores that all lie within 1 of each other (shares, probabilities) differ in the third decimal."""
    return 3 if span <= 1 else 2


def _combined_blocks(results: Results) -> list[Block]:
    by_group: dict[str, list[CombinedResult]] = {}
    for combined in results.combined:
        by_group.setdefault(combined.group, []).append(combined)
    banners = []
    if not all(task.comparable for task in results.tasks):
        banners.append("made of numbers that are not comparable with published ones")
    if not results.complete:
        banners.append("made of unfinished tasks")
    return [
        Block(
            title=f"{group} (group of tasks)",
            banners=tuple(banners),
            rows=tuple(_combined_cells(combined) for combined in found),
            lines=tuple(
                f"{c.name}: no {'value' if c.value is None else 'interval'}: {c.reason}"
                for c in found
                if c.reason
            ),
            columns=COLUMNS[:3],
        )
        for group, found in by_group.items()
    ]


def _combined_cells(combined: CombinedResult) -> tuple[str, ...]:
    decimals = _decimals(abs(combined.value or 0.0))
    value, interval = number(combined.value, decimals), _interval(combined.low, combined.high, decimals)
    return (combined.name, value, interval)


def _cells(task: TaskResult, metric: MetricResult) -> tuple[str, ...]:
    decimals = _decimals(metric.scale_high - metric.scale_low)
    return (
        INDENT * metric.depth + metric.name,
        number(metric.value, decimals),
        _interval(metric.low, metric.high, decimals),
        str(metric.n),
        str(metric.n_scored),
        str(metric.missing),
        str(metric.n_truncated),
        percent(metric.judge_error_rate),
        task.judge,
    )


def _lines(task: TaskResult) -> list[str]:
    lines = []
    for metric in task.metrics:
        if metric.value is None:
            lines.append(f"{metric.name}: no value: {metric.reason}")
        elif metric.low is None:
            lines.append(f"{metric.name}: no interval: {metric.interval_reason}")
    lines += _figures(task) + _missing(task) + _states(task)
    lines.append(f"model: {consumption(task.model_usage)}; {number(task.seconds)} s")
    if task.counts.tool_calls:
        calls = f"{counted(task.counts.tool_calls, 'call')}, {task.counts.tool_errors} failed"
        if task.counts.wrong_calls:
            calls += f", {task.counts.wrong_calls} wrong or too many (the model's failures)"
        lines.append(f"tools: {calls}; {consumption(task.tool_usage)}")
    lines.append(f"judge {task.judge}: {consumption(task.judge_usage)}")
    lines += [f"masked {modality}: {counted(n, 'sample')}" for modality, n in task.masked.items()]
    lines += [f"model's note: {note} ({counted(n, 'response')})" for note, n in task.model_notes.items()]
    return lines + [f"note: {note}" for note in task.notes]


def _figures(task: TaskResult) -> list[str]:
    """One line for each family: "chosen: t 0.40, ti 0.60"."""
    families: dict[str, list[str]] = {}
    for name, value in task.figures.items():
        family, slash, member = name.partition("/")
        families.setdefault(family, []).append(f"{member} {number(value)}" if slash else number(value))
    return [f"mean {family}: {', '.join(members)}" for family, members in families.items()]


def _missing(task: TaskResult) -> list[str]:
    metric = task.headline
    unfinished = max(task.counts.planned - task.counts.finished, 0)
    elsewhere = metric.missing - sum(metric.n_missing.values()) - unfinished
    parts = [f"{n} {state}" for state, n in metric.n_missing.items()]
    parts += [f"{unfinished} unfinished"] if unfinished else []
    parts += [f"{elsewhere} in groups that the task does not name"] if elsewhere else []
    lines = [f"missing: {', '.join(parts)}"] if parts else []
    by_policy = metric.n_imputed - metric.n_stand_in
    if by_policy:
        lines.append(
            f"missing policy {task.missing_policy}: {counted(by_policy, 'missing answer')} in the mean"
        )
    if metric.n_stand_in:
        stand_ins = counted(metric.n_stand_in, "missing answer")
        lines.append(f"protocol: {stand_ins} in the mean, as the value that it prescribes")
    return lines


def _states(task: TaskResult) -> list[str]:
    counts = task.counts
    parts = [counted(n, f"{kind} error") for kind, n in counts.errors.items()]
    parts += [f"{counts.refused} refused"] if counts.refused else []
    parts += [f"{counts.skipped} skipped"] if counts.skipped else []
    parts += [counted(counts.empty, "empty answer")] if counts.empty else []
    return [f"responses: {', '.join(parts)}"] if parts else []
