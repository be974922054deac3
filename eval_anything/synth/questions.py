"""Multiple-choice questions about scenes, whose answers are known, and are known again for another scene.

A question is posed about the scene that a prompt asks for; what a generator made of the prompt is another
scene, and the same question has an answer there too, or none.
"""

from __future__ import annotations

import re
from random import Random
from typing import Literal

import msgspec

from eval_anything.synth.question_families import FAMILIES, About
from eval_anything.synth.scene import Scene

Letter = Literal["A", "B", "C", "D"]
Choices = tuple[str, str, str, str]
LETTERS: tuple[Letter, ...] = ("A", "B", "C", "D")


class Question(msgspec.Struct, frozen=True):
    """One question with exactly one right choice."""

    text: str
    choices: Choices
    answer: Letter


def ask(scene: Scene, rng: Random, *, about: About) -> Question:
    """A question about what is seen or heard of `scene`.

    Raises ValueError where there is nothing to ask about: no sound for "audio", no object for the others.
    """
    if not (scene.sounds if about == "audio" else scene.objects):
        raise ValueError(f"a scene without {'sounds' if about == 'audio' else 'objects'}: nothing to ask")
    for family in rng.sample(FAMILIES[about], len(FAMILIES[about])):
        ways = family.blanks(scene)
        if not ways:
            continue
        blanks = rng.choice(ways)
        right = family.truth(scene, blanks)
        pool = list(dict.fromkeys(family.pool(scene, rng)))
        good = [choice for choice in pool if choice in right][:1]
        options = [*good, *[choice for choice in pool if choice not in right][: len(LETTERS) - 1]]
        if good and len(options) == len(LETTERS):
            rng.shuffle(options)
            a, b, c, d = options
            text = family.template.format(medium="video" if about == "video" else "picture", **blanks)
            return Question(text=text, choices=(a, b, c, d), answer=LETTERS[options.index(good[0])])
    raise AssertionError("counting is always possible")


def answer(text: str, choices: Choices, scene: Scene, about: About) -> Letter | None:
    """The letter of the right choice for `scene`.

    None where none or more than one of the choices is right, where the question takes for granted what is
    not so in this scene ("the star", of two stars), or where it is not one of those that `ask` poses.
    """
    for family in FAMILIES[about]:
        if (match := family.pattern.fullmatch(text.strip())) is None:
            continue
        right = family.truth(scene, {name: word.lower() for name, word in match.groupdict().items()})
        hits = [letter for letter, choice in zip(LETTERS, choices, strict=True) if _plain(choice) in right]
        return hits[0] if len(hits) == 1 else None
    return None


def choices_text(choices: Choices) -> str:
    """The one string that holds all options, a line each: "A. red"."""
    return "\n".join(f"{letter}. {choice}" for letter, choice in zip(LETTERS, choices, strict=True))


def split_choices(text: str) -> Choices | None:
    """The four options in a string such as "A. x\\nB. y", "(A) x (B) y" or "A) x, B) y".

    None where they are not there in order. Where each letter begins a line, an option may hold anything but
    such a line; otherwise it ends where the next letter first stands.
    """
    return _split(text, r"^[ \t]*") or _split(text, r"(?:^|(?<=[\s,;]))")


def _split(text: str, before: str) -> Choices | None:
    found: list[re.Match[str]] = []
    for letter in LETTERS:
        mark = re.compile(rf"{before}\(?{letter}[ \t]*[.):][ \t]*", re.MULTILINE)
        match = mark.search(text, found[-1].end() if found else 0)
        if match is None:
            return None
        found.append(match)
    if text[: found[0].start()].strip():
        return None
    ends = [*(match.start() for match in found[1:]), len(text)]
    a, b, c, d = (text[m.end() : end].strip(" \t\r\n,;") for m, end in zip(found, ends, strict=True))
    return (a, b, c, d)


def _plain(choice: str) -> str:
    return " ".join(choice.split()).rstrip(".").lower()
