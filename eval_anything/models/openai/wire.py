"""The reply of a chat completion as servers write it; fields that nobody here reads are skipped."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

Count = Annotated[int, msgspec.Meta(ge=0)]


class Url(msgspec.Struct, frozen=True):
    url: str


class AudioData(msgspec.Struct, frozen=True):
    data: str | None = None
    """Base64."""
    transcript: str | None = None


class Item(msgspec.Struct, frozen=True):
    """One element of a content list, or of `message.images`."""

    type: str = "image_url"
    text: str | None = None
    refusal: str | None = None
    image_url: Url | str | None = None
    audio_url: Url | str | None = None
    video_url: Url | str | None = None
    audio: AudioData | None = None
    input_audio: AudioData | None = None


class Function(msgspec.Struct, frozen=True):
    name: str
    arguments: str = ""


class Call(msgspec.Struct, frozen=True):
    function: Function
    id: str | None = None


class ReplyMessage(msgspec.Struct, frozen=True):
    content: str | list[Item] | None = None
    images: list[Item] | None = None
    audio: AudioData | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[Call] | None = None
    refusal: str | None = None


class Choice(msgspec.Struct, frozen=True):
    message: ReplyMessage
    finish_reason: str | None = None


class InputDetails(msgspec.Struct, frozen=True):
    cached_tokens: Count | None = None
    audio_tokens: Count | None = None


class OutputDetails(msgspec.Struct, frozen=True):
    reasoning_tokens: Count | None = None
    audio_tokens: Count | None = None


class Tokens(msgspec.Struct, frozen=True):
    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    prompt_tokens_details: InputDetails | None = None
    completion_tokens_details: OutputDetails | None = None
    cost: Annotated[float, msgspec.Meta(ge=0)] | None = None
    """US dollars, from servers that bill."""


class Completion(msgspec.Struct, frozen=True):
    choices: list[Choice] | None = None
    model: str | None = None
    system_fingerprint: str | None = None
    usage: Tokens | None = None
    error: Any = None
    """Some gateways report a failed upstream server under status 200."""


class Logprobs(msgspec.Struct, frozen=True):
    token_logprobs: list[float | None] = []
    """Of each token of the echoed prompt, then of each that was generated; None for the first."""
    top_logprobs: list[dict[str, float] | None] | None = None


class PlainChoice(msgspec.Struct, frozen=True):
    text: str
    finish_reason: str | None = None
    logprobs: Logprobs | None = None


class PlainCompletion(msgspec.Struct, frozen=True):
    """The reply of the completions route."""

    choices: list[PlainChoice] | None = None
    model: str | None = None
    system_fingerprint: str | None = None
    usage: Tokens | None = None
    error: Any = None

    def as_chat(self) -> Completion:
        """The same as a chat completion."""
        choices = [Choice(ReplyMessage(content=c.text), c.finish_reason) for c in self.choices or ()]
        return Completion(
            choices=choices,
            model=self.model,
            system_fingerprint=self.system_fingerprint,
            usage=self.usage,
            error=self.error,
        )


READER = msgspec.json.Decoder(Completion)
PLAIN_READER = msgspec.json.Decoder(PlainCompletion)
