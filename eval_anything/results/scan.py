"""One pass over a journal: for each response planned, the latest row and the verdict on it.

Lines are decoded into structs of only the fields that results need; prompts, media and the judge's replies
are skipped over, not built, so that 100,000 samples are read in seconds and held in little memory.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec

from eval_anything.errors import DataError
from eval_anything.stats.cell import Verdict
from eval_anything.stores.manifest import TaskPlan
from eval_anything.values import Modality, ScoreState, State, Usage
from eval_anything.values.usage import Served, merged

_MEDIA = ("image", "audio", "video")


class _Part(msgspec.Struct, frozen=True, gc=False):
    type: str
    text: str = ""


class _Fault(msgspec.Struct, frozen=True, gc=False):
    kind: str


class _TurnPart(msgspec.Struct, frozen=True, gc=False):
    type: str
    error: str | None = None
    wrong: bool = False


class _Turn(msgspec.Struct, frozen=True):
    parts: list[_TurnPart] = []


class _Likelihood(msgspec.Struct, frozen=True, gc=False):
    """That there is one is all that counts here."""


class _Answer(msgspec.Struct, frozen=True):
    parts: list[_Part] = []
    likelihood: _Likelihood | None = None


class _Response(_Answer, frozen=True):
    answers: list[_Answer] = []
    state: State = "ok"
    fault: _Fault | None = None
    usage: Usage = Usage()
    seconds: float = 0.0
    cached: bool = False
    notes: tuple[str, ...] = ()
    trace: list[_Turn] = []
    tool_usage: Usage = Usage()


class _Sample(msgspec.Struct, frozen=True):
    group: str = ""
    cluster: str = ""
    masked: tuple[Modality, ...] = ()


class _Score(msgspec.Struct, frozen=True):
    value: float | None
    state: ScoreState
    judge: str = ""
    usage: Usage = Usage()
    components: dict[str, float | None] = {}
    weight: Annotated[float, msgspec.Meta(ge=0)] = 1.0


class ResponseLine(msgspec.Struct, frozen=True, tag="response", tag_field="kind"):
    task: str
    id: str
    repeat: int
    fingerprint: str
    sample: _Sample
    response: _Response


class ScoreLine(msgspec.Struct, frozen=True, tag="score", tag_field="kind"):
    task: str
    id: str
    repeat: int
    fingerprint: str
    score: _Score


class Record(msgspec.Struct, gc=False):
    """What is kept of the latest response to one sample and repeat, and of its score."""

    state: State
    fault: str
    empty: bool
    group: str
    cluster: str
    masked: tuple[Modality, ...]
    notes: tuple[str, ...]
    response_at: int
    """Byte offset of the response's line."""
    score_at: int = -1
    """Byte offset of the score's line; -1 before there is one."""
    score_state: ScoreState | None = None
    value: float | None = None
    judge: str = ""
    components: dict[str, float | None] = {}
    weight: float = 1.0
    tool_calls: int = 0
    tool_errors: int = 0
    wrong_calls: int = 0


