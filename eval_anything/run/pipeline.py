"""The pipeline: sample -> mask -> media into the store -> model -> journal -> judge -> journal.

No barrier anywhere: each worker takes one sample through to its score, and there are enough workers to keep
every place at the model and at the judges busy. Samples are drawn lazily, so memory does not grow with them.
A task without a judge ends with its responses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import islice

import msgspec

from eval_anything.errors import DataError, EvalAnythingError
from eval_anything.judge import Judge
from eval_anything.media.store import ArtifactStore
from eval_anything.run.answering import ENDS_THE_RUN, Answering, Unit, names_files
from eval_anything.run.assembly import Parts
from eval_anything.run.budget import ErrorBudget
from eval_anything.run.progress import Progress
from eval_anything.run.spending import Spending
from eval_anything.stores.journal import Finished, Journal, now
from eval_anything.stores.rows import ResponseRow, ScoreRow, as_read
from eval_anything.values import Sample, Score, ScoreState

_SPARE_WORKERS = 8


class Pipeline:
    """Takes every unit of a run through to its score, or to its response where nobody judges."""

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
        self.answering = Answering(parts.model, store, parts.config.seed)
        self.store = store
        self.journal = journal
        self.finished = finished
        self.budget = budget
        config = parts.config
        self.spending = Spending(finished.spent, config.max_cost, config.max_total_tokens)
        self.progress = progress

    async def run(self) -> None:
        """Raises BudgetExceeded, LimitReached, StorageError or Forbidden; what was finished is in the journal
        by then."""
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
            if self._is_finished(unit):
                self.progress.resumed()
                continue
            await self._process(unit)
            await asyncio.sleep(0)  # a model that never waits must not starve Ctrl-C and its neighbours

    def _is_finished(self, unit: Unit) -> bool:
        done = self.finished.responded if unit.parts.judge is None else self.finished.scored
        return done(unit.key)

    async def _process(self, unit: Unit) -> None:
        async with self.spending.sample(unit.parts.task.name):
            row = self.finished.response(unit.key) or await self._respond(unit)
            judge = unit.parts.judge
            score = None if judge is None else await self._score(judge, unit, row)
        if score is None:
            self.progress.unjudged()
        self._count(row, score)

    async def _respond(self, unit: Unit) -> ResponseRow:
        row = await self.answering.respond(unit)
        self.journal.append(row)
        response, task = row.response, unit.parts.task.name
        self.spending.took(task, "model", response.usage, answered=response.answered)
        self.spending.took(task, "tools", response.tool_usage)
        self.progress.responded(response)
        return row

    async def _score(self, judge: Judge, unit: Unit, row: ResponseRow) -> Score:
        score = await self._judge(judge, unit, row)
        self.journal.append(_score_row(unit, row.sample, score))
        answered = score.state == "scored"
        self.spending.took(unit.parts.task.name, "judge", score.usage, answered=answered)
        self.progress.scored(score)
        return score

    def _count(self, row: ResponseRow, score: Score | None) -> None:
        response = row.response
        if names_files(row.sample):
            return  # a broken file of the data: nobody was asked, and asking again would not mend it
        if response.state == "error" and response.fault is not None:
            self.budget.failed(f"{response.fault.kind}: {response.fault.message}")
        elif score is not None and score.state == "judge_error":
            self.budget.failed(f"judge: {score.reason}")
        else:
            self.budget.succeeded()

    async def _judge(self, judge: Judge, unit: Unit, row: ResponseRow) -> Score:
        response = row.response
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
                case = msgspec.structs.replace(case, sample=await self.answering.ingest(unit.sample, unit))
            case = msgspec.structs.replace(
                case, repeat=unit.repeat, task=unit.parts.task.name, store=self.store
            )
            return as_read(await judge.score(case), Score)
        except ENDS_THE_RUN:
            raise
        except Exception as fault:  # noqa: BLE001 - a judge's own bug costs one sample and says so
            reason = f"{type(fault).__name__}: {fault}"
            return Score(value=None, state="judge_error", reason=reason, judge=judge.label)


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


def _first(faults: BaseExceptionGroup[EvalAnythingError]) -> EvalAnythingError:
    found: BaseException = faults
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    assert isinstance(found, EvalAnythingError)
    return found
