"""The measures of judges as text, Markdown and JSON."""

from __future__ import annotations

import msgspec

from eval_anything.judged.values import JudgeMeasures, Measure, Report, TaskMeasures
from eval_anything.results import escape

_HEADS = ["measure", "value", "95% interval", "n", ""]
_BIN_HEADS = ["rated", "n", "mean rating", "mean label"]


def render(report: Report, form: str) -> str:
    """`form`: table, md or json."""
    if form == "json":
        text = msgspec.json.format(msgspec.json.encode(report), indent=2).decode()
        return escape.json_text(text) + "\n"
    shape = _Shape(form == "md")
    source = f"labels: {report.labels}" if report.labels else "no labels: judges are measured by each other"
    blocks = [shape.line(source)]
    for task in report.tasks:
        blocks += _task(task, shape)
    return "\n\n".join(blocks) + "\n"


class _Shape:
    """How titles, lines and tables look in text and in Markdown."""

    def __init__(self, markdown: bool) -> None:
        self.markdown = markdown
        self.safe = escape.markdown if markdown else escape.plain

    def title(self, text: str, level: int) -> str:
        return ("#" * level + " " if self.markdown else "") + self.safe(text)

    def line(self, text: str) -> str:
        return ("- " if self.markdown else "") + self.safe(text)

    def table(self, rows: list[list[str]], heads: list[str]) -> str:
        from tabulate import tabulate

        align = ["left", *["right"] * 3, "left"][: len(heads)]
        safe = [[self.safe(cell) for cell in row] for row in rows]
        form = "pipe" if self.markdown else "simple"
        return tabulate(safe, heads, form, colalign=align, disable_numparse=True)


def _task(task: TaskMeasures, shape: _Shape) -> list[str]:
    notes = ["synthetic data: people's answers may be another matter"] if task.synthetic else []
    notes += task.notes
    head = "\n".join([shape.title(task.task, 2), *([""] if shape.markdown else []), *map(shape.line, notes)])
    blocks = [head]
    for judge in task.judges:
        blocks += _judge(judge, shape)
    if task.together:
        blocks += [shape.title("all judges", 3), shape.table([_row(m) for m in task.together], _HEADS)]
    return blocks


def _judge(judge: JudgeMeasures, shape: _Shape) -> list[str]:
    counts = f"{judge.verdicts} verdicts, {judge.missing} missing, {judge.labelled} with a label"
    blocks = [shape.title(judge.judge, 3), shape.line(counts)]
    if judge.measures:
        blocks.append(shape.table([_row(measure) for measure in judge.measures], _HEADS))
    if judge.calibration:
        rows = [
            [f"{b.low:g} to {b.high:g}", str(b.n), f"{b.rating:.2f}", f"{b.label:.2f}"]
            for b in judge.calibration
        ]
        blocks.append(shape.table(rows, _BIN_HEADS))
    return blocks


def _row(measure: Measure) -> list[str]:
    unknown = measure.low is None or measure.high is None
    span = "-" if unknown else f"[{measure.low:.3f}, {measure.high:.3f}]"
    value = "-" if measure.value is None else f"{measure.value:.3f}"
    return [measure.name, value, span, str(measure.n), measure.reason]
