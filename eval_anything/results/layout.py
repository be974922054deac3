"""What is said of results, in which order; how it is drawn is `table`'s affair."""

from __future__ import annotations

from dataclasses import dataclass

from eval_anything.results.results import Results, TaskResult
from eval_anything.stats.metrics import MetricResult
from eval_anything.values import Usage

COLUMNS = ("metric", "value", "95% interval", "n", "scored", "missing", "truncated", "judge errors", "judge")
NUMERIC = range(1, 8)
NONE = "-"


@dataclass(frozen=True, slots=True)
class Block:
    """One task: its table, what must be read before it, and what explains it."""

    title: str
    banners: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    """Cells in the order of COLUMNS, unescaped."""
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Page:
    title: str
    banners: tuple[str, ...]
    blocks: tuple[Block, ...]
    lines: tuple[str, ...]


def page(results: Results) -> Page:
    planned = sum(task.counts.planned for task in results.tasks)
    finished = sum(task.counts.finished for task in results.tasks)
    banners = () if results.complete else (f"unfinished run: {finished} of {planned} responses",)
    return Page(
        title=f"{results.model} ({results.created})",
        banners=banners,
        blocks=tuple(_block(task) for task in results.tasks),
        lines=tuple(f"note: {note}" for note in results.notes),
    )


def _block(task: TaskResult) -> Block:
    return Block(
        title=f"{task.name} (version {task.version})",
        banners=tuple(_banners(task)),
        rows=tuple(_cells(task, metric) for metric in task.metrics),
        lines=tuple(_lines(task)),
    )


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


def _cells(task: TaskResult, metric: MetricResult) -> tuple[str, ...]:
    interval = NONE
    if metric.low is not None and metric.high is not None:
        interval = f"[{number(metric.low)}, {number(metric.high)}]"
    return (
        metric.name if metric.headline else f"  {metric.name}",
        number(metric.value),
        interval,
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
    lines += _missing(task) + _states(task)
    lines.append(f"model: {consumption(task.model_usage)}; {number(task.seconds)} s")
    lines.append(f"judge {task.judge}: {consumption(task.judge_usage)}")
    lines += [f"masked {modality}: {n} samples" for modality, n in task.masked.items()]
    lines += [f"model's note: {note} ({n} responses)" for note, n in task.model_notes.items()]
    return lines + [f"note: {note}" for note in task.notes]


def _missing(task: TaskResult) -> list[str]:
    metric = task.headline
    unfinished = metric.missing - sum(metric.n_missing.values())
    parts = [f"{n} {state}" for state, n in metric.n_missing.items()]
    parts += [f"{unfinished} unfinished or in no group"] if unfinished else []
    lines = [f"missing: {', '.join(parts)}"] if parts else []
    if metric.n_imputed:
        lines.append(
            f"missing policy {task.missing_policy}: {metric.n_imputed} missing answers are in the mean"
        )
    return lines


def _states(task: TaskResult) -> list[str]:
    counts = task.counts
    parts = [f"{n} {kind} errors" for kind, n in counts.errors.items()]
    named = {"refused": counts.refused, "skipped": counts.skipped, "empty answers": counts.empty}
    parts += [f"{n} {name}" for name, n in named.items() if n]
    return [f"responses: {', '.join(parts)}"] if parts else []


def consumption(usage: Usage) -> str:
    """Tokens and media that were used; money only where a price is known."""
    parts = [f"{usage.requests:,} requests", f"{usage.input_tokens:,} tokens in, {usage.output_tokens:,} out"]
    if usage.reasoning_tokens:
        parts[-1] += f" ({usage.reasoning_tokens:,} reasoning)"
    media = {"images": (usage.images_in, usage.images_out)}
    parts += [f"{name} {a} in, {b} out" for name, (a, b) in media.items() if a or b]
    seconds = {"audio": (usage.audio_s_in, usage.audio_s_out), "video": (usage.video_s_in, usage.video_s_out)}
    parts += [f"{name} {a:.1f} s in, {b:.1f} s out" for name, (a, b) in seconds.items() if a or b]
    if usage.cost_usd is not None:
        parts.append(f"${usage.cost_usd:.2f}" if usage.cost_usd >= 0.01 else f"${usage.cost_usd:.4f}")
    return "; ".join(parts)


def number(value: float | None) -> str:
    """Two decimals; no minus sign before a zero."""
    if value is None:
        return NONE
    text = f"{value:.2f}"
    return "0.00" if text == "-0.00" else text


def percent(share: float | None) -> str:
    return NONE if share is None else f"{100 * share:.1f}%"
