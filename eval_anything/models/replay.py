"""`replay/FILE.jsonl`: recorded responses in place of a model.

One row for each response: `id` (the sample's), optional `task`, `repeat`, `state` and `selected`, and either
`response` (text) or `parts`, media among them with an optional `lineage`; other keys are not read, so
exported samples can be replayed as they are. A row without `task` serves every task, a row without `repeat`
every repeat that has no row of its own.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import msgspec

from eval_anything.errors import DataError, MediaError, UsageError
from eval_anything.models.base import Model, ModelContext, NoOptions
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

_LONGEST_ROW = 64 * 1024 * 1024


class _File(msgspec.Struct, frozen=True):
    path: str
    """Relative to the recording, and below its folder."""
    lineage: Lineage | None = None
    """How it was made, as the recording has it."""


class RecordedImage(_File, frozen=True, tag="image"):
    pass


class RecordedAudio(_File, frozen=True, tag="audio"):
    transcript: str | None = None


class RecordedVideo(_File, frozen=True, tag="video"):
    pass


RecordedMedium = RecordedImage | RecordedAudio | RecordedVideo


class Row(msgspec.Struct, frozen=True):
    """One recorded response."""

    id: str | int
    task: str | None = None
    repeat: int | None = None
    response: str | None = None
    parts: tuple[Text | Reasoning | RecordedImage | RecordedAudio | RecordedVideo, ...] | None = None
    state: State = "ok"
    selected: tuple[Modality, ...] = ()
    """In which modalities an agent chose to answer, where one was at work."""


_READER = msgspec.json.Decoder(Row)
_Key = tuple[str | None, str, int | None]


class ReplayModel(Model):
    """Responses recorded elsewhere or by an earlier run: replay/FILE.jsonl."""

    provider = "replay"
    Options = NoOptions

    def __init__(self, name: str, options: Any) -> None:
        """Reads the whole recording once and remembers where each row begins, not the rows.

        Raises UsageError when there is no such file, DataError naming the line of the first bad row.
        """
        super().__init__(name, options)
        self._path = Path(name).expanduser()
        self._offsets: dict[_Key, int] = {}
        self._file: BinaryIO | None = None
        if not self._path.is_file():
            raise UsageError(f"recording {name}: no such file")
        try:
            with self._path.open("rb") as file:
                self._sha256 = self._index(file)
                self._stamp = _stamp(file)
        except OSError as fault:
            raise UsageError(f"recording {name}: {fault.strerror}") from None

    def capabilities(self) -> Capabilities:
        return Capabilities(inputs=MODALITIES, outputs=MODALITIES, tools=True)

    def identity(self) -> dict[str, Any]:
        return {"recording_sha256": self._sha256}

    async def start(self, context: ModelContext) -> None:
        """Raises UsageError when the file has changed since it was indexed."""
        await super().start(context)
        self._file = self._path.open("rb")
        if _stamp(self._file) != self._stamp:
            raise UsageError(f"recording {self.name} has changed while it was being read; run again")

    async def generate(self, request: Request) -> Response:
        """The recorded response; state skipped where there is none, error where its media are broken."""
        row = self._find(request)
        if row is None:
            return Response(state="skipped", fault=Fault("missing", self._missing(request)))
        if row.state in ("error", "skipped"):
            return Response(
                state=row.state, fault=Fault("missing", f"recorded as {row.state} in {self.name}")
            )
        try:
            parts = await self._parts(row)
        except MediaError as fault:
            return Response(state="error", fault=Fault("media", str(fault)))
        usage = count_usage(request, parts, requests=0)
        return Response(parts=parts, state=row.state, usage=usage, selected=row.selected)

    async def stop(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _index(self, file: BinaryIO) -> str:
        digest = hashlib.sha256()
        for number, (offset, line) in enumerate(_lines(file, self.name), start=1):
            digest.update(line)
            if not line.strip():
                continue
            where = f"recording {self.name}, line {number}"
            key = _key(_checked(line, where))
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
        return _READER.decode(self._file.readline())

    def _missing(self, request: Request) -> str:
        if request.origin is None:
            return f"recording {self.name} only answers samples of a task"
        origin = request.origin
        wanted = _told((origin.task, origin.sample_id, origin.repeat))
        return f"recording {self.name} has no response for {wanted}"

    async def _parts(self, row: Row) -> tuple[Part, ...]:
        if row.parts is None:
            return (Text(row.response),) if row.response else ()
        parts: list[Part] = []
        for part in row.parts:
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


def _lines(file: BinaryIO, name: str) -> Iterator[tuple[int, bytes]]:
    """Each line with the offset at which it begins; a file without line ends is not read whole."""
    offset = 0
    while line := file.readline(_LONGEST_ROW + 1):
        if len(line) > _LONGEST_ROW:
            raise DataError(f"recording {name}: a row of more than {_LONGEST_ROW} bytes at byte {offset}")
        yield offset, line
        offset += len(line)


def _checked(line: bytes, where: str) -> Row:
    try:
        row = _READER.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
        raise DataError(f"{where}: {fault}") from None
    answered = row.state not in ("error", "skipped")
    if row.response is not None and row.parts is not None:
        raise DataError(f"{where}: both response and parts; expected one of them")
    if answered and row.response is None and row.parts is None:
        raise DataError(f"{where}: neither response nor parts; expected one of them")
    if row.repeat is not None and row.repeat < 0:
        raise DataError(f"{where}: repeat is {row.repeat}; expected 0 or more")
    for part in row.parts or ():
        if isinstance(part, _File):
            _check_path(part.path, where)
    return row


def _check_path(path: str, where: str) -> None:
    # Links are followed, and checked, when the file is read.
    parts = PurePosixPath(path)
    if not path or parts.is_absolute() or ".." in parts.parts:
        raise DataError(f"{where}: path {path!r} is not below the folder of the recording")


def _key(row: Row) -> _Key:
    return row.task, str(row.id), row.repeat


def _told(key: tuple[str | None, str, int | None]) -> str:
    task, sample_id, repeat = key
    line = f"sample {sample_id!r}"
    if task is not None:
        line += f" of task {task}"
    return line if repeat is None else f"{line}, repeat {repeat}"
