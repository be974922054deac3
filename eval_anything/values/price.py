"""What a model's answers cost, by what the provider reports of them."""

from __future__ import annotations

from typing import Annotated

import msgspec

from eval_anything.values.usage import Usage

Amount = Annotated[float, msgspec.Meta(ge=0)] | None
_MILLION = 1_000_000


class Price(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """In US dollars. What has no price here is not billed by itself: media that are billed by their tokens
    have no price a piece."""

    input: Amount = None
    """A million input tokens."""
    input_cached: Amount = None
    """A million of them that were read from the provider's cache; None: as all others."""
    input_audio: Amount = None
    """A million of them that are sound; None: as all others."""
    output: Amount = None
    """A million output tokens."""
    reasoning: Amount = None
    """A million of them that are reasoning; None: as all others."""
    output_audio: Amount = None
    output_image: Amount = None
    image_in: Amount = None
    """One image; sound and video by the second."""
    image_out: Amount = None
    audio_s_in: Amount = None
    audio_s_out: Amount = None
    video_s_in: Amount = None
    video_s_out: Amount = None
    up_to_input_tokens: int | None = None
    """The price holds for requests with no more; what larger ones cost is then not known."""
    server: str = ""
    """Host that it holds for; empty: whoever serves the model."""
    source: str = ""
    """Where it is published."""
    date: str = ""
    """When it was read there."""

    def __post_init__(self) -> None:
        if all(getattr(self, name) is None for name in (*_TOKENS, *_PIECES)):
            raise ValueError(f"a price of nothing: give one of {', '.join((*_TOKENS, *_PIECES))}")

    @property
    def by_tokens(self) -> bool:
        return any(getattr(self, name) is not None for name in _TOKENS)

    def cost(self, usage: Usage) -> float | None:
        """Dollars for one answer; None where the provider has not reported what the price is by."""
        if self.by_tokens and not self._counted(usage):
            return None
        pieces: float = sum(
            (getattr(self, own) or 0.0) * getattr(usage, used) for own, used in _PIECES.items()
        )
        return self._of_tokens(usage) / _MILLION + pieces

    def _counted(self, usage: Usage) -> bool:
        """Whether the tokens are told, and those apart that have a price of their own."""
        if not usage.input_tokens and not usage.output_tokens:
            return False
        if self.up_to_input_tokens is not None and usage.input_tokens > self.up_to_input_tokens:
            return False
        if usage.input_cached_tokens + usage.input_audio_tokens > usage.input_tokens:
            return False  # sound from the provider's cache: at which of the two prices?
        apart = (
            (self.input_audio, usage.audio_s_in, usage.input_audio_tokens),
            (self.output_audio, usage.audio_s_out, usage.output_audio_tokens),
            (self.output_image, usage.images_out, usage.output_image_tokens),
        )
        return not any(price is not None and there and not tokens for price, there, tokens in apart)

    def _of_tokens(self, usage: Usage) -> float:
        return _split(
            self.input,
            usage.input_tokens,
            (self.input_cached, usage.input_cached_tokens),
            (self.input_audio, usage.input_audio_tokens),
        ) + _split(
            self.output,
            usage.output_tokens,
            (self.reasoning, usage.reasoning_tokens),
            (self.output_audio, usage.output_audio_tokens),
            (self.output_image, usage.output_image_tokens),
        )


_TOKENS = ("input", "output", "input_audio", "output_audio", "output_image")
_PIECES = {
    "image_in": "images_in",
    "image_out": "images_out",
    "audio_s_in": "audio_s_in",
    "audio_s_out": "audio_s_out",
    "video_s_in": "video_s_in",
    "video_s_out": "video_s_out",
}
"""Prices of single media, with what of a usage they are of."""


def _split(price: Amount, tokens: int, *apart: tuple[Amount, int]) -> float:
    """`tokens` at `price`, except for those among them that have a price of their own."""
    own = [(special, count) for special, count in apart if special is not None]
    rest = max(0, tokens - sum(count for _, count in own))
    return rest * (price or 0.0) + sum(special * count for special, count in own)
