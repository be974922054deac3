"""A reply of the Gemini API as a response: text, thinking, media and tool calls told apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from eval_anything.errors import GarbageReply
from eval_anything.models.gemini.pcm import is_pcm, pcm_as_wav
from eval_anything.models.openai.faults import excerpt
from eval_anything.models.replied import keep, lineage_of
from eval_anything.models.tally import count_usage
from eval_anything.values import (
    MODALITIES,
    Lineage,
    MediaPart,
    Modality,
    Part,
    Reasoning,
    Request,
    Response,
    State,
    Text,
    ToolCall,
    Usage,
)

if TYPE_CHECKING:
    from eval_anything.media.store import ArtifactStore

REFUSALS = frozenset(
    {
        *("SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR"),
        *("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "ESCALATION"),
    }
)
"""Finish reasons of answers that the API or a filter declined to give."""
_OWN_DOING = frozenset(
    {"STOP", "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "NO_IMAGE"}
)
"""With these, an answer without anything in it is the model's answer, and no failure of the server."""


class Decoded(msgspec.Struct, frozen=True):
    response: Response
    calls: tuple[tuple[ToolCall, bytes | None], ...]
    """The tool calls in it, each with the signature of its thought."""


class Decoder:
    """Turns the library's replies into responses; media go into the store."""

    def __init__(self, spec: str, store: "ArtifactStore", where: str, secrets: Sequence[str]) -> None:
        self._spec = spec
        self._store = store
        self._where = where
        self._secrets = secrets

    def decode(self, reply: Any, request: Request) -> Decoded:
        """`reply`: a types.GenerateContentResponse. Raises GarbageReply for one without an answer."""
        try:
            decoded = self._decode(reply, request)
        except GarbageReply as fault:
            raise GarbageReply(f"{self._where}: {excerpt(str(fault), self._secrets)}") from None
        response = msgspec.structs.replace(
            decoded.response, model=reply.model_version or "", reply_id=reply.response_id or ""
        )
        return msgspec.structs.replace(decoded, response=response)

    def _decode(self, reply: Any, request: Request) -> Decoded:
        if not reply.candidates:
            reason, usage = _blocked(reply.prompt_feedback), _usage(reply, request, ())
            return Decoded(Response(state="refused", finish_reason=reason, usage=usage), ())
        candidate = reply.candidates[0]
        finish = _word(candidate.finish_reason)
        reader = _PartReader(self._store, lineage_of(request, self._spec, request.params.seed))
        for part in (candidate.content.parts if candidate.content else None) or ():
            reader.read(part)
        if not reader.parts and finish != "MAX_TOKENS" and finish not in (_OWN_DOING | REFUSALS):
            said = f": {candidate.finish_message}" if candidate.finish_message else ""
            raise GarbageReply(f"no answer in the reply (finish reason {finish or 'none'}){said}")
        response = Response(
            parts=tuple(reader.parts),
            state=_state(finish),
            finish_reason=_with_categories(finish, candidate.safety_ratings),
            usage=_usage(reply, request, reader.parts),
            notes=tuple(dict.fromkeys(reader.notes)),
        )
        return Decoded(response, tuple(reader.calls))


class _PartReader:
    """Parts of the reply in order; pieces of one text become one again."""

    def __init__(self, store: "ArtifactStore", lineage: Lineage) -> None:
        self.parts: list[Part] = []
        self.calls: list[tuple[ToolCall, bytes | None]] = []
        self.notes: list[str] = []
        self._store = store
        self._lineage = lineage

    def read(self, part: Any) -> None:
        if part.function_call is not None:
            self._call(part)
        elif part.inline_data is not None and part.thought:
            # Images that a model draws on the way to its answer; reasoning has no other medium than text.
            self.notes.append("media of the thinking were left out")
        elif part.inline_data is not None:
            self.parts.append(self._medium(part.inline_data))
        elif part.text is not None:
            self._add(part.text, Reasoning if part.thought else Text)
        elif told := part.model_dump(exclude_none=True, exclude={"thought", "thought_signature"}):
            raise GarbageReply(f"a part that is not read: {', '.join(told)}")

    def _add(self, text: str, kind: type[Text | Reasoning]) -> None:
        if self.parts and type(last := self.parts[-1]) is kind:
            self.parts[-1] = kind(last.text + text)
        elif text:
            self.parts.append(kind(text))

    def _call(self, part: Any) -> None:
        arguments = msgspec.json.encode(part.function_call.args or {}).decode()
        call = ToolCall(part.function_call.id or "", part.function_call.name or "", arguments)
        self.parts.append(call)
        self.calls.append((call, part.thought_signature))

    def _medium(self, blob: Any) -> MediaPart:
        mime = blob.mime_type or ""
        modality = mime.partition("/")[0].strip().lower()
        if modality not in MODALITIES or not blob.data:
            raise GarbageReply(f"inline data of type {mime!r} and {len(blob.data or b'')} bytes")
        return self._stored(blob.data, mime, modality)

    def _stored(self, data: bytes, mime: str, modality: Modality) -> MediaPart:
        lineage = self._lineage
        if is_pcm(mime):
            data = pcm_as_wav(data, mime)
            lineage = msgspec.structs.replace(lineage, details={"given_as": mime})
            self.notes.append(f"audio in the reply: {mime} was kept as WAV")
        return keep(self._store, data, modality, lineage)


def _state(finish: str) -> State:
    if finish in REFUSALS:
        return "refused"
    return "truncated" if finish == "MAX_TOKENS" else "ok"


def _blocked(feedback: Any) -> str:
    """Why the prompt was not answered. Raises GarbageReply where nothing says so."""
    if feedback is None or feedback.block_reason is None:
        raise GarbageReply("neither an answer nor a reason in the reply")
    return _with_categories(f"{_word(feedback.block_reason)}, the prompt", feedback.safety_ratings)


def _with_categories(reason: str, ratings: Iterable[Any] | None) -> str:
    """`reason`, with the categories of harm that it was for: "SAFETY (HARM_CATEGORY_HARASSMENT)"."""
    categories = ", ".join(_word(rating.category) for rating in ratings or () if rating.blocked)
    return f"{reason} ({categories})" if categories else reason


def _word(value: Any) -> str:
    """Of an enumeration of the API, which may be newer than the library."""
    return "" if value is None else str(value.value)


def _usage(reply: Any, request: Request, parts: Sequence[Part]) -> Usage:
    told = reply.usage_metadata
    if told is None:
        return count_usage(request, parts)
    thought = told.thoughts_token_count or 0
    counted = count_usage(
        request,
        parts,
        input_tokens=(told.prompt_token_count or 0) + (told.tool_use_prompt_token_count or 0),
        # The API counts thinking apart from the answer; here it is part of the output.
        output_tokens=(told.candidates_token_count or 0) + thought,
    )
    return msgspec.structs.replace(
        counted,
        reasoning_tokens=thought,
        input_cached_tokens=told.cached_content_token_count or 0,
        input_audio_tokens=_of("AUDIO", told.prompt_tokens_details),
        output_audio_tokens=_of("AUDIO", told.candidates_tokens_details),
        output_image_tokens=_of("IMAGE", told.candidates_tokens_details),
    )


def _of(modality: str, details: Iterable[Any] | None) -> int:
    """Tokens of one modality among those that were counted by modality."""
    return sum(one.token_count or 0 for one in details or () if _word(one.modality) == modality)
