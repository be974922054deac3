"""One item of a benchmark, as the pipeline sees it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from eval_anything.values.message import Message
from eval_anything.values.modality import Modality
from eval_anything.values.request import Params


class Reference(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A human (or known) answer, with the keywords that it rests on, by channel."""

    text: str
    keywords: dict[str, tuple[str, ...]] = {}
    """For AMU: {"visual": (...), "auditory": (...)}."""


class Sample(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is asked, what is known about the answer, and how it counts."""

    id: str
    """The benchmark's own id where it has one; unique within a task."""
    messages: tuple[Message, ...]
    references: tuple[Reference, ...] = ()
    metadata: dict[str, Any] = {}
    group: str = ""
    """The category under which its score is averaged first (AMU: the evaluation dimension)."""
    cluster: str = ""
    """Samples of one cluster share an origin (an image, a video) and are resampled together."""
    masked: tuple[Modality, ...] = ()
    """Modalities dropped from `messages` because the model cannot take them, or by --mask."""
    further: tuple[tuple[Message, ...], ...] = ()
    """More requests of the same sample, each asked by itself, without the history of the others."""
    continuations: tuple[str | None, ...] = ()
    """Texts to be scored after the requests, one for each in their order, in place of being answered; None
    where an answer is asked for. Empty: answers are asked for everywhere."""
    params: Params = Params()
    """How its answers are decoded, where that differs from the task's own parameters."""

    @property
    def requests(self) -> tuple[tuple[Message, ...], ...]:
        """All that is asked, in order: `messages`, then each of `further`."""
        return (self.messages, *self.further)

    def with_requests(self, requests: Sequence[tuple[Message, ...]]) -> Sample:
        """The same sample with other requests, as many as it has."""
        return msgspec.structs.replace(self, messages=requests[0], further=tuple(requests[1:]))
