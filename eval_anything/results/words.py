"""Numbers as they are written for people."""

from __future__ import annotations

from eval_anything.values import Usage
from eval_anything.values.usage import dollars

NONE = "-"


def counted(n: int, noun: str) -> str:
    """ "1 sample", "2 samples"."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def consumption(usage: Usage) -> str:
    """Tokens and media that were used, and what that cost where somebody bills."""
    cached = f" ({usage.input_cached_tokens:,} cached)" if usage.input_cached_tokens else ""
    parts = [
        counted(usage.requests, "request"),
        f"{usage.input_tokens:,} tokens in{cached}, {usage.output_tokens:,} out",
    ]
    if usage.reasoning_tokens:
        parts[-1] += f" ({usage.reasoning_tokens:,} reasoning)"
    media = {"images": (usage.images_in, usage.images_out)}
    parts += [f"{name} {a} in, {b} out" for name, (a, b) in media.items() if a or b]
    seconds = {"audio": (usage.audio_s_in, usage.audio_s_out), "video": (usage.video_s_in, usage.video_s_out)}
    parts += [f"{name} {a:.1f} s in, {b:.1f} s out" for name, (a, b) in seconds.items() if a or b]
    if usage.from_cache:
        parts.append(f"{counted(usage.from_cache, 'answer')} from the cache")
    if cost := dollars(usage.cost_usd, usage.unpriced):
        parts.append(cost)
    return "; ".join(parts)


def number(value: float | None, decimals: int = 2) -> str:
    """No minus sign before a zero."""
    if value is None:
        return NONE
    text = f"{value:.{decimals}f}"
    return text.removeprefix("-") if not text.strip("-0.") else text


def percent(share: float | None) -> str:
    return NONE if share is None else f"{100 * share:.1f}%"
