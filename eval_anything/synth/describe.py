"""True sentences about scenes, in several phrasings: the raw material of questions and reference answers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from random import Random

from eval_anything.synth.scene import CELLS, Object, Scene, Sound

NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")


def number(n: int, digits: bool = False) -> str:
    return str(n) if digits or n >= len(NUMBERS) else NUMBERS[n]


def plural(noun: str, n: int) -> str:
    if n == 1:
        return noun
    return f"{noun}es" if noun.endswith(("s", "x", "z", "sh", "ch")) else f"{noun}s"


def counted(n: int, noun: str, digits: bool = False) -> str:
    """ "three beeps", or "3 beeps"; "no beeps" for none."""
    return f"no {plural(noun, n)}" if n == 0 else f"{number(n, digits)} {plural(noun, n)}"


def article(phrase: str) -> str:
    return f"{'an' if phrase[:1] in 'aeiou' else 'a'} {phrase}"


def listed(phrases: Sequence[str], last: str = "and") -> str:
    """ "a, b and c"."""
    if len(phrases) < 2:
        return "".join(phrases)
    return f"{', '.join(phrases[:-1])} {last} {phrases[-1]}"


def look(obj: Object, *, size: bool = False) -> str:
    """ "red circle" or "large red circle"."""
    return f"{obj.size} {obj.colour} {obj.shape}" if size else f"{obj.colour} {obj.shape}"


def place(obj: Object) -> str:
    """ "in the top left"."""
    return f"in the {CELLS[obj.cell]}"


def movement(obj: Object) -> str:
    """ "moving left" or "standing still"."""
    return "standing still" if obj.motion == "still" else f"moving {obj.motion}"


def objects_phrase(scene: Scene, *, size: bool = True, where: bool = True) -> str:
    """Every object: "a large red circle in the top left and a small blue star in the middle, moving up"."""
    phrases = []
    for obj in scene.objects:
        phrase = article(look(obj, size=size))
        if scene.video:
            phrase += f" {movement(obj)}"
        if where:
            phrase += f" {place(obj)}"
        phrases.append(phrase)
    return listed(phrases)


def runs(sounds: Sequence[Sound]) -> list[tuple[str, int]]:
    """Equal neighbours put together: [("beep", 2), ("click", 1)]."""
    return [(timbre, len(list(same))) for timbre, same in groupby(sound.timbre for sound in sounds)]


def sounds_phrase(sounds: Sequence[Sound], digits: bool = False, then: str = "then") -> str:
    """In order: "two beeps, then one click"."""
    return f", {then} ".join(counted(n, timbre, digits) for timbre, n in runs(sounds))


def order_phrase(sounds: Sequence[Sound]) -> str:
    """Each event by name: "beep, beep, click"."""
    return ", ".join(sound.timbre for sound in sounds)


def seen(scene: Scene, rng: Random) -> str:
    """A true sentence about all that is seen."""
    medium = "video" if scene.video else "picture"
    n = len(scene.objects)
    whole = objects_phrase(scene)
    return rng.choice(
        (
            f"The {medium} shows {whole}.",
            f"I can see {whole}.",
            f"There {'is' if n == 1 else 'are'} {counted(n, 'object')} in the {medium}: {whole}.",
            f"In the {medium} I see {whole}.",
        )
    )


def heard(scene: Scene, rng: Random) -> str:
    """A true sentence about all that is heard."""
    n = len(scene.sounds)
    whole = sounds_phrase(scene.sounds)
    return rng.choice(
        (
            f"I hear {whole}.",
            f"The recording has {whole}.",
            f"There {'is' if n == 1 else 'are'} {counted(n, 'sound')} in the recording: {whole}.",
            f"What can be heard is {sounds_phrase(scene.sounds, then='followed by')}.",
        )
    )
