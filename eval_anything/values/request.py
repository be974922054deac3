"""What is asked of a model: the whole of it, so that it can be hashed, cached and repeated."""

from __future__ import annotations

from typing import Any

import msgspec

from eval_anything.values.message import Message
from eval_anything.values.modality import Modality


class Params(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Decoding parameters; None leaves the choice to the provider (and is sent as nothing)."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    extra: dict[str, Any] = {}
    """Further fields of the provider's own API, sent as they are."""


class Tool(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tool offered to the model."""

    name: str
    description: str
    parameters: dict[str, Any]
    """JSON Schema of the arguments."""


class Origin(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which sample a request was made for. Not part of what the model sees, nor of any cache key."""

    task: str
    sample_id: str
    repeat: int = 0
    part: int = 0
    """Which of the sample's requests it is."""
    parts: int = 1
    """How many requests the sample has."""


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    messages: tuple[Message, ...]
    output_modalities: tuple[Modality, ...] = ("text",)
    """What the answer may hold."""
    required_modalities: tuple[Modality, ...] = ()
    """What it must hold: all of them for synergy; none where the choice is the model's (selection)."""
    interleaved: bool = False
    """Whether words and media of the answer are to take turns, with as many media as it needs."""
    tools: tuple[Tool, ...] = ()
    params: Params = Params()
    plain: bool = False
    """The prompt is the text of the messages as it is: no chat template around it, no turns."""
    continuation: str | None = None
    """Score this text after the messages in place of answering them: the response has its `likelihood`."""
    draw: int = 0
    """Which of several independent answers to the same request this is (repeats, judge attempts)."""
    origin: Origin | None = None
