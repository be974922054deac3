"""One row of a recording of responses, as people and exports write it, and how it is checked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import BinaryIO

import msgspec

from eval_anything.errors import DataError
from eval_anything.values import Likelihood, Lineage, Modality, Reasoning, State, Text

_LONGEST_ROW = 64 * 1024 * 1024


class RecordedFile(msgspec.Struct, frozen=True):
    path: str
    """Relative to the recording, and below its folder."""
    lineage: Lineage | None = None
    """How it was made, as the recording has it."""


class RecordedImage(RecordedFile, frozen=True, tag="image"):
    pass


class RecordedAudio(RecordedFile, frozen=True, tag="audio"):
    transcript: str | None = None


class RecordedVideo(RecordedFile, frozen=True, tag="video"):
    pass


RecordedMedium = RecordedImage | RecordedAudio | RecordedVideo
RecordedPart = Text | Reasoning | RecordedImage | RecordedAudio | RecordedVideo


class Answer(msgspec.Struct, frozen=True):
    """One recorded answer of several to one sample."""

    parts: tuple[RecordedPart, ...] = ()
    state: State = "ok"
    selected: tuple[Modality, ...] = ()
    likelihood: Likelihood | None = None


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
    likelihood: Likelihood | None = None
    """Of a text that was to be scored."""

    def answer(self, part: int) -> Answer:
        """What is recorded for the sample's request number `part`."""
        if self.answers is None:
            text = (Text(self.response),) if self.response else ()
            parts = text if self.parts is None else self.parts
            return Answer(parts=parts, state=self.state, selected=self.selected, likelihood=self.likelihood)
        found = self.answers[part]
        return Answer(parts=(Text(found),) if found else ()) if isinstance(found, str) else found


READER = msgspec.json.Decoder(Row)


def lines(file: BinaryIO, name: str) -> Iterator[tuple[int, bytes]]:
    """Each line with the offset at which it begins; a file without line ends is not read whole.

    Raises DataError for a line of more than 64 MiB.
    """
    offset = 0
    while line := file.readline(_LONGEST_ROW + 1):
        if len(line) > _LONGEST_ROW:
            raise DataError(f"recording {name}: a row of more than {_LONGEST_ROW} bytes at byte {offset}")
        yield offset, line
        offset += len(line)


def checked(line: bytes, where: str) -> Row:
    """The row in `line`. Raises DataError, which begins with `where`, for one that cannot be replayed."""
    try:
        row = READER.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
        raise DataError(f"{where}: {fault}") from None
    answered = row.state not in ("error", "skipped")
    given = [n for n in ("response", "parts", "answers", "likelihood") if getattr(row, n) is not None]
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
        if isinstance(part, RecordedFile):
            _check_path(part.path, where)
    return row


def _check_path(path: str, where: str) -> None:
    # Links are followed, and checked, when the file is read.
    parts = PurePosixPath(path)
    if not path or parts.is_absolute() or ".." in parts.parts:
        raise DataError(f"{where}: path {path!r} is not below the folder of the recording")
