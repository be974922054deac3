"""One sample and its answer: mask, media into the store, model (or agent), row of the journal."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import msgspec

from eval_anything.errors import Forbidden, MediaError, StorageError, UsageError
from eval_anything.media.store import ArtifactStore
from eval_anything.run.assembly import TaskParts
from eval_anything.run.endpoint import Endpoint, merge
from eval_anything.run.masking import mask
from eval_anything.stores.journal import now
from eval_anything.stores.rows import Key, ResponseRow, as_read
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
    together,
)

ENDS_THE_RUN = (Forbidden, StorageError, UsageError)
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


class Answering:
    """Asks the model."""

    def __init__(self, model: Endpoint, store: ArtifactStore, seed: int | None) -> None:
        self.model = model
        self.store = store
        self.seed = seed

    async def respond(self, unit: Unit) -> ResponseRow:
        sample = mask(unit.sample, unit.parts.allowed)
        try:
            sample = await self.ingest(sample, unit)
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
        requests = self.requests(unit, sample)
        if len(requests) == 1:
            return await self._answer(unit, requests[0])
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._answer(unit, request)) for request in requests]
        return together([task.result() for task in tasks])

    async def _answer(self, unit: Unit, request: Request) -> Response:
        equipped = unit.parts.agent
        if equipped is None or request.continuation is not None:
            return await self.model.ask(request)
        try:
            answer = await equipped.agent.respond(request, self.model, equipped.tools)
            return as_read(answer, Response)
        except ENDS_THE_RUN:
            raise
        except Exception as fault:  # noqa: BLE001 - an agent's own bug costs one sample and says so
            reason = f"agent {equipped.agent.name}: {type(fault).__name__}: {fault}"
            return Response(state="error", fault=Fault("model", reason))

    async def ingest(self, sample: Sample, unit: Unit) -> Sample:
        """Media files become artifacts of the run's store; a file that cannot be used raises MediaError."""
        if not names_files(sample):
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

    def requests(self, unit: Unit, sample: Sample) -> list[Request]:
        """What is asked for `sample`, as masked."""
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
        if self.seed is None:
            return request.params
        return msgspec.structs.replace(request.params, seed=_seed(self.seed, unit.key, part))


def names_files(sample: Sample) -> bool:
    """Whether media of it are not in the store (yet)."""
    return any(
        isinstance(part, File)
        for messages in sample.requests
        for message in messages
        for part in message.parts
    )


def _seed(seed: int, key: Key, part: int) -> int:
    """A seed of its own for each request and repeat, the same in every run; 31 bits, as servers take it."""
    further = f"\0{part}" if part else ""
    digest = hashlib.sha256(f"{seed}\0{key[0]}\0{key[1]}\0{key[2]}{further}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
