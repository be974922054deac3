"""A run without its models: every request is made as the run would make it, counted, and not sent.

Prompts, agents' instructions and judges' questions are the real ones; answers are not there, so what is made
of them is left open. Media are examined where they lie, nothing is written.
"""

from __future__ import annotations

import asyncio
import copy
import hashlib
import os
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path

import msgspec

from eval_anything.errors import MediaError
from eval_anything.judge import Case, Judge
from eval_anything.media.probe import probe
from eval_anything.media.store import ArtifactStore
from eval_anything.results.results import JOURNAL, MANIFEST
from eval_anything.results.words import counted
from eval_anything.run.answering import Answering, Unit
from eval_anything.run.assembly import Parts, TaskParts, assemble
from eval_anything.run.config import RunConfig
from eval_anything.run.directory import planned, resumed
from eval_anything.run.endpoint import Endpoint, merge
from eval_anything.run.estimate import EXPLAINED, Estimate, Tally, together
from eval_anything.run.masking import mask
from eval_anything.run.run import apart
from eval_anything.stores.journal import Finished
from eval_anything.stores.manifest import Manifest, read_manifest
from eval_anything.values import (
    Artifact,
    Audio,
    File,
    Image,
    MediaPart,
    Message,
    Modality,
    Part,
    Request,
    Response,
    Sample,
    Text,
    Video,
)
from eval_anything.values.response import together as one_response

_KINDS: dict[Modality, Callable[[Artifact], MediaPart]] = {"image": Image, "audio": Audio, "video": Video}
_TIMED = ("audio", "video")
_MIMES: dict[Modality, str] = {"image": "image/png", "audio": "audio/wav", "video": "video/mp4"}
_ANSWER = Response(parts=(Text(""),))


def rehearse(config: RunConfig) -> Estimate:
    """Count what `config` would ask. Raises what `run` raises before it starts."""
    parts = assemble(config)
    manifest = planned(parts)
    finished = _finished(config, manifest)
    rehearsal = Rehearsal(parts, finished)
    apart(lambda: asyncio.run(rehearsal.go()))
    tallies = [rehearsal.tallies[id(endpoint)] for endpoint in parts.endpoints]
    asked = tuple(tally.result() for tally in tallies)
    unpriced = [e.label for e in parts.endpoints if e.price is None and e.account is not None]
    return Estimate(
        asked=asked,
        usd=together(asked, unpriced),
        planned=sum(plan.planned for plan in manifest.tasks),
        finished=len(finished),
        notes=(*rehearsal.notes, *EXPLAINED),
    )


def _finished(config: RunConfig, manifest: Manifest) -> Finished:
    """What the run's directory holds already. Raises RunConflict where it is another run's."""
    if config.out is None:
        return Finished(Path(os.devnull), {})
    folder = Path(config.out)
    if (folder / MANIFEST).exists():
        resumed(folder, read_manifest(folder / MANIFEST), manifest)
    return Finished(folder / JOURNAL, {plan.name: plan.fingerprint for plan in manifest.tasks})


class Heard(Endpoint):
    """Stands where an endpoint would, and keeps what it is asked."""

    def __init__(self, real: Endpoint) -> None:
        super().__init__(real.label, real.model, real.params, real.options)
        self.requests: list[Request] = []

    async def ask(self, request: Request, accept: Callable[[Response], bool] | None = None) -> Response:
        self.requests.append(msgspec.structs.replace(request, params=merge(request.params, self.params)))
        return _ANSWER


