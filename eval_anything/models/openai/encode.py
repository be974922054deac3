"""A request as the JSON body of a chat completion."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from eval_anything.errors import BadRequest
from eval_anything.models.openai.media import MediaEncoder
from eval_anything.values import (
    Audio,
    Image,
    MediaPart,
    Message,
    Params,
    Part,
    Reasoning,
    Request,
    Text,
    ToolCall,
    ToolResult,
    Video,
)

_JSON = msgspec.json.Encoder()


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between servers that speak the protocol."""

    model: str
    max_tokens_field: str = "max_tokens"
    voice: str = "alloy"
    audio_format: str = "wav"


class Body(msgspec.Struct, frozen=True):
    data: bytes
    notes: tuple[str, ...]
    """Changes made to what was to be sent."""


def encode_request(request: Request, dialect: Dialect, media: MediaEncoder) -> Body:
    """The body of one chat completion request.

    Raises BadRequest for a part that the protocol has no form for, MediaError for a damaged file.
    """
    writer = _MessageWriter(media)
    for message in request.messages:
        writer.add(message)
    fields: dict[str, Any] = {"model": dialect.model, "messages": writer.finish()}
    if request.tools:
        fields["tools"] = [{"type": "function", "function": tool} for tool in request.tools]
    if any(modality != "text" for modality in request.output_modalities):
        fields["modalities"] = ["text", *(m for m in request.output_modalities if m != "text")]
    if "audio" in request.output_modalities:
        fields["audio"] = {"voice": dialect.voice, "format": dialect.audio_format}
    fields.update(params_fields(request.params, request.draw, dialect))
    return Body(_JSON.encode(fields), tuple(dict.fromkeys(writer.notes)))


def media_bytes(request: Request) -> int:
    """Bytes of stored media that the body will carry, before base64."""
    return sum(_weight(part) for message in request.messages for part in message.parts)


def _weight(part: Part) -> int:
    if isinstance(part, Image | Audio | Video):
        return part.artifact.bytes_size
    return sum(_weight(inner) for inner in part.parts) if isinstance(part, ToolResult) else 0


def params_fields(params: Params, draw: int, dialect: Dialect) -> dict[str, Any]:
    """How to decode, in the protocol's words; what is left to the server is not there."""
    fields: dict[str, Any] = {
        "temperature": params.temperature,
        "top_p": params.top_p,
        "top_k": params.top_k,
        dialect.max_tokens_field: params.max_tokens,
        "stop": params.stop or None,
        # Independent answers to one request would all be the same answer under one seed.
        "seed": None if params.seed is None else params.seed + draw,
    }
    return {name: value for name, value in fields.items() if value is not None} | params.extra


class _MessageWriter:
    """Messages in the protocol's form, in order.

    Only user messages carry media there. Media of tool results and of the assistant's own turns follow in
    a user message, after the last tool message of the turn: nothing may come between a call and its result.
    """

    def __init__(self, media: MediaEncoder) -> None:
        self.notes: list[str] = []
        self._media = media
        self._messages: list[dict[str, Any]] = []
        self._waiting: list[dict[str, Any]] = []

    def add(self, message: Message) -> None:
        if message.role != "tool":
            self._flush()
        match message.role:
            case "tool":
                for part in message.parts:
                    self._add_result(part)
            case "assistant":
                self._add_assistant(message.parts)
            case role:
                self._messages.append({"role": role, "content": self._content(message.parts, role)})

    def finish(self) -> list[dict[str, Any]]:
        self._flush()
        return self._messages

    def _flush(self) -> None:
        if self._waiting:
            self._messages.append({"role": "user", "content": self._waiting})
            self._waiting = []

    def _content(self, parts: tuple[Part, ...], role: str) -> Any:
        if len(parts) == 1 and isinstance(parts[0], Text):
            return parts[0].text
        return [self._item(part, role) for part in parts if not isinstance(part, Reasoning)]

    def _item(self, part: Part, role: str) -> dict[str, Any]:
        match part:
            case Text():
                return {"type": "text", "text": part.text}
            case Image() | Audio() | Video() if role == "user":
                return self._medium(part)
        raise _no_form(part, role)

    def _medium(self, part: MediaPart) -> dict[str, Any]:
        encoded = self._media.encode(part)
        if encoded.note:
            self.notes.append(encoded.note)
        match part:
            case Image():
                return {"type": "image_url", "image_url": {"url": encoded.text}}
            case Video():
                return {"type": "video_url", "video_url": {"url": encoded.text}}
            case Audio():
                return {
                    "type": "input_audio",
                    "input_audio": {"data": encoded.text, "format": encoded.format},
                }

    def _add_assistant(self, parts: tuple[Part, ...]) -> None:
        said: list[str] = []
        calls: list[dict[str, Any]] = []
        for part in parts:
            match part:
                case Text():
                    said.append(part.text)
                case ToolCall():
                    calls.append(_call(part))
                case Image() | Audio() | Video() | Reasoning():
                    pass
                case _:
                    raise _no_form(part, "assistant")
        message: dict[str, Any] = {"role": "assistant", "content": "\n".join(said)}
        self._messages.append(message | {"tool_calls": calls} if calls else message)
        self._postpone(parts, "Media of the message above:", "media of an assistant message")

    def _add_result(self, part: Part) -> None:
        if not isinstance(part, ToolResult):
            raise _no_form(part, "tool")
        said = [inner.text for inner in part.parts if isinstance(inner, Text)]
        if part.error is not None:
            said.insert(0, f"Error: {part.error}")
        heading = f"Media of the result of tool call {part.call_id}:"
        postponed = self._postpone(part.parts, heading, "media of a tool result")
        content = "\n".join(said) or ("The media follow." if postponed else "")
        self._messages.append({"role": "tool", "tool_call_id": part.call_id, "content": content})

    def _postpone(self, parts: Iterable[Part], heading: str, what: str) -> bool:
        media = [self._medium(part) for part in parts if isinstance(part, Image | Audio | Video)]
        if media:
            self._waiting += [{"type": "text", "text": heading}, *media]
            self.notes.append(f"{what} were sent in a user message")
        return bool(media)


def _call(part: ToolCall) -> dict[str, Any]:
    return {"id": part.id, "type": "function", "function": {"name": part.name, "arguments": part.arguments}}


def _no_form(part: Part, role: str) -> BadRequest:
    kind = type(part).__name__
    return BadRequest(f"the chat completions protocol has no form for a {kind} part in a {role} message")
