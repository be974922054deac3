"""The verdicts in runs, judge by judge: of each run's judge, and of each member where it is a panel."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import msgspec

from eval_anything.errors import DataError
from eval_anything.judge import Side
from eval_anything.results.results import JOURNAL, MANIFEST
from eval_anything.results.scan import Record, TaskScan, scan
from eval_anything.stores.journal import read_row_at
from eval_anything.stores.manifest import TaskPlan, read_manifest
from eval_anything.stores.rows import ResponseRow, ScoreRow
from eval_anything.values import Audio, Image, Response, Score, Text, Video

_SIDES: tuple[Side, ...] = get_args(Side)
_SAME = 1e-9
Who = tuple[str, bytes, bool]
"""A judge: its label, its whole identity, and whether it is a panel."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """One judge's verdict on one answer."""

    id: str
    repeat: int
    cluster: str
    answer: str
    """Digest of what was judged: only verdicts on the same answer can agree or not."""
    words: int
    """Length of the answer's text."""
    value: float | None
    """None: the judge was to give one and did not."""
    reference: float | None = None
    """What it rated the reference answer, if it rates both."""
    orders: dict[Side, tuple[float, float]] = {}
    """By who was shown first: its ratings of the answer and of the reference."""

    @property
    def choice(self) -> float | None:
        """1 where the answer is rated above the reference, 0 below it, a half for a tie."""
        if self.value is None or self.reference is None:
            return None
        return choice(self.value, self.reference)


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """All verdicts of one judge on one task."""

    judge: str
    verdicts: list[Verdict]
    combines: bool = False
    """Whether it is a panel, whose members are series of their own."""


class TaskSeries(msgspec.Struct, frozen=True, kw_only=True):
    plan: TaskPlan
    series: list[Series]


def choice(answer: float, reference: float) -> float:
    if abs(answer - reference) <= _SAME:
        return 0.5
    return float(answer > reference)


def digest(response: Response) -> str:
    """The same for the same words and media, whoever gave them and when."""
    held = [
        [part.text if isinstance(part, Text) else part.artifact.sha256]
        for answer in (response.answers or (response,))
        for part in answer.parts
        if isinstance(part, Text | Image | Audio | Video)
    ]
    return hashlib.sha256(msgspec.json.encode(held)).hexdigest()[:16]


def read_runs(folders: Sequence[Path], tasks: Sequence[str] = ()) -> list[TaskSeries]:
    """By task, of all runs; `tasks`: only those. Verdicts of one judge in several runs belong together.

    Raises DataError where there is no run, or two runs measured a task of one name by different data.
    """
    plans: dict[str, TaskPlan] = {}
    found: dict[str, dict[Who, list[Verdict]]] = {}
    for folder in folders:
        scanned = scan(folder / JOURNAL, read_manifest(folder / MANIFEST).tasks)
        for name, task in scanned.tasks.items():
            if tasks and name not in tasks:
                continue
            plan = plans.setdefault(name, task.plan)
            if (plan.data, plan.revision) != (task.plan.data, task.plan.revision):
                raise DataError(f"{folder}: task {name} has other data there than in {folders[0]}")
            for identity, verdict in _verdicts(folder / JOURNAL, task):
                found.setdefault(name, {}).setdefault(identity, []).append(verdict)
    return [
        TaskSeries(plan=plan, series=_named(found[name])) for name, plan in plans.items() if name in found
    ]


def _named(found: Mapping[Who, list[Verdict]]) -> list[Series]:
    """Judges of one label that differ in their options or parameters are told apart by a number."""
    series: list[Series] = []
    seen: dict[str, int] = {}
    for (label, _, combines), verdicts in found.items():
        seen[label] = seen.get(label, 0) + 1
        name = label if seen[label] == 1 else f"{label} ({seen[label]})"
        ordered = sorted(verdicts, key=lambda v: (v.id, v.repeat))
        series.append(Series(judge=name, verdicts=ordered, combines=combines))
    return series


def _verdicts(journal: Path, task: TaskScan) -> Iterator[tuple[Who, Verdict]]:
    who = task.plan.identity.get("judge") or {}
    members = [msgspec.json.encode(one, order="deterministic") for one in who.get("members", ())]
    whole = (task.plan.judge, msgspec.json.encode(who, order="deterministic"), bool(members))
    for _, _, record in task:
        pair = _rows(journal, record)
        if pair is None:
            continue
        row, score = pair
        yield whole, _verdict(row, score)
        told = score.details.get("members", ())
        for identity, one in zip(
            members, told, strict=False
        ):  # an answer that nobody was asked about has none
            yield (str(one["judge"]), identity, False), _verdict(row, _member(one))


def _rows(journal: Path, record: Record) -> tuple[ResponseRow, Score] | None:
    """None: the judge was not asked (yet)."""
    if record.score_state not in ("scored", "unparsed", "judge_error"):
        return None
    row, score = read_row_at(journal, record.response_at), read_row_at(journal, record.score_at)
    if not isinstance(row, ResponseRow) or not isinstance(score, ScoreRow):
        raise DataError(f"{journal}: changed while it was being read")
    return row, score.score


def _member(told: Mapping[str, Any]) -> Score:
    """A member's score as the panel keeps it."""
    own = ("judge", "score", "state", "reason", "components")
    return Score(
        value=told["score"],
        state=told["state"],
        judge=told["judge"],
        components=told.get("components", {}),
        details={name: value for name, value in told.items() if name not in own},
    )


def _verdict(row: ResponseRow, score: Score) -> Verdict:
    reference = score.components.get("reference")
    return Verdict(
        id=row.id,
        repeat=row.repeat,
        cluster=row.sample.cluster or row.id,
        answer=digest(row.response),
        words=len(row.response.text.split()),
        value=score.value if score.state == "scored" else None,
        reference=reference if score.state == "scored" else None,
        orders=_orders(score, reference),
    )


def _orders(score: Score, reference: float | None) -> dict[Side, tuple[float, float]]:
    """Of a pair judge: components by order where it was asked in both, else the one order that was asked."""
    found: dict[Side, tuple[float, float]] = {}
    for first in _SIDES:
        ratings = [score.components.get(f"{side}, {first} first") for side in ("response", "reference")]
        if ratings[0] is not None and ratings[1] is not None:
            found[first] = (ratings[0], ratings[1])
    replies = score.details.get("replies", ())
    if not found and score.state == "scored" and score.value is not None and reference is not None:
        asked = [reply.get("first") for reply in replies if isinstance(reply, dict)]
        found = {first: (score.value, reference) for first in _SIDES if asked == [first]}
    return found
