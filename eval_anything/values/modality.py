"""The four modalities, and what a model or a task takes and gives of them."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

Modality = Literal["text", "image", "audio", "video"]
MODALITIES: tuple[Modality, ...] = get_args(Modality)


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What one model can do; checked before any work starts."""

    inputs: tuple[Modality, ...] = ("text",)
    """Modalities it can take; others are masked (dropped from the sample, recorded on it)."""
    outputs: tuple[Modality, ...] = ("text",)
    """Modalities it can give."""
    chat: bool = True
    """Whether it takes messages; a checkpoint without a chat template does not."""
    plain: bool = False
    """Whether it takes plain prompts, without a chat template around them."""
    likelihood: Literal["", "plain", "all"] = ""
    """After what it can score a given text: after plain prompts, or after all that it takes."""
    tools: bool = False
    """Whether it can call tools by itself."""
    max_images: int | None = None
    """Most images in one request; None: no known limit."""
