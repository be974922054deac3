"""The pages of a report: the overview, and one for each task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from eval_anything.report.figures import TaskOfRun, figures
from eval_anything.report.frame import Cell, listed, table, text
from eval_anything.results.escape import html
from eval_anything.results.layout import INDENT
from eval_anything.results.layout import page as laid_out
from eval_anything.results.values import CombinedResult, Results
from eval_anything.results.words import number
from eval_anything.stats.metrics import MetricResult


class Run(NamedTuple):
    """A run as the report names it."""

    name: str
    results: Results


def overview(runs: Sequence[Run], tasks: dict[str, str]) -> str:
    """`tasks`: the page of each task, by its name."""
    parts = ["<h1>Results</h1>", _runs(runs)]
    for name, page in tasks.items():
        parts.append(f'<h2><a href="{html(page)}">{html(name)}</a></h2>')
        parts.append(_side_by_side(name, runs, headline_only=True))
    parts += [_combined(runs)]
    return "\n".join(part for part in parts if part)


def _runs(runs: Sequence[Run]) -> str:
    rows = []
    for run in runs:
        planned = sum(task.counts.planned for task in run.results.tasks)
        finished = sum(task.counts.finished for task in run.results.tasks)
        state = "finished" if run.results.complete else f"UNFINISHED: {finished} of {planned}"
        rows.append([text(run.name), text(run.results.model), text(run.results.created), text(state)])
    return table(["run", "model", "made", "state"], rows, "Runs")


def _side_by_side(task: str, runs: Sequence[Run], *, headline_only: bool = False) -> str:
    """Metrics down, runs across."""
    held = [next((t for t in run.results.tasks if t.name == task), None) for run in runs]
    first = next(t for t in held if t is not None)
    metrics = first.metrics[:1] if headline_only else first.metrics
    rows = []
    for metric in metrics:
        row = [_indented(INDENT * metric.depth + metric.name)]
        for one in held:
            found = None if one is None else next((m for m in one.metrics if m.name == metric.name), None)
            row.append(_value(found))
        rows.append(row)
    return table(["metric", *(run.name for run in runs)], rows, f"Metrics of {task}")


def _value(metric: MetricResult | CombinedResult | None) -> Cell:
    if metric is None:
        return Cell('<span class="none">not run</span>')
    if metric.value is None:
        return Cell(f'<span class="none" title="{html(metric.reason)}">no value</span>')
    shown = html(number(metric.value, 3 if abs(metric.value) < 1 else 2))
    if metric.low is not None and metric.high is not None:
        ends = f"[{number(metric.low, 2)}, {number(metric.high, 2)}]"
        shown += f' <span class="interval">{html(ends)}</span>'
    return Cell(shown, metric.value, number=True)


def _combined(runs: Sequence[Run]) -> str:
    names = dict.fromkeys((c.group, c.name) for run in runs for c in run.results.combined)
    if not names:
        return ""
    rows = []
    for group, name in names:
        found = [
            next((c for c in run.results.combined if (c.group, c.name) == (group, name)), None)
            for run in runs
        ]
        rows.append([text(f"{group}: {name}"), *map(_value, found)])
    return f"<h2>Groups</h2>{table(['number', *(run.name for run in runs)], rows, 'Numbers of groups')}"


def task_page(name: str, runs: Sequence[Run], held: Sequence[TaskOfRun], samples: str, count: int) -> str:
    """Everything about one task; `samples` is the page of its samples."""
    parts = [f"<h1>{html(name)}</h1>"]
    for run in runs:
        for block in laid_out(run.results).blocks:
            if block.title.startswith(f"{name} ("):
                parts.append(f"<h2>{html(run.name)}: {html(block.title)}</h2>")
                parts.append(listed(block.banners, "banners"))
                rows = [[_indented(row[0]), *map(text, row[1:])] for row in block.rows]
                parts.append(table(block.columns, rows, f"Metrics of {name}, {run.name}"))
                parts.append(listed(block.lines, "notes"))
    if len(runs) > 1:
        parts.append(f"<h2>Side by side</h2>{_side_by_side(name, runs)}")
    parts.append(f'<p class="more"><a href="../{html(samples)}">Look at the {count:,} samples</a></p>')
    parts += figures(name, held)
    return "\n".join(parts)


def _indented(name: str) -> Cell:
    """A metric's name, whose leading spaces say how far below the headline it stands."""
    plain = name.lstrip()
    depth = min((len(name) - len(plain)) // len(INDENT), 4)
    return Cell(f'<span class="depth{depth}">{html(plain)}</span>', plain)


def samples_page(name: str, runs: Sequence[Run], folder: str) -> str:
    """The frame of the sample browser; its script fills it."""
    names = "".join(f"<li>{html(run.name)}</li>" for run in runs)
    orders = {"id": "by id", "low": "lowest score first", "high": "highest score first"}
    if len(runs) > 1:
        orders = {"difference": "largest difference first", **orders}
    order = "".join(f'<option value="{value}">{label}</option>' for value, label in orders.items())
    every = '<option value="">all</option>'
    return f"""<h1>{html(name)}: samples</h1>
<div id="browser" data-folder="{html(folder)}" data-root="../">
<ol id="runs" hidden>{names}</ol>
<form id="filters" role="search" aria-label="Filter samples">
<label>Search
<input type="search" id="query" placeholder="id or words of the question" autocomplete="off"></label>
<label>Group <select id="group">{every}</select></label>
<label>State <select id="state">{every}</select></label>
<label>Order <select id="order">{order}</select></label>
<output id="count" aria-live="polite"></output>
</form>
<div id="panes">
<nav id="list" aria-label="Samples" tabindex="0"></nav>
<article id="sample" aria-live="polite" tabindex="-1">
<p>Choose a sample. Keys: j and k for the next and the one before, / to search.</p>
</article>
</div>
<noscript><p>The samples are shown by a script of this folder; scripts are switched off here.</p></noscript>
</div>"""
