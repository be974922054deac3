"""`replay/FILE.jsonl`: recorded responses in place of a model.

One row for each response: `id` (the sample's), optional `task`, `repeat`, `state` and `selected`, and either
`response` (text) or `parts`, media among them with an optional `lineage`; other keys are not read, so
exported samples can be replayed as they are. A row without `task` serves every task, a row without `repeat`
every repeat that has no row of its own. Where a sample asks several requests the row has `answers` instead,
one for each in their order: a text, or an object with `parts`, `state` and `selected`; `parts` beside them
are not read.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Iterable, Iterator
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


RecordedPart = Text | Reasoning | RecordedImage | RecordedAudio | RecordedVideo


class Answer(msgspec.Struct, frozen=True):
    """One recorded answer of several to one sample."""

    parts: tuple[RecordedPart, ...] = ()
    state: State = "ok"
    selected: tuple[Modality, ...] = ()


class Row(msgspec.Struct, frozen=True):
    """One recorded response."""

    id: str | int
    task: str | None = None
    repeat: int | None = None
    response: str | None = None
    parts: tuple[RecordedPart, ...] | None = None
    state: State = "ok"
    selected: tuple[Modality, ...] = ()
    """In which modalities an agent chose to answer, where one was at work."""
    answers: tuple[str | Answer, ...] | None = None
    """Of a sample that asks several requests: one for each."""

    def answer(self, part: int) -> Answer:
        """What is recorded for the sample's request number `part`."""
        if self.answers is None:
            text = (Text(self.response),) if self.response else ()
            return Answer(parts=text if self.parts is None else self.parts, selected=self.selected)
        found = self.answers[part]
        return Answer(parts=(Text(found),) if found else ()) if isinstance(found, str) else found


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
            return self._failed(row.state)
        if mismatch := self._mismatch(request, row):
            return Response(state="skipped", fault=Fault("missing", mismatch))
        answer = row.answer(request.origin.part if request.origin is not None else 0)
        state = answer.state if row.answers is not None else row.state
        if state in ("error", "skipped"):
            return self._failed(state)
        try:
            parts = await self._parts(answer.parts)
        except MediaError as fault:
            return Response(state="error", fault=Fault("media", str(fault)))
        usage = count_usage(request, parts, requests=0)
        return Response(parts=parts, state=state, usage=usage, selected=answer.selected)

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

    def _failed(self, state: State) -> Response:
        return Response(state=state, fault=Fault("missing", f"recorded as {state} in {self.name}"))

    def _mismatch(self, request: Request, row: Row) -> str:
        """What is wrong where the recording has another number of answers than the sample has requests."""
        asked = request.origin.parts if request.origin is not None else 1
        recorded = 1 if row.answers is None else len(row.answers)
        if recorded == asked:
            return ""
        form = "its row has no `answers`" if row.answers is None else f"its row has {recorded} answers"
        return f"sample {row.id!r} asks {asked} requests, and {form} (recording {self.name})"

    def _missing(self, request: Request) -> str:
        if request.origin is None:
            return f"recording {self.name} only answers samples of a task"
        origin = request.origin
        wanted = _told((origin.task, origin.sample_id, origin.repeat))
        return f"recording {self.name} has no response for {wanted}"

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
    given = [n for n in ("response", "parts", "answers") if getattr(row, n) is not None]
    if row.response is not None and len(given) > 1:
        raise DataError(f"{where}: both {' and '.join(given)}; expected one of them")
    if answered and not given:
        raise DataError(f"{where}: neither response nor parts nor answers; expected one of them")
    if row.answers == ():
        raise DataError(f"{where}: answers is empty; expected one for each request of the sample")
    if row.repeat is not None and row.repeat < 0:
        raise DataError(f"{where}: repeat is {row.repeat}; expected 0 or more")
    answers = [answer for answer in row.answers or () if isinstance(answer, Answer)]
    for part in (*(row.parts or ()), *(part for answer in answers for part in answer.parts)):
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
