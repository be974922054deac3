"""Language feedback as the feedback model asks for it, writes it, and is taught it.

The form is align-anything's: the user's turn holds prompt and response, and a cue after which the model
writes a critique and then a refinement. Nothing here imports torch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from eval_anything.values import Message, Part, Text
from eval_anything_train.values import Answer, Critiqued, Feedback, Pair

CUE = "Your critique and refinement:"
_HEADS = re.compile(r"##\s*(critique|refinement)\s*:", re.IGNORECASE)


def question(messages: Sequence[Message], answer: Answer) -> tuple[Message, ...]:
    """What the feedback model is asked about `answer` to `messages`, whose last turn is the user's.

    That turn's media stay where they are in it, earlier turns stay as they are.
    """
    *earlier, last = messages
    parts = [Text("##Prompt: "), *_runs(last.parts), Text("\n##Response: "), *_runs(answer), Text(f"\n{CUE}")]
    return (*earlier, Message(last.role, tuple(_runs(parts, between=""))))


def read(text: str) -> Feedback:
    """The feedback in what a feedback model wrote; all of it is critique where the heads are missing."""
    before, *rest = _HEADS.split(text)
    found = {"critique": before.strip(), "refinement": ""}
    for head, words in zip(rest[::2], rest[1::2], strict=True):
        name = head.lower()
        found[name] = "\n".join(filter(None, (found[name], words.strip())))
    return Feedback(**found)


def critiques(pair: Pair) -> tuple[Critiqued, ...]:
    """The answers of `pair` that have feedback; their ids end in /chosen and /rejected."""
    sides = (
        ("chosen", pair.chosen, pair.feedback_chosen),
        ("rejected", pair.rejected, pair.feedback_rejected),
    )
    return tuple(
        Critiqued(
            id=f"{pair.id}/{name}",
            messages=pair.messages,
            answer=answer,
            feedback=feedback,
            metadata=pair.metadata,
        )
        for name, answer, feedback in sides
        if feedback is not None and feedback.text
    )


def _runs(parts: Iterable[Part], between: str = "\n") -> list[Part]:
    """`parts` with texts that follow one another made one: templates differ in what they put between them."""
    found: list[Part] = []
    for part in parts:
        if isinstance(part, Text) and found and isinstance(found[-1], Text):
            found[-1] = Text(f"{found[-1].text}{between}{part.text}")
        else:
            found.append(part)
    return found
