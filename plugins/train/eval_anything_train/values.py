"""What trainers are given: prompts, demonstrations, preference pairs, language feedback."""

from __future__ import annotations

from typing import Any

import msgspec

from eval_anything.values import File, Message, Text

Answer = tuple[Text | File, ...]
"""What a model said: text, and images where it can make them."""


class Prompt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A question without an answer: PPO and LLF let the model answer it."""

    id: str
    messages: tuple[Message, ...]
    """Ends with the user's turn; media are `File` parts, absolute paths."""
    metadata: dict[str, Any] = {}


class Demonstration(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An answer to imitate."""

    id: str
    messages: tuple[Message, ...]
    answer: Answer
    metadata: dict[str, Any] = {}


class Feedback(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Language feedback on one answer, in the surface form of align-anything."""

    critique: str = ""
    """Strengths and weaknesses."""
    refinement: str = ""
    """How to do it better."""

    @property
    def text(self) -> str:
        """Both, as the feedback model is taught to write them."""
        parts = (("##Critique:", self.critique), ("##Refinement:", self.refinement))
        return "\n".join(f"{head} {text}" for head, text in parts if text)


class Pair(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Two answers to one prompt, of which people (or a model) preferred one."""

    id: str
    messages: tuple[Message, ...]
    chosen: Answer
    rejected: Answer
    rates: dict[str, tuple[float, float]] = {}
    """By dimension: the rates of the chosen and of the rejected answer (0 to 3)."""
    feedback_chosen: Feedback | None = None
    feedback_rejected: Feedback | None = None
    metadata: dict[str, Any] = {}


class Critiqued(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An answer and language feedback on it: the feedback model learns to give such feedback."""

    id: str
    messages: tuple[Message, ...]
    answer: Answer
    feedback: Feedback
    metadata: dict[str, Any] = {}


class Labelled(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One answer and whether it is a good one (KTO)."""

    id: str
    messages: tuple[Message, ...]
    answer: Answer
    desirable: bool
    metadata: dict[str, Any] = {}


Record = Prompt | Demonstration | Pair | Critiqued | Labelled


def text_of(answer: Answer) -> str:
    """The words of an answer."""
    return "\n".join(part.text for part in answer if isinstance(part, Text))
