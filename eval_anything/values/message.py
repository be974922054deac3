"""Messages and their typed parts: one tagged union for all that a model takes and gives."""

from __future__ import annotations

from typing import Literal

import msgspec

from eval_anything.values.artifact import Artifact
from eval_anything.values.modality import Modality
from eval_anything.values.usage import Usage


class Text(msgspec.Struct, frozen=True, tag="text", forbid_unknown_fields=True):
    text: str


class Image(msgspec.Struct, frozen=True, tag="image", forbid_unknown_fields=True):
    artifact: Artifact


class Audio(msgspec.Struct, frozen=True, tag="audio", forbid_unknown_fields=True, omit_defaults=True):
    artifact: Artifact
    transcript: str | None = None
    """What the model says that it said, where it says so."""


class Video(msgspec.Struct, frozen=True, tag="video", forbid_unknown_fields=True):
    artifact: Artifact


class File(msgspec.Struct, frozen=True, tag="file", forbid_unknown_fields=True):
    """A media file named by a task, not yet checked and stored; the runner turns it into an artifact."""

    path: str
    """Absolute path; must lie inside the data set's root."""
    modality: Modality


class ToolCall(msgspec.Struct, frozen=True, tag="tool_call", forbid_unknown_fields=True):
    id: str
    name: str
    arguments: str
    """The JSON text that the model sent, as it sent it: it may not parse."""


class ToolResult(
    msgspec.Struct, frozen=True, tag="tool_result", forbid_unknown_fields=True, omit_defaults=True
):
    call_id: str
    parts: tuple[Text | Image | Audio | Video, ...] = ()
    error: str | None = None
    wrong: bool = False
    """Whether the error is the call's own (no such tool, wrong arguments, one too many), not the tool's."""
    usage: Usage = Usage()
    """What the call consumed; for the record, never shown to the model."""


class Reasoning(msgspec.Struct, frozen=True, tag="reasoning", forbid_unknown_fields=True):
    """Thinking that the model showed; kept apart from the answer and never judged unasked."""

    text: str


Part = Text | Image | Audio | Video | File | ToolCall | ToolResult | Reasoning
MediaPart = Image | Audio | Video
Role = Literal["system", "user", "assistant", "tool"]


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    role: Role
    parts: tuple[Part, ...]


def part_modality(part: Part) -> Modality | None:
    """The modality that a part carries; None for tool calls, tool results and reasoning."""
    match part:
        case Text():
            return "text"
        case Image():
            return "image"
        case Audio():
            return "audio"
        case Video():
            return "video"
        case File():
            return part.modality
        case _:
            return None
