"""What the model is taught: a question about a scene, or a request, and all that would be a right answer."""

from __future__ import annotations

from random import Random
from typing import Literal, get_args

import msgspec

Need = Literal["seen", "heard", "both", "nothing"]
"""Which side of the scene has to be given for the question to make sense."""
Group = Literal[
    "counting", "sounds", "motion", "cross-modal", "attributes", "places", "descriptions", "missing", "other"
]
GROUPS: tuple[Group, ...] = get_args(Group)


class Lesson(msgspec.Struct, frozen=True, kw_only=True):
    """One question with its answers."""

    kind: str
    """Of which sort it is, "colour" say."""
    group: Group
    turns: tuple[str, ...]
    """The user's and the assistant's, in turn; the last is the user's."""
    answers: tuple[str, ...]
    """All right ones; where there would be very many, some."""
    needs: Need

    def answer(self, rng: Random, *, terse: bool = False) -> str:
        """One of the answers; `terse`: the shortest."""
        return min(self.answers, key=len) if terse else rng.choice(self.answers)


def plain(text: str) -> str:
    """As answers are compared: without regard to capitals, white space and the full stop at the end."""
    return " ".join(text.split()).rstrip(".").lower()


def right(lesson: Lesson, reply: str) -> bool:
    """Whether `reply` is one of the right answers, word for word."""
    return plain(reply) in {plain(answer) for answer in lesson.answers}
