"""A comparison as text, Markdown and JSON."""

from __future__ import annotations

import msgspec

from eval_anything.paired.values import Comparison, MetricChange, TaskComparison
from eval_anything.results import escape

_HEADS = ["metric", "before", "after", "change", "95% interval", "p"]


def render(comparison: Comparison, form: str) -> str:
    """`form`: table, md or json."""
    if form == "json":
        text = msgspec.json.format(msgspec.json.encode(comparison), indent=2).decode()
        return escape.json_text(text) + "\n"
    markdown = form == "md"
    safe = escape.markdown if markdown else escape.plain
    head = "# " if markdown else ""
    blocks = [head + safe(f"{comparison.before} -> {comparison.after}")]
    blocks += [_block(task, comparison, safe, markdown) for task in comparison.tasks]
    blocks += [
        "\n".join(
            [
                *(f"{name}: only in the first run" for name in map(safe, comparison.only_before)),
                *(f"{name}: only in the second run" for name in map(safe, comparison.only_after)),
                *([] if comparison.complete else ["a run is unfinished"]),
            ]
        )
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _block(task: TaskComparison, whole: Comparison, safe: escape.Escape, markdown: bool) -> str:
    from tabulate import tabulate

    profile = f", profile {task.profile}" if task.profile else ""
    title = safe(f"{task.task} (version {task.version}{profile})")
    indent = "&nbsp;&nbsp;" if markdown else "  "
    rows = [[indent * m.depth + safe(m.name), *map(safe, _numbers(m))] for m in task.metrics]
    table = tabulate(
        rows,
        _HEADS,
        "pipe" if markdown else "simple",
        colalign=["left", *["right"] * 5],
        disable_numparse=True,
        preserve_whitespace=True,
    )
    mark = "- " if markdown else ""
    lines = [mark + safe(line) for line in _lines(task, whole)]
    return "\n".join([("## " if markdown else "") + title, *([""] if markdown else []), table, "", *lines])


def _lines(task: TaskComparison, whole: Comparison) -> list[str]:
    found = [f"NOT MEASURED ALIKE: {line}" for line in task.settings[:_SHOWN]]
    if task.synthetic:
        found.append("synthetic data: not comparable with published numbers")
    found.append(
        f"{task.pairs} pairs of {task.clusters} independent samples:"
        f" {task.wins} better, {task.ties} same, {task.losses} worse"
    )
    if task.p_holm is not None and len(whole.tasks) > 1:
        found.append(f"p adjusted for {len(whole.tasks)} tasks (Holm): {task.p_holm:.3g}")
    seen = task.headline.detectable
    if seen is not None:
        found.append(f"a true change of {seen:.3g} would be found with probability {whole.power:g}")
    counts = (
        (task.only_before, "only in the first run"),
        (task.only_after, "only in the second run"),
        (task.unscored, "without a score in one run"),
    )
    found += [f"{n} {what}, in no difference" for n, what in counts if n]
    changed = ", ".join(f"{c.id} {c.before:g} -> {c.after:g}" for c in task.changed[:_SHOWN])
    return [*found, *([f"most changed: {changed}"] if changed else [])]


_SHOWN = 5


def _numbers(metric: MetricChange) -> list[str]:
    span = "-" if metric.low is None or metric.high is None else f"[{metric.low:+.4g}, {metric.high:+.4g}]"
    return [
        "-" if metric.before is None else f"{metric.before:.4g}",
        "-" if metric.after is None else f"{metric.after:.4g}",
        "-" if metric.difference is None else f"{metric.difference:+.4g}",
        span,
        "-" if metric.p is None else f"{metric.p:.3g}",
    ]
