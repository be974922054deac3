"""The pipeline: sample -> mask -> media into the store -> model -> journal -> judge -> journal.

No barrier anywhere: each worker takes one sample through to its score, and there are enough workers to keep
every place at the model and at the judges busy. Samples are drawn lazily, so memory does not grow with them.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import msgspec

from eval_anything.errors import DataError, EvalAnythingError, Forbidden, MediaError, StorageError, UsageError
from eval_anything.media.store import ArtifactStore
from eval_anything.run.assembly import Parts, TaskParts
from eval_anything.run.budget import ErrorBudget
from eval_anything.run.endpoint import merge
from eval_anything.run.masking import mask
from eval_anything.run.progress import Progress
from eval_anything.stores.journal import Finished, Journal, now
from eval_anything.stores.rows import Key, ResponseRow, ScoreRow, as_read
from eval_anything.values import (
    Fault,
    File,
    Lineage,
    Message,
    Origin,
    Params,
    Part,
    Request,
    Response,
    Sample,
    Score,
    ScoreState,
    together,
)

_SPARE_WORKERS = 8
_ENDS_THE_RUN = (Forbidden, StorageError, UsageError)
"""What would be the same for every further sample."""


class Unit(msgspec.Struct, frozen=True):
    """One thing to be done: one sample of one task, once."""

    parts: TaskParts
    fingerprint: str
    sample: Sample
    repeat: int

    @property
    def key(self) -> Key:
        return (self.parts.task.name, self.sample.id, self.repeat)


class Pipeline:
    """Takes every unit of a run through to its score."""

    def __init__(
        self,
        parts: Parts,
        fingerprints: dict[str, str],
        store: ArtifactStore,
        journal: Journal,
        finished: Finished,
        budget: ErrorBudget,
        progress: Progress,
    ) -> None:
        self.parts = parts
        self.fingerprints = fingerprints
        self.store = store
        self.journal = journal
        self.finished = finished
        self.budget = budget
        self.progress = progress

    async def run(self) -> None:
        """Raises BudgetExceeded, StorageError or Forbidden; what was finished is in the journal by then."""
        units = self._units()
        workers = sum(endpoint.places for endpoint in self.parts.endpoints) + _SPARE_WORKERS
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(workers):
                    group.create_task(self._work(units))
        except* EvalAnythingError as faults:
            raise _first(faults) from None

    def _units(self) -> Iterator[Unit]:
        """One generator for all workers: drawn between awaits, so never by two at once.

        Raises DataError where two samples of a task have one id.
        """
        config = self.parts.config
        for item in self.parts.tasks:
            fingerprint = self.fingerprints[item.task.name]
            seen: set[str] = set()
            for sample in islice(item.task.samples(item.dataset), config.limit):
                if sample.id in seen:  # rows of one would replace those of the other
                    raise DataError(f"task {item.task.name}: two samples have the id {sample.id!r}")
                seen.add(sample.id)
                for repeat in range(config.repeats):
                    yield Unit(item, fingerprint, sample, repeat)

    async def _work(self, units: Iterator[Unit]) -> None:
        for unit in units:
            if self.finished.scored(unit.key):
                self.progress.resumed()
                continue
            await self._process(unit)
            await asyncio.sleep(0)  # a model that never waits must not starve Ctrl-C and its neighbours

    async def _process(self, unit: Unit) -> None:
        row = self.finished.response(unit.key)
        if row is None:
            row = await self._respond(unit)
            self.journal.append(row)
            self.progress.responded(row.response)
        score = await self._judge(unit, row)
        self.journal.append(_score_row(unit, row.sample, score))
        self.progress.scored(score)
        self._count(row, score)

    def _count(self, row: ResponseRow, score: Score) -> None:
        response = row.response
        if _names_files(row.sample):
            return  # a broken file of the data: nobody was asked, and asking again would not mend it
        if response.state == "error" and response.fault is not None:
            self.budget.failed(f"{response.fault.kind}: {response.fault.message}")
        elif score.state == "judge_error":
            self.budget.failed(f"judge: {score.reason}")
        else:
            self.budget.succeeded()

    async def _respond(self, unit: Unit) -> ResponseRow:
        sample = mask(unit.sample, unit.parts.allowed)
        try:
            sample = await self._ingest(sample, unit)
            response = await self._answers(unit, sample)
        except MediaError as fault:
            response = Response(state="error", fault=Fault("media", str(fault)))
        return ResponseRow(
            task=unit.parts.task.name,
            id=sample.id,
            repeat=unit.repeat,
            fingerprint=unit.fingerprint,
            time=now(),
            sample=sample,
            response=response,
        )

    async def _answers(self, unit: Unit, sample: Sample) -> Response:
        """The answer; of a sample with several requests, asked side by side, all of them together."""
        requests = self._requests(unit, sample)
        if len(requests) == 1:
            return await self._answer(unit, requests[0])
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._answer(unit, request)) for request in requests]
        return together([task.result() for task in tasks])

    async def _answer(self, unit: Unit, request: Request) -> Response:
        equipped = unit.parts.agent
        if equipped is None or request.continuation is not None:
            return await self.parts.model.ask(request)
        try:
            answer = await equipped.agent.respond(request, self.parts.model, equipped.tools)
            return as_read(answer, Response)
        except _ENDS_THE_RUN:
            raise
        except Exception as fault:  # noqa: BLE001 - an agent's own bug costs one sample and says so
            reason = f"agent {equipped.agent.name}: {type(fault).__name__}: {fault}"
            return Response(state="error", fault=Fault("model", reason))

    async def _ingest(self, sample: Sample, unit: Unit) -> Sample:
        """Media files become artifacts of the run's store; a file that cannot be used raises MediaError."""
        if not _names_files(sample):
            return sample
        return await asyncio.to_thread(self._stored, sample, unit)

    def _stored(self, sample: Sample, unit: Unit) -> Sample:
        root = unit.parts.dataset.root

        def stored(part: Part) -> Part:
            if not isinstance(part, File):
                return part
            name = part.path.removeprefix(f"{root}/")
            lineage = Lineage(source="data", name=name)
            return self.store.part(
                self.store.add_file(Path(part.path), part.modality, inside=root, lineage=lineage)
            )

        return sample.with_requests(
            [
                tuple(Message(m.role, tuple(stored(p) for p in m.parts)) for m in messages)
                for messages in sample.requests
            ]
        )

    def _requests(self, unit: Unit, sample: Sample) -> list[Request]:
        task = unit.parts.task
        parts = len(sample.requests)
        continuations = sample.continuations or (None,) * parts
        asked = [
            Request(
                messages=messages,
                output_modalities=task.outputs,
                required_modalities=task.required,
                interleaved=task.interleaved,
                params=merge(task.params, sample.params),
                plain=task.plain,
                continuation=continuation,
            )
            for messages, continuation in zip(sample.requests, continuations, strict=True)
        ]
        return [
            msgspec.structs.replace(
                request,
                params=self._seeded(request, unit, part),
                # A sample that asks the same several times wants as many draws.
                draw=unit.repeat * asked.count(request) + asked[:part].count(request),
                origin=Origin(task.name, sample.id, unit.repeat, part, parts),
            )
            for part, request in enumerate(asked)
        ]

    def _seeded(self, request: Request, unit: Unit, part: int) -> Params:
        seed = self.parts.config.seed
        if seed is None:
            return request.params
        return msgspec.structs.replace(request.params, seed=_seed(seed, unit.key, part))

    async def _judge(self, unit: Unit, row: ResponseRow) -> Score:
        judge, response = unit.parts.judge, row.response
        try:
            if not response.answered:
                said = response.fault.message if response.fault is not None else "the model declined"
                state: ScoreState = "refused" if response.state == "refused" else "no_response"
                weight = unit.parts.task.weight(row.sample)
                return Score(value=None, state=state, reason=said, judge=judge.label, weight=weight)
            settled = unit.parts.task.settled(row.sample, response)
            if settled is not None:
                return msgspec.structs.replace(as_read(settled, Score), judge=judge.label)
            case = unit.parts.task.case(row.sample, response)
            if row.sample.masked and case.rubric.question_media:
                # What the model was not shown is part of the question all the same: the judge sees it.
                case = msgspec.structs.replace(case, sample=await self._ingest(unit.sample, unit))
            case = msgspec.structs.replace(
                case, repeat=unit.repeat, task=unit.parts.task.name, store=self.store
            )
            return as_read(await judge.score(case), Score)
        except _ENDS_THE_RUN:
            raise
        except Exception as fault:  # noqa: BLE001 - a judge's own bug costs one sample and says so
            reason = f"{type(fault).__name__}: {fault}"
            return Score(value=None, state="judge_error", reason=reason, judge=judge.label)


def _names_files(sample: Sample) -> bool:
    """Whether media of it are not in the store (yet)."""
    return any(
        isinstance(part, File)
        for messages in sample.requests
        for message in messages
        for part in message.parts
    )


def _score_row(unit: Unit, sample: Sample, score: Score) -> ScoreRow:
    return ScoreRow(
        task=unit.parts.task.name,
        id=sample.id,
        repeat=unit.repeat,
        fingerprint=unit.fingerprint,
        time=now(),
        group=sample.group,
        cluster=sample.cluster or sample.id,
        score=score,
    )


def _seed(seed: int, key: Key, part: int) -> int:
    """A seed of its own for each request and repeat, the same in every run; 31 bits, as servers take it."""
    further = f"\0{part}" if part else ""
    digest = hashlib.sha256(f"{seed}\0{key[0]}\0{key[1]}\0{key[2]}{further}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def _first(faults: BaseExceptionGroup[EvalAnythingError]) -> EvalAnythingError:
    found: BaseException = faults
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    assert isinstance(found, EvalAnythingError)
    return found
