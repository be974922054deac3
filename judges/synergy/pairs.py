"""The three pairs of modalities whose interplay is scored, and how a score is read."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

Reading = Literal["end", "mean", "published"]


@dataclasses.dataclass(frozen=True)
class Pair:
    name: str
    """As it is reported: a component of the judge's score."""
    modalities: tuple[Literal["text", "image", "audio"], ...]

    @property
    def media(self) -> tuple[Literal["image", "audio"], ...]:
        """In the order in which the model reads them."""
        return tuple(m for m in ("image", "audio") if m in self.modalities)

    def read(self, end: float, mean: float, reading: Reading) -> float:
        """The score of this pair from 0 to 1, from the unbounded scores of the last and of all tokens.

        "published" is what the benchmark's script does: the last token for image and audio, the mean for the
        two pairs with text.
        """
        by_mean = reading == "mean" or (reading == "published" and "text" in self.modalities)
        return _sigmoid(mean if by_mean else end)


PAIRS = (
    Pair("text-image", ("text", "image")),
    Pair("text-audio", ("text", "audio")),
    Pair("image-audio", ("image", "audio")),
)


def _sigmoid(value: float) -> float:
    # Of the two forms, the one whose exponential cannot overflow.
    if value >= 0:
        return 1 / (1 + math.exp(-value))
    return math.exp(value) / (1 + math.exp(value))