class Rehearsal:
    """Goes through all units of a run."""

    def __init__(self, parts: Parts, finished: Finished) -> None:
        self.parts = parts
        self.finished = finished
        self.tallies = {
            id(endpoint): Tally(purpose, endpoint)
            for purpose, endpoints in parts.by_purpose.items()
            for endpoint in endpoints
        }
        self.notes: list[str] = []
        self._broken = 0
        self._answering = Answering(parts.model, ArtifactStore(Path(os.devnull)), parts.config.seed)

    async def go(self) -> None:
        for item in self.parts.tasks:
            for unit in self._units(item):
                await self._take(unit)
        if self._broken:
            self.notes.append(f"not counted: {counted(self._broken, 'sample')} whose media cannot be used")

    def _units(self, item: TaskParts) -> Iterator[Unit]:
        for sample in islice(item.task.samples(item.dataset), self.parts.config.limit):
            for repeat in range(self.parts.config.repeats):
                unit = Unit(item, "", sample, repeat)
                if not self.finished.scored(unit.key):
                    yield unit

    async def _take(self, unit: Unit) -> None:
        try:
            sample = _examined(mask(unit.sample, unit.parts.allowed))
        except MediaError:
            self._broken += 1  # a run does not ask about it either
            return
        requests = [
            msgspec.structs.replace(request, params=merge(request.params, self.parts.model.params))
            for request in self._answering.requests(unit, sample)
        ]
        if not self.finished.responded(unit.key):
            for request in requests:
                await self._answer(unit.parts, request)
        if unit.parts.judge is not None:
            limits = [request.params.max_tokens for request in requests]
            longest = None if None in limits else float(sum(limit or 0 for limit in limits))
            await self._judge(unit, sample, longest)

    async def _answer(self, item: TaskParts, request: Request) -> None:
        tally = self.tallies[id(self.parts.model)]
        if item.agent is None or request.continuation is not None:
            tally.add(request)
            return
        agent, heard = item.agent.agent, Heard(self.parts.model)
        await agent.respond(request, heard, item.agent.tools)
        tally.add(heard.requests[0] if heard.requests else request)
        if not agent.asks_once:
            tally.unbounded(f"agent {agent.name} asks as often as it needs")
        for modality, tool in item.agent.tools.items():
            own = self.tallies[id(tool.endpoint)]
            prompt = Request(messages=(), output_modalities=(modality,))
            own.add(prompt, surely=modality in request.required_modalities, more=None)
            if not agent.asks_once or request.interleaved:
                own.unbounded("it is called as often as the model wants")

    async def _judge(self, unit: Unit, sample: Sample, longest: float | None) -> None:
        """Its questions about an answer that is not there yet; `longest`: how many tokens that may have."""
        judge, task = unit.parts.judge, unit.parts.task
        asking = [one for one in (judge.members or (judge,)) if one.endpoint is not None] if judge else []
        answers = [_stand_in(task.outputs) for _ in sample.requests]
        answer = answers[0] if len(answers) == 1 else one_response(answers)
        if not asking or task.settled(sample, answer) is not None:
            return
        case = task.case(sample, answer)
        if sample.masked and case.rubric.question_media:
            case = msgspec.structs.replace(case, sample=_examined(unit.sample))
        case = msgspec.structs.replace(case, repeat=unit.repeat, task=task.name)
        if case.rubric.media and any(modality in _TIMED for modality in task.outputs):
            longest = None
        for one in asking:
            await self._ask(one, case, longest)

    async def _ask(self, judge: Judge, case: Case, longest: float | None) -> None:
        """All that `judge` would ask: each question once in any case, and again without a verdict."""
        assert judge.endpoint is not None
        heard, tally = Heard(judge.endpoint), self.tallies[id(judge.endpoint)]
        rehearsed = copy.copy(judge)
        rehearsed.endpoint = heard
        await rehearsed.score(case)
        seen: set[bytes] = set()
        for request in heard.requests:
            question = msgspec.json.encode(request.messages)
            tally.add(request, surely=question not in seen, more=longest)
            seen.add(question)


def _stand_in(outputs: tuple[Modality, ...]) -> Response:
    """An answer in `outputs`, of which nothing is known."""
    media = [
        _KINDS[m](Artifact(sha256="0" * 64, mime=_MIMES[m], bytes_size=0)) for m in outputs if m in _KINDS
    ]
    return Response(parts=(Text(""), *media))


def _examined(sample: Sample) -> Sample:
    """`sample` with its files as media of which type and duration are known. Raises MediaError."""
    return sample.with_requests(
        [
            tuple(Message(m.role, tuple(_medium(part) for part in m.parts)) for m in messages)
            for messages in sample.requests
        ]
    )


def _medium(part: Part) -> Part:
    return _probed(part.path, part.modality) if isinstance(part, File) else part


@lru_cache(maxsize=4096)
def _probed(path: str, modality: Modality) -> MediaPart:
    found = probe(Path(path).resolve(), modality, name=path)
    known = Artifact(
        sha256=hashlib.sha256(path.encode()).hexdigest(),
        mime=found.mime,
        bytes_size=0,
        width=found.width,
        height=found.height,
        duration_s=found.duration_s,
    )
    return _KINDS[modality](known)
