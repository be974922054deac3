"""What requests consume."""

from __future__ import annotations

import msgspec


class Usage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one or many requests consumed. Counts are sums; `cost_usd` is None where no price is known."""

    requests: int = 0
    """Requests that left for the model, retries included; 0 when the answer came from the cache."""
    input_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    """Of the output tokens, those of thinking."""
    cached_tokens: int = 0
    """Of the input tokens, those that the server had in a cache of its own, and told of."""
    images_in: int = 0
    images_out: int = 0
    audio_s_in: float = 0.0
    audio_s_out: float = 0.0
    video_s_in: float = 0.0
    video_s_out: float = 0.0
    cost_usd: float | None = None

    def __add__(self, other: Usage) -> Usage:
        sums = {
            name: getattr(self, name) + getattr(other, name)
            for name in self.__struct_fields__
            if name != "cost_usd"
        }
        costs = [c for c in (self.cost_usd, other.cost_usd) if c is not None]
        return Usage(**sums, cost_usd=sum(costs) if costs else None)