class Totals:
    """Running sums of usage. Replaced rows count as well: what they consumed was consumed."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._served: Served = {}
        self.seconds = 0.0

    def add(self, usage: Usage) -> None:
        for name in _AMOUNTS:
            amount = getattr(usage, name)
            if amount is not None and (amount or name == "cost_usd"):
                self._sums[name] = self._sums.get(name, 0) + amount
        self._served = merged(self._served, usage.served)

    def usage(self) -> Usage:
        return msgspec.convert({**self._sums, "served": self._served}, Usage)


_AMOUNTS = tuple(name for name in Usage.__struct_fields__ if name != "served")


class TaskScan:
    """All that the journal says of one task under the plan's fingerprint."""

    def __init__(self, plan: TaskPlan) -> None:
        self.plan = plan
        self.model = Totals()
        self.judge = Totals()
        self.tools = Totals()
        self.foreign = 0
        """Rows of another fingerprint."""
        self.orphans = 0
        """Scores without a response before them."""
        # Repeat 0 is kept under the plain id: a tuple for each sample would cost as much as the record.
        self._records: dict[str | tuple[str, int], Record] = {}
        self._masks: dict[tuple[Modality, ...], tuple[Modality, ...]] = {}
        self._notes: dict[tuple[str, ...], tuple[str, ...]] = {}

    def take(self, offset: int, line: ResponseLine | ScoreLine) -> None:
        key = line.id if line.repeat == 0 else (line.id, line.repeat)
        if line.fingerprint != self.plan.fingerprint:
            self.foreign += 1
        elif isinstance(line, ResponseLine):
            self.model.add(line.response.usage)
            self.tools.add(line.response.tool_usage)
            self.model.seconds += 0.0 if line.response.cached else line.response.seconds
            # A new response voids the score of the one that it replaces: the new record has none.
            self._records[key] = self._record(offset, line.sample, line.response)
        else:
            self.judge.add(line.score.usage)
            self._take_score(self._records.get(key), offset, line.score)

    def _record(self, offset: int, sample: _Sample, response: _Response) -> Record:
        acts = [part for turn in response.trace for part in turn.parts]
        failed = [part for part in acts if part.type == "tool_result" and part.error is not None]
        return Record(
            state=response.state,
            fault=sys.intern(response.fault.kind) if response.fault else "",
            empty=response.state in ("ok", "truncated") and _lacks_an_answer(response),
            group=sys.intern(sample.group),
            cluster=sys.intern(sample.cluster),
            masked=self._masks.setdefault(sample.masked, sample.masked),
            notes=self._notes.setdefault(response.notes, response.notes),
            response_at=offset,
            tool_calls=sum(part.type == "tool_call" for part in acts),
            tool_errors=sum(not part.wrong for part in failed),
            wrong_calls=sum(part.wrong for part in failed),
        )

    def _take_score(self, record: Record | None, offset: int, score: _Score) -> None:
        if record is None:
            self.orphans += 1
            return
        record.score_at = offset
        record.score_state = score.state
        record.value = score.value
        record.judge = sys.intern(score.judge)
        record.components = score.components
        record.weight = score.weight

    def __iter__(self) -> Iterator[tuple[str, int, Record]]:
        """(sample id, repeat, record), in the order of first appearance."""
        for key, record in self._records.items():
            if isinstance(key, str):
                yield key, 0, record
            else:
                yield *key, record

    def verdicts(self) -> Iterator[Verdict]:
        for sample_id, repeat, record in self:
            yield Verdict(
                id=sample_id,
                repeat=repeat,
                group=record.group,
                cluster=record.cluster,
                state=_verdict_state(record),
                value=record.value,
                truncated=record.state == "truncated",
                weight=record.weight,
                components=record.components,
            )


class Scan:
    """The tasks of a run, in the order of its manifest."""

    def __init__(self, plans: tuple[TaskPlan, ...]) -> None:
        self.tasks = {plan.name: TaskScan(plan) for plan in plans}
        self.unplanned: Counter[str] = Counter()
        """Rows of tasks that the manifest does not have."""
        self.journal_bytes = 0
        """How much of the journal was read."""


def scan(journal: Path, plans: tuple[TaskPlan, ...]) -> Scan:
    """Read a journal once, streaming; one that is not there yet is empty.

    A half-written last line is left out. Raises DataError, with the line's number, for damage elsewhere.
    """
    found = Scan(plans)
    if not journal.exists():
        return found
    decoder = msgspec.json.Decoder(ResponseLine | ScoreLine)
    with journal.open("rb") as file:
        for number, text in enumerate(file, 1):
            if not text.endswith(b"\n"):
                break
            try:
                line = decoder.decode(text)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
                raise DataError(f"{journal}, line {number}: damaged: {fault}") from None
            task = found.tasks.get(line.task)
            if task is None:
                found.unplanned[line.task] += 1
            else:
                task.take(found.journal_bytes, line)
            found.journal_bytes += len(text)
    return found


def _lacks_an_answer(response: _Response) -> bool:
    return not all(map(_has_answer, response.answers or [response]))


def _has_answer(answer: _Answer) -> bool:
    if answer.likelihood is not None:
        return True
    return any(p.type in _MEDIA or (p.type == "text" and not _blank(p.text)) for p in answer.parts)


def _blank(text: str) -> bool:
    return not text or text.isspace()


def _verdict_state(record: Record) -> ScoreState | None:
    """Without a score, an error leaves nothing to judge; any other response still waits for its judge."""
    if record.score_state is None and record.state in ("error", "skipped"):
        return "no_response"
    return record.score_state
