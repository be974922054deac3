"""A request as contents and configuration of the Gemini API."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from google.genai import types

from eval_anything.errors import BadRequest
from eval_anything.models.gemini.media import Carried, key_of, media_of
from eval_anything.models.gemini.signatures import Signatures
from eval_anything.values import (
    MODALITIES,
    Audio,
    Image,
    Message,
    Modality,
    Part,
    Reasoning,
    Request,
    Text,
    ToolCall,
    ToolResult,
    Video,
)

_SEEDS = 2**31
_THINKS_WITH_SIGNATURES = re.compile(r"(models/)?gemini-([3-9]|\d\d)")


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """What the provider's options say of every request."""

    model: str
    outputs: tuple[Modality, ...] = ("text",)
    """What the model gives."""
    voice: str = ""
    safety: Mapping[str, str] = {}
    """Threshold by category."""
    thinking: Mapping[str, Any] = {}
    """Fields of its thinking configuration."""

    @property
    def needs_signatures(self) -> bool:
        """Whether the API refuses function calls without the signature of their thought."""
        return _THINKS_WITH_SIGNATURES.match(self.model) is not None


def encode_config(request: Request, dialect: Dialect) -> Any:
    """How to answer: a types.GenerateContentConfig. Raises BadRequest for a system message with media."""
    params = request.params
    fields: dict[str, Any] = {
        "system_instruction": _system(request.messages),
        "temperature": params.temperature,
        "top_p": params.top_p,
        "top_k": params.top_k,
        "max_output_tokens": params.max_tokens,
        "stop_sequences": list(params.stop) or None,
        # Independent answers to one request would all be the same answer under one seed.
        "seed": None if params.seed is None else (params.seed + request.draw) % _SEEDS,
        "tools": _tools(request),
        "safety_settings": [
            types.SafetySetting(category=category, threshold=threshold)
            for category, threshold in dialect.safety.items()
        ]
        or None,
        "thinking_config": types.ThinkingConfig(**dialect.thinking) if dialect.thinking else None,
        **_outputs(request, dialect),
    }
    if params.extra:
        fields["http_options"] = types.HttpOptions(extra_body=params.extra)
    # The library would else run the functions itself, if it could.
    manual = types.AutomaticFunctionCallingConfig(disable=True)
    return types.GenerateContentConfig(
        automatic_function_calling=manual,
        **{name: value for name, value in fields.items() if value is not None},
    )


def encode_contents(
    request: Request, dialect: Dialect, media: Carried, signatures: Signatures
) -> tuple[list[Any], tuple[str, ...]]:
    """What was said: types.Content, in order; and the changes made to it.

    Raises BadRequest for a part that the API has no form for.
    """
    writer = _ContentWriter(media.parts)
    for place, message in enumerate(request.messages):
        signed = signatures.of(request.messages[:place], message.parts, invent=dialect.needs_signatures)
        writer.add(message, signed)
    return writer.contents, tuple(dict.fromkeys([*media.notes, *writer.notes]))


def _system(messages: Iterable[Message]) -> Any:
    said = []
    for part in [part for message in messages if message.role == "system" for part in message.parts]:
        if not isinstance(part, Text):
            raise _no_form(part, "system")
        said.append(types.Part(text=part.text))
    return types.Content(parts=said) if said else None


def _tools(request: Request) -> list[Any] | None:
    declared = [
        types.FunctionDeclaration(
            name=tool.name, description=tool.description, parameters_json_schema=tool.parameters
        )
        for tool in request.tools
    ]
    return [types.Tool(function_declarations=declared)] if declared else None


def _outputs(request: Request, dialect: Dialect) -> dict[str, Any]:
    """A model that gives media says by default what it likes; one of text alone is not asked."""
    if dialect.outputs == ("text",):
        return {}
    wanted = [
        m for m in MODALITIES if m in dialect.outputs and (m == "text" or m in request.output_modalities)
    ]
    fields: dict[str, Any] = {"response_modalities": [m.upper() for m in wanted]}
    if "audio" in wanted and dialect.voice:
        voice = types.PrebuiltVoiceConfig(voice_name=dialect.voice)
        fields["speech_config"] = types.SpeechConfig(
            voice_config=types.VoiceConfig(prebuilt_voice_config=voice)
        )
    return fields


class _ContentWriter:
    """Messages in the API's form. All results of one turn's calls stand in one content there, and their
    media follow the last of them."""

    def __init__(self, media: Mapping[str, Any]) -> None:
        self.contents: list[Any] = []
        self.notes: list[str] = []
        self._media = media
        self._names: dict[str, str] = {}
        """Of the functions, by the id of the call: results have to name them."""
        self._results: list[Any] | None = None
        """The parts of the content that the last results are in, while it may get more of them."""

    def add(self, message: Message, signed: Mapping[int, bytes]) -> None:
        """`signed`: signatures of its calls, by place."""
        if message.role == "system":
            return
        if message.role == "tool":
            self._add_results(message.parts)
            return
        self._results = None
        role = "model" if message.role == "assistant" else "user"
        parts = [
            self._part(part, message.role, signed.get(place))
            for place, part in enumerate(message.parts)
            if not isinstance(part, Reasoning)
        ]
        # A turn without a part is an error there.
        self.contents.append(types.Content(role=role, parts=parts or [types.Part(text="")]))

    def _part(self, part: Part, role: str, signature: bytes | None) -> Any:
        match part:
            case Text():
                return types.Part(text=part.text)
            case Image() | Audio() | Video():
                return self._media[key_of(part)]
            case ToolCall() if role == "assistant":
                self._names[part.id] = part.name
                call = types.FunctionCall(id=part.id or None, name=part.name, args=_arguments(part))
                return types.Part(function_call=call, thought_signature=signature)
        raise _no_form(part, role)

    def _add_results(self, parts: Iterable[Part]) -> None:
        if self._results is None:
            self._results = []
            self.contents.append(types.Content(role="user", parts=self._results))
            # The library's own value copies the list.
            self._results = self.contents[-1].parts
        for part in parts:
            if not isinstance(part, ToolResult):
                raise _no_form(part, "tool")
            answered = sum(1 for p in self._results if p.function_response is not None)
            self._results.insert(answered, self._result(part))
            if media := [self._media[key_of(medium)] for medium in media_of(part.parts)]:
                heading = types.Part(text=f"Media of the result of tool call {part.call_id}:")
                self._results += [heading, *media]
                self.notes.append("media of a tool result were sent after it")

    def _result(self, part: ToolResult) -> Any:
        if part.call_id not in self._names:
            raise BadRequest(f"a result of a tool call that is not there: {part.call_id!r}")
        said = "\n".join(inner.text for inner in part.parts if isinstance(inner, Text))
        answer = {"output": said} if part.error is None else {"error": part.error, "output": said}
        response = types.FunctionResponse(
            id=part.call_id or None, name=self._names[part.call_id], response=answer
        )
        return types.Part(function_response=response)


def _arguments(call: ToolCall) -> dict[str, Any]:
    """Raises BadRequest for arguments that no function has: the API takes an object alone."""
    try:
        return msgspec.json.decode(call.arguments or "{}", type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError):
        raise BadRequest(f"the arguments of the call of {call.name} are not a JSON object") from None


def _no_form(part: Part, role: str) -> BadRequest:
    kind = type(part).__name__
    return BadRequest(f"the Gemini API has no form for a {kind} part in a {role} message")
