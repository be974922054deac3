"""The reply of a chat completion as a response: text, reasoning, media and tool calls told apart."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

import msgspec

from eval_anything.errors import GarbageReply, ModelError
from eval_anything.models.openai.address import without_credentials
from eval_anything.models.openai.faults import excerpt, http_fault
from eval_anything.models.openai.wire import (
    PLAIN_READER,
    READER,
    AudioData,
    Choice,
    Completion,
    InputDetails,
    Item,
    OutputDetails,
    PlainCompletion,
    ReplyMessage,
    Tokens,
    Url,
)
from eval_anything.models.reasoning import split_reasoning
from eval_anything.models.replied import keep, lineage_of
from eval_anything.models.tally import count_usage
from eval_anything.values import (
    Audio,
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

C = TypeVar("C", Completion, PlainCompletion)


class Decoder:
    """Turns reply bodies into responses; media go into the store."""

    def __init__(self, spec: str, store: "ArtifactStore", secrets: Sequence[str]) -> None:
        self._spec = spec
        self._store = store
        self._secrets = secrets

    def decode(self, body: bytes, request: Request, where: str) -> Response:
        """`body` of a reply with status 200 from `where`.

        Raises GarbageReply for whatever is not a whole chat completion, or the error that a gateway reports
        in its place.
        """
        try:
            completion = (
                self._read(body, where, PLAIN_READER).as_chat()
                if request.plain
                else self._read(body, where, READER)
            )
            if not completion.choices:
                raise GarbageReply(f"no choices in the reply: {self._excerpt(body)!r}")
            choice = completion.choices[0]
            parts = self._parts(choice.message, request)
        except GarbageReply as fault:
            raise GarbageReply(f"{where}: {fault}") from None
        return Response(
            parts=tuple(parts),
            state=_state(choice),
            usage=_usage(completion.usage, request, parts),
            finish_reason=choice.finish_reason or "",
            model=completion.model or "",
            system_fingerprint=completion.system_fingerprint or "",
        )

    def read_plain(self, body: bytes, where: str) -> PlainCompletion:
        """A reply of the completions route as it is. Raises as `decode` does."""
        try:
            return self._read(body, where, PLAIN_READER)
        except GarbageReply as fault:
            raise GarbageReply(f"{where}: {fault}") from None

    def _read(self, body: bytes, where: str, reader: msgspec.json.Decoder[C]) -> C:
        try:
            completion = reader.decode(body)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as fault:
            said = self._excerpt(body)
            kind = "a chat completion" if reader is READER else "a completion"
            raise GarbageReply(f"not {kind} ({fault}): {said!r}") from None
        if completion.error is not None and not completion.choices:
            raise self._reported(completion.error, body, where)
        return completion

    def _reported(self, error: object, body: bytes, where: str) -> ModelError:
        code = error.get("code") if isinstance(error, dict) else None
        if isinstance(code, int) and 400 <= code < 600:
            return http_fault(code, {}, body, self._secrets, where)
        return GarbageReply(f"an error under status 200: {self._excerpt(body)!r}")

    def _excerpt(self, body: bytes) -> str:
        return excerpt(body[:20_000].decode("utf-8", "replace"), self._secrets)

    def _parts(self, message: ReplyMessage, request: Request) -> list[Part]:
        lineage = lineage_of(request, self._spec, request.params.seed)
        parts: list[Part] = []
        if thought := message.reasoning_content or message.reasoning:
            parts.append(Reasoning(thought))
        content = message.content if isinstance(message.content, list) else []
        if isinstance(message.content, str):
            parts += _thought_and_answer(message.content)
        for place, item in enumerate([*content, *(message.images or ())]):
            parts += self._item(item, lineage, first=place == 0)
        if message.audio is not None:
            parts.append(self._sound(message.audio, lineage))
        parts += [
            ToolCall(c.id or "", c.function.name, c.function.arguments) for c in message.tool_calls or ()
        ]
        if message.refusal:
            parts.append(Text(message.refusal))
        return parts

    def _item(self, item: Item, lineage: Lineage, *, first: bool) -> list[Part]:
        match item:
            case Item(type="text", text=str(text)):
                return _thought_and_answer(text) if first else [Text(text)]
            case Item(type="refusal", refusal=str(text)):
                return [Text(text)]
        return [self._medium_item(item, lineage)]

    def _medium_item(self, item: Item, lineage: Lineage) -> MediaPart:
        match item:
            case Item(type="image_url", image_url=Url() | str() as url):
                return self._from_url(url, "image", lineage)
            case Item(type="video_url", video_url=Url() | str() as url):
                return self._from_url(url, "video", lineage)
            case Item(type="audio_url", audio_url=Url() | str() as url):
                return self._from_url(url, "audio", lineage)
            case Item(type="audio", audio=AudioData() as sound):
                return self._sound(sound, lineage)
            case Item(type="input_audio", input_audio=AudioData() as sound):
                return self._sound(sound, lineage)
        kind = excerpt(item.type, self._secrets)
        raise GarbageReply(f"a content part of type {kind!r} that holds nothing known by that name")

    def _from_url(self, url: Url | str, modality: Modality, lineage: Lineage) -> MediaPart:
        text = url if isinstance(url, str) else url.url
        head, comma, data = text.partition(",")
        if head[:5].lower() == "data:" and comma and head.lower().endswith(";base64"):
            return self._medium(data, modality, lineage)
        if text[:5].lower() == "data:":
            raise GarbageReply(f"{modality} as a data URL that is not base64")
        target = excerpt(without_credentials(text), self._secrets)
        raise GarbageReply(f"{modality} as a URL, which is not fetched ({target}); only inline data are read")

    def _sound(self, sound: AudioData, lineage: Lineage) -> MediaPart:
        if not sound.data:
            raise GarbageReply("audio without data")
        part = self._medium(sound.data, "audio", lineage)
        return Audio(part.artifact, sound.transcript)

    def _medium(self, data: str, modality: Modality, lineage: Lineage) -> MediaPart:
        try:
            content = base64.b64decode(data, validate=True)
        except (binascii.Error, ValueError):
            raise GarbageReply(f"{modality} whose base64 is broken") from None
        return keep(self._store, content, modality, lineage)


def _thought_and_answer(text: str) -> list[Part]:
    thought, answer = split_reasoning(text)
    parts: list[Part] = [Reasoning(thought)] if thought else []
    return [*parts, Text(answer)] if answer else parts


def _state(choice: Choice) -> State:
    content = choice.message.content
    refusals = [item for item in content if item.type == "refusal"] if isinstance(content, list) else []
    if refusals or choice.message.refusal or choice.finish_reason == "content_filter":
        return "refused"
    return "truncated" if choice.finish_reason == "length" else "ok"


def _usage(tokens: Tokens | None, request: Request, parts: Sequence[Part]) -> Usage:
    told = tokens or Tokens()
    counted = count_usage(
        request,
        parts,
        input_tokens=told.prompt_tokens or 0,
        output_tokens=told.completion_tokens or 0,
    )
    read = told.prompt_tokens_details or InputDetails()
    written = told.completion_tokens_details or OutputDetails()
    return msgspec.structs.replace(
        counted,
        input_cached_tokens=read.cached_tokens or 0,
        input_audio_tokens=read.audio_tokens or 0,
        reasoning_tokens=written.reasoning_tokens or 0,
        output_audio_tokens=written.audio_tokens or 0,
        cost_usd=told.cost,
    )
