"""One question of the twin: a scene, what is asked about it, and ten people's answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from eval_anything.synth.describe import NUMBERS
from eval_anything.synth.scene import Scene
from eval_anything.tasks.amu.answerer import Truth

ANNOTATORS = 10
_NUMBER_WORD = re.compile(rf"\b({'|'.join(NUMBERS[2:])})\b", re.IGNORECASE)


@dataclass(frozen=True)
class Question:
    """What a family makes of a random state; every sentence in it is true of the scene."""

    family: str
    scene: Scene
    text: str
    answer: str
    """A right answer that is none of the references (but where the format leaves no choice)."""
    full: Sequence[str]
    """Phrasings that most annotators choose among."""
    terse: Sequence[str] = ()
    """Phrasings of those who say no more than they must; one or two of the ten."""
    visual: Sequence[str] = ()
    """What the answer rests on, the first always named, the others by most annotators."""
    auditory: Sequence[str] = ()
    exact: bool = False
    """Whether the wording is prescribed, so that number words may not become digits."""

    @property
    def truth(self) -> Truth:
        return Truth(scene=self.scene, family=self.family, answer=self.answer)


Family = Callable[[Random, bool], Question]
"""Makes a question; the second argument says whether the visual side is a clip."""


def annotate(question: Question, rng: Random) -> list[dict[str, Any]]:
    """Ten answers with keywords, differing in wording and detail as people do."""
    terse = rng.randint(1, 2) if question.terse else 0
    answers = [rng.choice(question.terse) for _ in range(terse)]
    rest = list(question.full)
    while len(answers) < ANNOTATORS:
        rng.shuffle(rest)
        answers += rest[: ANNOTATORS - len(answers)]
    rng.shuffle(answers)
    return [_annotation(question, answer, rng) for answer in answers]


def _annotation(question: Question, answer: str, rng: Random) -> dict[str, Any]:
    digits = not question.exact and rng.random() < 0.25
    keywords = {
        channel: [in_digits(word) if digits else word for word in _named(words, rng)]
        for channel, words in (("visual", question.visual), ("auditory", question.auditory))
    }
    return {"answer": in_digits(answer) if digits else answer, "keywords": keywords}


def _named(words: Sequence[str], rng: Random) -> list[str]:
    return [word for i, word in enumerate(words) if i == 0 or rng.random() < 0.7]


def in_digits(text: str) -> str:
    """ "three beeps" as "3 beeps"; "one" stays, which is as often a pronoun."""
    return _NUMBER_WORD.sub(lambda match: str(NUMBERS.index(match.group().lower())), text)


def sentence(text: str) -> str:
    """With a capital and a full stop."""
    return f"{text[:1].upper()}{text[1:]}."


def medium(video: bool) -> str:
    return "video" if video else "picture"
