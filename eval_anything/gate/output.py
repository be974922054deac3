"""A verdict for people (terminal, Markdown of a CI job) and for machines (JUnit XML, JSON)."""

from __future__ import annotations

from xml.etree import ElementTree

import msgspec

from eval_anything.gate.verdict import TaskVerdict, Verdict
from eval_anything.results import escape

_MARKS = {"pass": "pass", "regression": "REGRESSION", "cannot judge": "cannot judge"}
_HEADS = [
    "task",
    "metric",
    "baseline",
    "candidate",
    "change",
    "95% interval",
    "p",
    "detectable",
    "pairs",
    "verdict",
]
_LEFT = (0, 1, 9)


def text(verdict: Verdict) -> str:
    """A table, then the reasons in lines."""
    return _whole(verdict, "simple", escape.plain)


def markdown(verdict: Verdict) -> str:
    """The same, for the summary of a CI job."""
    return f"## Gate: {_MARKS[verdict.outcome]}\n\n{_whole(verdict, 'pipe', escape.markdown)}"


def _whole(verdict: Verdict, form: str, safe: escape.Escape) -> str:
    from tabulate import tabulate

    rows = [[safe(cell) for cell in _row(task)] for task in verdict.tasks]
    align = ["left" if i in _LEFT else "right" for i in range(len(_HEADS))]
    table = tabulate(rows, _HEADS, form, colalign=align, disable_numparse=True)
    mark = "- " if form == "pipe" else ""
    lines = [f"{task.task}: {reason}" for task in verdict.tasks for reason in task.reasons] + verdict.notes
    title = f"{verdict.before} -> {verdict.after}"
    end = f"verdict: {_MARKS[verdict.outcome]} (alpha {verdict.alpha:g} over all tasks)"
    return "\n".join([safe(title), "", table, "", *(mark + safe(line) for line in lines), mark + end]) + "\n"


def _row(task: TaskVerdict) -> list[str]:
    change = task.change
    span = "-" if change.low is None or change.high is None else f"[{change.low:+.3g}, {change.high:+.3g}]"
    return [
        task.task,
        change.name,
        _number(change.before),
        _number(change.after),
        "-" if change.difference is None else f"{change.difference:+.3g}",
        span,
        "-" if task.p is None else f"{task.p:.2g}",
        _number(task.detectable),
        str(task.pairs),
        _MARKS[task.outcome],
    ]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def junit(verdict: Verdict) -> str:
    """One test case a task: a regression is a failure, what cannot be judged an error."""
    failed = [task for task in verdict.tasks if task.outcome == "regression"]
    unsure = [task for task in verdict.tasks if task.outcome == "cannot judge"]
    suite = ElementTree.Element(
        "testsuite",
        name="eval-anything gate",
        tests=str(len(verdict.tasks)),
        failures=str(len(failed)),
        errors=str(len(unsure)),
    )
    for task in verdict.tasks:
        case = ElementTree.SubElement(suite, "testcase", classname=_xml(verdict.after), name=_xml(task.task))
        if task.outcome != "pass":
            kind = "failure" if task.outcome == "regression" else "error"
            reasons = _xml("; ".join(task.reasons))
            ElementTree.SubElement(case, kind, message=reasons, type=task.outcome).text = reasons
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _xml(value: str) -> str:
    """Without what XML 1.0 cannot hold."""
    return escape.plain(value)


def json(verdict: Verdict) -> str:
    return escape.json_text(msgspec.json.format(msgspec.json.encode(verdict), indent=2).decode()) + "\n"
