"""Whether an entry may stand on a leaderboard, and whether two were measured alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from eval_anything.board.definition import Limits
from eval_anything.board.entry import Entry
from eval_anything.errors import DataError, UnknownName
from eval_anything.gate.policy import Rules
from eval_anything.gate.verdict import unsound
from eval_anything.group import Measured
from eval_anything.paired.compare import unlike
from eval_anything.paired.scores import RunScores, TaskScores
from eval_anything.paired.whole import contradictions, same
from eval_anything.stores.identity import fingerprint

SYNTHETIC = "synthetic"
KINDS = ("hub", "path", SYNTHETIC)
"""Of data; rows of different kinds never share a table."""


def kind(scores: RunScores) -> str:
    """The kind of data of all its tasks: "hub", "path" or "synthetic"."""
    return scores.tasks[0].plan.data


def inconsistent(entry: Entry) -> list[str]:
    """What in an entry contradicts itself: a file that was changed by hand, or is not whole."""
    return list(_contradictions(entry.scores))


def _contradictions(scores: RunScores) -> Iterator[str]:
    found = list(contradictions(scores))
    yield from found
    if not scores.tasks or len(scores.results.tasks) != len(scores.tasks):
        return
    kinds = dict.fromkeys(task.plan.data for task in scores.tasks)
    for name in kinds:
        if name not in KINDS:
            yield f"data {name!r}: expected one of {', '.join(KINDS)}"
    if len(kinds) > 1:
        yield f"its tasks are on different kinds of data: {', '.join(kinds)}"
    for task in scores.tasks:
        yield from _of_identity(task)
    yield from _of_groups(scores)


def _of_identity(task: TaskScores) -> Iterator[str]:
    plan = task.plan
    if not plan.identity:
        yield f"{plan.name}: it does not say how it was measured (no identity: an old version made it)"
    elif fingerprint(plan.identity) != plan.fingerprint:
        yield f"{plan.name}: fingerprint {plan.fingerprint} is not that of its settings"


def _of_groups(scores: RunScores) -> Iterator[str]:
    from eval_anything.registry import Plugins

    measured: dict[tuple[str, str], Measured] = {}
    for task in scores.results.tasks:
        for metric in task.metrics:
            measured[task.name, metric.name] = Measured(value=metric.value)
        measured[task.name, ""] = Measured(value=task.headline.value)
    shown = {(c.group, c.name): c.value for c in scores.results.combined}
    for name in dict.fromkeys(group for group, _ in shown):
        try:
            group = Plugins().groups.get(name)()
        except UnknownName:
            yield f"group {name}: not installed here, so that its numbers cannot be checked"
            continue
        for combined in group.combine(measured):
            if not same(shown.get((name, combined.name)), combined.value):
                yield f"group {name}: {combined.name} is not what its parts give, {combined.value}"


def doubtful(entry: Entry, limits: Limits) -> list[str]:
    """Errors, missing answers, verdicts not given, and a model that was never asked, beyond the limits."""
    rules = Rules(
        max_error_rate=limits.max_error_rate,
        max_missing_rate=limits.max_missing_rate,
        max_judge_error_rate=limits.max_judge_error_rate,
        allow_no_calls=limits.allow_no_calls,
    )
    return [f"{task.name}: {line}" for task in entry.scores.results.tasks for line in unsound(task, rules)]


def apart(one: TaskScores, other: TaskScores, ignored: Sequence[str] = ()) -> list[str]:
    """Why two measurements of a task cannot stand in one column; empty where they can.

    Everything of their identities counts, but the model and the seed, and what begins with one of `ignored`.
    """
    if one.plan.data != other.plan.data:
        return [f"data: {one.plan.data} -> {other.plan.data}"]
    lines = [line for line in unlike(one, other) if not line.startswith(tuple(ignored) or ("\0",))]
    if one.plan.planned != other.plan.planned:
        lines.append(f"answers planned: {one.plan.planned} -> {other.plan.planned}")
    if not one.plan.identity and one.plan.fingerprint != other.plan.fingerprint:
        lines.append(f"fingerprint: {one.plan.fingerprint} -> {other.plan.fingerprint}")
    return lines


def conflicts(entry: Entry, others: Sequence[Entry], ignored: Sequence[str] = ()) -> list[str]:
    """Why `entry` cannot stand beside those that are there already."""
    found = []
    for other in others:
        if kind(other.scores) != kind(entry.scores):
            data = (kind(entry.scores), kind(other.scores))
            return [f"it is of {data[0]} data, {other.path.name} is of {data[1]} data: never in one table"]
        for task in entry.scores.tasks:
            there = other.scores.task(task.plan.name)
            lines = [] if there is None else apart(there, task, ignored)
            if lines:
                more = f" and {len(lines) - 1} more" if len(lines) > 1 else ""
                found.append(f"{task.plan.name}: not measured like {other.path.name}: {lines[0]}{more}")
    return found


def refuse_damaged(entry: Entry) -> None:
    """Raises DataError naming the file."""
    lines = inconsistent(entry)
    if lines:
        raise DataError(f"{entry.path}: {lines[0]}")
