"""What a request carried and a response brought, counted from their parts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from eval_anything.values import Audio, Image, Message, Part, Request, Text, ToolResult, Usage, Video


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
