"""What a request carried and a response brought, counted from their parts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import ceil
from typing import Final

from eval_anything.values import Audio, Image, Message, Part, Request, Text, ToolResult, Usage, Video

CHARS_A_TOKEN: Final = 4
"""As OpenAI and Google say of English text; other scripts have more tokens."""
IMAGE_TOKENS: Final = 765
"""A square picture of 1,024 pixels at OpenAI (85 and 170 for each of four tiles); at Google 258 to 1,032."""
AUDIO_TOKENS_A_SECOND: Final = 32
"""At Google (https://ai.google.dev/gemini-api/docs/tokens); at OpenAI 10."""
VIDEO_TOKENS_A_SECOND: Final = 263
"""At Google, the same page."""
ESTIMATED_BY: Final = (
    f"{CHARS_A_TOKEN} characters a token, {IMAGE_TOKENS} tokens an image, {AUDIO_TOKENS_A_SECOND} a second of"
    f" sound, {VIDEO_TOKENS_A_SECOND} a second of video"
)


def estimated_tokens(usage: Usage, chars: int) -> int:
    """About how many input tokens `chars` characters and the media that `usage` counts are (ESTIMATED_BY)."""
    media = (
        usage.images_in * IMAGE_TOKENS
        + usage.audio_s_in * AUDIO_TOKENS_A_SECOND
        + usage.video_s_in * VIDEO_TOKENS_A_SECOND
    )
    return ceil(chars / CHARS_A_TOKEN + media)


def count_chars(request: Request) -> int:
    """Characters of text in a request: its messages, and the continuation that is to be scored."""
    said = sum(len(part.text) for part in _all_parts(request.messages) if isinstance(part, Text))
    return said + len(request.continuation or "")


def count_usage(
    request: Request,
    parts: Iterable[Part],
    *,
    requests: int = 1,
    input_tokens: int = 0,
    output_tokens: int = 0,
) -> Usage:
    """One request's consumption: tokens as given, images and seconds of audio and video as counted here.

    A clip whose duration is unknown counts as 0 s.
    """
    images_in, audio_in, video_in = _media(_all_parts(request.messages))
    images_out, audio_out, video_out = _media(parts)
    return Usage(
        requests=requests,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        images_in=images_in,
        images_out=images_out,
        audio_s_in=audio_in,
        audio_s_out=audio_out,
        video_s_in=video_in,
        video_s_out=video_out,
    )


def last_user_text(request: Request) -> str:
    """The text of the last user message, its parts joined by newlines; empty when there is none."""
    for message in reversed(request.messages):
        if message.role == "user":
            return "\n".join([part.text for part in message.parts if isinstance(part, Text)])
    return ""


def _all_parts(messages: Iterable[Message]) -> Iterator[Part]:
    for message in messages:
        for part in message.parts:
            if isinstance(part, ToolResult):
                yield from part.parts
            else:
                yield part


def _media(parts: Iterable[Part]) -> tuple[int, float, float]:
    images, audio_s, video_s = 0, 0.0, 0.0
    for part in parts:
        if isinstance(part, Image):
            images += 1
        elif isinstance(part, Audio):
            audio_s += part.artifact.duration_s or 0.0
        elif isinstance(part, Video):
            video_s += part.artifact.duration_s or 0.0
    return images, audio_s, video_s
