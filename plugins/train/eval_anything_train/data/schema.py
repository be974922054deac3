"""The project's preference schema: JSON lines, one record each, media beside them.

    {"kind": "pair", "id": "7",
     "messages": [{"role": "user", "parts": [{"type": "image", "path": "media/7.png"},
                                             {"type": "text", "text": "What is this?"}]}],
     "chosen": "A red circle.", "rejected": [{"type": "text", "text": "A dog."}],
     "rates": {"clarity": [3, 1]},
     "feedback_rejected": {"critique": "It is no dog.", "refinement": "Name shape and colour."},
     "metadata": {"from": "llf"}}

| kind          | besides kind, id, messages, metadata                                          |
|---------------|-------------------------------------------------------------------------------|
| pair          | chosen, rejected; rates, feedback_chosen, feedback_rejected where there are any |
| demonstration | answer                                                                        |
| critiqued     | answer, feedback                                                              |
| labelled      | answer, desirable                                                             |
| prompt        | nothing                                                                       |

Parts are a list of {"type": "text", "text": ...} and {"type": "image" | "audio" | "video", "path": ...}; a
string stands for one part of text. Paths are relative to the file, or absolute. The last message is the
user's. Without an id, a record has its row number. Any other key is an error.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ClassVar, Literal

import msgspec

from eval_anything.errors import DataError, StorageError
from eval_anything.suggest import unknown
from eval_anything.values import File, Message, Modality, Part, Text
from eval_anything_train.values import (
    Answer,
    Critiqued,
    Demonstration,
    Feedback,
    Labelled,
    Pair,
    Prompt,
    Record,
)

Rename = Callable[[str], str]
"""From the path of a medium as one side has it to what the other side has."""


class _Image(msgspec.Struct, frozen=True, tag="image", forbid_unknown_fields=True):
    path: str


class _Audio(msgspec.Struct, frozen=True, tag="audio", forbid_unknown_fields=True):
    path: str


class _Video(msgspec.Struct, frozen=True, tag="video", forbid_unknown_fields=True):
    path: str


_Parts = str | tuple[Text | _Image | _Audio | _Video, ...]
_MEDIA: dict[Modality, type[_Image] | type[_Audio] | type[_Video]] = {
    "image": _Image,
    "audio": _Audio,
    "video": _Video,
}
_MODALITY = {medium: modality for modality, medium in _MEDIA.items()}


class _Turn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    role: Literal["system", "user", "assistant"]
    parts: _Parts


class _Line(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    makes: ClassVar[type[Record]]
    id: str | int = ""
    messages: tuple[_Turn, ...]
    metadata: dict[str, Any] = {}


class _Prompt(_Line, frozen=True, tag_field="kind", tag="prompt"):
    makes = Prompt


class _Demonstration(_Line, frozen=True, tag_field="kind", tag="demonstration"):
    makes = Demonstration
    answer: _Parts


class _Critiqued(_Line, frozen=True, tag_field="kind", tag="critiqued"):
    makes = Critiqued
    answer: _Parts
    feedback: Feedback


class _Labelled(_Line, frozen=True, tag_field="kind", tag="labelled"):
    makes = Labelled
    answer: _Parts
    desirable: bool


class _Pair(_Line, frozen=True, kw_only=True, tag_field="kind", tag="pair"):
    makes = Pair
    chosen: _Parts
    rejected: _Parts
    rates: dict[str, tuple[float, float]] = {}
    feedback_chosen: Feedback | None = None
    feedback_rejected: Feedback | None = None


_LINES: tuple[type[_Line], ...] = (_Prompt, _Demonstration, _Critiqued, _Labelled, _Pair)
_LINE_OF = {line.makes: line for line in _LINES}
KINDS: dict[str, type[Record]] = {line.makes.__name__.lower(): line.makes for line in _LINES}
"""By the name that stands in a line."""
_READER: msgspec.json.Decoder[Any] = msgspec.json.Decoder(
    _Prompt | _Demonstration | _Critiqued | _Labelled | _Pair
)
_ANSWERS = ("answer", "chosen", "rejected")
_UNKNOWN_FIELD = re.compile(r"unknown field `(.*)`$")
_UNKNOWN_VALUE = re.compile(r"Invalid value '(.*)' - at `\$\.kind`$")


def encode(record: Record, rename: Rename = str) -> bytes:
    """`record` as a line, without its end. `rename` says what stands for the path of a medium.

    Raises DataError naming the record where a message is a tool's: `decode` would refuse it.
    """
    fields: dict[str, Any] = {name: getattr(record, name) for name in record.__struct_fields__}
    fields["messages"] = tuple(_turn(message, record.id, rename) for message in record.messages)
    for name in _ANSWERS:
        if name in fields:
            fields[name] = _written(fields[name], rename)
    return msgspec.json.encode(_LINE_OF[type(record)](**fields), order="deterministic")


def decode(line: bytes, where: str, rename: Rename = str) -> Record:
    """The record in `line`. Its id is empty where the line has none.

    Raises DataError, which begins with `where`, naming the field and what is wrong with it.
    """
    try:
        read = _READER.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
        raise DataError(f"{where}: {fault}{_help(str(fault), line)}") from None
    fields = {name: getattr(read, name) for name in read.__struct_fields__}
    fields["id"] = str(read.id)
    fields["messages"] = tuple(Message(turn.role, _read(turn.parts, rename)) for turn in read.messages)
    if not fields["messages"] or fields["messages"][-1].role != "user":
        raise DataError(f"{where}: messages must end with the user's")
    for name in _ANSWERS:
        if name in fields:
            fields[name] = _read(fields[name], rename)
    made: Record = read.makes(**fields)
    return made


def beside(folder: Path) -> Rename:
    """How paths are written into a file in `folder`: relative where they lie below it."""
    root = folder.resolve()

    def rename(path: str) -> str:
        real = Path(path).absolute()
        return real.relative_to(root).as_posix() if real.is_relative_to(root) else str(real)

    return rename


def write(path: Path, records: Iterable[Record]) -> None:
    """Write `records` to the JSONL file `path`, all of them or nothing. Raises StorageError."""
    rename = beside(path.parent)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.writelines(encode(record, rename) + b"\n" for record in records)
        partial.replace(path)
    except OSError as fault:
        raise StorageError(f"{path}: cannot be written: {fault.strerror or fault}") from fault
    finally:
        partial.unlink(missing_ok=True)


def _turn(message: Message, id: str, rename: Rename) -> _Turn:
    if message.role == "tool":
        raise DataError(f"record {id!r}: a message of role 'tool', expected system, user or assistant")
    return _Turn(message.role, _written(message.parts, rename))


def _written(parts: tuple[Part, ...], rename: Rename) -> _Parts:
    return tuple(_written_part(part, rename) for part in parts)


def _written_part(part: Part, rename: Rename) -> Text | _Image | _Audio | _Video:
    if isinstance(part, Text):
        return part
    if isinstance(part, File):
        return _MEDIA[part.modality](rename(part.path))
    raise TypeError(f"training records hold Text and File parts, not {type(part).__name__}")


def _read(parts: _Parts, rename: Rename) -> Answer:
    if isinstance(parts, str):
        return (Text(parts),)
    return tuple(
        part if isinstance(part, Text) else File(rename(part.path), _MODALITY[type(part)]) for part in parts
    )


def _help(fault: str, line: bytes) -> str:
    """The nearest right name for a wrong one, where that is what is wrong."""
    if found := _UNKNOWN_VALUE.search(fault):
        return f" ({unknown('kind', found[1], KINDS)})"
    if found := _UNKNOWN_FIELD.search(fault):
        held = msgspec.json.decode(line)
        kind = KINDS.get(held.get("kind", "")) if isinstance(held, dict) else None
        known = (*kind.__struct_fields__, "kind") if kind else ()
        return f" ({unknown('field', found[1], known)})" if known else ""
    return ""
