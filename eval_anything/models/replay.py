"""`replay/FILE.jsonl`: recorded responses in place of a model; `replay/DIR`: see replay_folder.py.

One row for each response: `id` (the sample's), optional `task`, `repeat`, `state` and `selected`, and either
`response` (text) or `parts`, media among them with an optional `lineage`; other keys are not read, so
exported samples can be replayed as they are. A row without `task` serves every task, a row without `repeat`
every repeat that has no row of its own. Where a sample asks several requests the row has `answers` instead,
one for each in their order: a text, or an object with `parts`, `state` and `selected`; `parts` beside them
are not read. A `likelihood` (`logprob`, `greedy`, `tokens`) answers a request that gives a text to be scored.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

from eval_anything.errors import DataError, MediaError, UsageError
from eval_anything.models.base import Model, ModelContext, NoOptions
from eval_anything.models.recording import (
    READER,
    RecordedAudio,
    RecordedImage,
    RecordedMedium,
    RecordedPart,
    RecordedVideo,
    Row,
    checked,
    lines,
)
from eval_anything.models.replay_folder import MediaFolder
from eval_anything.models.tally import count_usage
from eval_anything.values import (
    MODALITIES,
    Audio,
    Capabilities,
    Fault,
    Lineage,
    MediaPart,
    Modality,
    Part,
    Reasoning,
    Request,
    Response,
    State,
    Text,
)

_Key = tuple[str | None, str, int | None]


class ReplayModel(Model):
    """Responses recorded elsewhere or by an earlier run: replay/FILE.jsonl, or replay/DIR of media files."""

    provider = "replay"
    local = True
    Options = NoOptions

    def __init__(self, name: str, options: Any) -> None:
        """Reads the whole recording once and remembers where each row begins, not the rows.

        Raises UsageError when there is no such file or folder, DataError naming the first bad line.
        """
        super().__init__(name, options)
        self._path = Path(name).expanduser()
        self._offsets: dict[_Key, int] = {}
        self._file: BinaryIO | None = None
        self._folder = MediaFolder(self._path, name) if self._path.is_dir() else None
        if self._folder is not None:
            self._sha256 = self._folder.sha256
            return
        if not self._path.is_file():
            raise UsageError(f"recording {name}: no such file or folder")
        try:
            with self._path.open("rb") as file:
                self._sha256 = self._index(file)
                self._stamp = _stamp(file)
        except OSError as fault:
            raise UsageError(f"recording {name}: {fault.strerror}") from None

    def capabilities(self) -> Capabilities:
        return Capabilities(inputs=MODALITIES, outputs=MODALITIES, tools=True, plain=True, likelihood="all")

    def identity(self) -> dict[str, Any]:
        return {"recording_sha256": self._sha256}

    async def start(self, context: ModelContext) -> None:
        """Raises UsageError when the file has changed since it was indexed."""
        await super().start(context)
        if self._folder is not None:
            return
        self._file = self._path.open("rb")
        if _stamp(self._file) != self._stamp:
            raise UsageError(f"recording {self.name} has changed while it was being read; run again")

    async def generate(self, request: Request) -> Response:
        """The recorded response; state skipped where there is none, error where its media are broken."""
        if self._folder is not None:
            return await asyncio.to_thread(self._folder.respond, request, self.context.store)
        row = self._find(request)
        if row is not None and row.state in ("error", "skipped"):
            return self._failed(row.state)
        missing = self._missing(request, row)
        if row is None or missing:
            return Response(state="skipped", fault=Fault("missing", missing))
        answer = row.answer(_part(request))
        if answer.state in ("error", "skipped"):
            return self._failed(answer.state)
        try:
            parts = await self._parts(answer.parts)
        except MediaError as fault:
            return Response(state="error", fault=Fault("media", str(fault)))
        return Response(
            parts=parts,
            state=answer.state,
            usage=count_usage(request, parts, requests=0),
            selected=answer.selected,
            likelihood=answer.likelihood,
        )

    async def stop(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _index(self, file: BinaryIO) -> str:
        digest = hashlib.sha256()
        for number, (offset, line) in enumerate(lines(file, self.name), start=1):
            digest.update(line)
            if not line.strip():
                continue
            where = f"recording {self.name}, line {number}"
            key = _key(checked(line, where))
            if key in self._offsets:
                raise DataError(f"{where}: a second response for {_told(key)}")
            self._offsets[key] = offset
        return digest.hexdigest()

    def _find(self, request: Request) -> Row | None:
        origin = request.origin
        if origin is None:
            return None
        for task in (origin.task, None):
            for repeat in (origin.repeat, None):
                offset = self._offsets.get((task, origin.sample_id, repeat))
                if offset is not None:
                    return self._read(offset)
        return None

    def _read(self, offset: int) -> Row:
        if self._file is None:
            raise UsageError(f"recording {self.name} was asked before it was started")
        self._file.seek(offset)
        return READER.decode(self._file.readline())

    def _failed(self, state: State) -> Response:
        return Response(state=state, fault=Fault("missing", f"recorded as {state} in {self.name}"))

    def _missing(self, request: Request, row: Row | None) -> str:
        """What the recording lacks for `request`, or nothing."""
        origin = request.origin
        if origin is None:
            return f"recording {self.name} only answers samples of a task"
        sample = _told((origin.task, origin.sample_id, origin.repeat))
        if row is None:
            return f"recording {self.name} has no response for {sample}"
        recorded = 1 if row.answers is None else len(row.answers)
        if recorded != origin.parts:
            form = "its row has no `answers`" if row.answers is None else f"its row has {recorded} answers"
            return f"recording {self.name}: {sample} asks {origin.parts} requests, and {form}"
        if request.continuation is not None and row.answer(origin.part).likelihood is None:
            return f"recording {self.name} has no likelihood for {sample}"
        return ""

    async def _parts(self, recorded: Iterable[RecordedPart]) -> tuple[Part, ...]:
        parts: list[Part] = []
        for part in recorded:
            if isinstance(part, Text | Reasoning):
                parts.append(part)
            else:
                parts.append(await asyncio.to_thread(self._store, part))
        return tuple(parts)

    def _store(self, part: RecordedMedium) -> MediaPart:
        folder = self._path.resolve().parent
        modality = _MODALITY_OF[type(part)]
        told = part.lineage or Lineage(source="model")
        lineage = Lineage(
            source="model",
            name=f"replay/{self.name}",
            prompt=told.prompt,
            seed=told.seed,
            details={**told.details, "file": part.path},
        )
        store = self.context.store
        artifact = store.add_file(folder / part.path, modality, inside=folder, lineage=lineage)
        if isinstance(part, RecordedAudio) and part.transcript is not None:
            return Audio(artifact, part.transcript)
        return store.part(artifact)


_MODALITY_OF: dict[type[RecordedMedium], Modality] = {
    RecordedImage: "image",
    RecordedAudio: "audio",
    RecordedVideo: "video",
}


def _stamp(file: BinaryIO) -> tuple[int, int]:
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns


def _key(row: Row) -> _Key:
    return row.task, str(row.id), row.repeat


def _part(request: Request) -> int:
    return 0 if request.origin is None else request.origin.part


def _told(key: tuple[str | None, str, int | None]) -> str:
    task, sample_id, repeat = key
    line = f"sample {sample_id!r}"
    if task is not None:
        line += f" of task {task}"
    return line if repeat is None else f"{line}, repeat {repeat}"
