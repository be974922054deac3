"""The kinds of questions about a scene: what is asked, what is right, what can be taken for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from random import Random
from typing import Literal

from eval_anything.synth.describe import NUMBERS, ORDINALS, look, order_phrase, place
from eval_anything.synth.scene import (
    CELLS,
    COLOURS,
    MAX_OBJECTS,
    MAX_SOUNDS,
    MOTIONS,
    SHAPES,
    SIZES,
    TIMBRES,
    Object,
    Scene,
    Sound,
)

About = Literal["image", "audio", "video"]
Blanks = Mapping[str, str]
"""What stands in the blanks of a template: {"colour": "red", "shape": "star"}."""

_STILL = "it stands still"
_LOOKS = tuple(f"{colour} {shape}" for shape, colour in product(SHAPES, COLOURS))
_LARGE_LOOKS = tuple(f"{size} {seen}" for size, seen in product(SIZES, _LOOKS))
_WORDS: dict[str, tuple[str, ...]] = {
    "medium": ("picture", "video"),
    "shape": SHAPES,
    "colour": COLOURS,
    "cell": CELLS,
    "timbre": TIMBRES,
    "ordinal": ORDINALS,
}
"""What may stand in each blank."""


@dataclass(frozen=True)
class Family:
    """Questions of one kind."""

    template: str
    blanks: Callable[[Scene], list[dict[str, str]]]
    """The ways to fill the template's blanks (but `medium`) so that the question makes sense."""
    truth: Callable[[Scene, Blanks], frozenset[str]]
    """All choices that would be right; none where what the question takes for granted is not so."""
    pool: Callable[[Scene, Random], Iterator[str]]
    """What choices are drawn from, in random order; right and wrong ones."""

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """What the questions of this family look like."""

        def group(match: re.Match[str]) -> str:
            words = sorted(_WORDS[match.group(1)], key=len, reverse=True)
            return f"(?P<{match.group(1)}>{'|'.join(words)})"

        escaped = re.escape(self.template).replace(r"\{", "{").replace(r"\}", "}")
        return re.compile(re.sub(r"\{(\w+)\}", group, escaped), re.IGNORECASE)


def _shuffled(words: tuple[str, ...]) -> Callable[[Scene, Random], Iterator[str]]:
    return lambda _, rng: iter(rng.sample(words, len(words)))


def _no_blanks(_: Scene) -> list[dict[str, str]]:
    return [{}]


def _only(objects: list[Object]) -> Object | None:
    return objects[0] if len(objects) == 1 else None


def _number(n: int) -> frozenset[str]:
    return frozenset({NUMBERS[n]}) if n < len(NUMBERS) else frozenset()


def _near(most: int, count: Callable[[Scene], int]) -> Callable[[Scene, Random], Iterator[str]]:
    """Number words around the right one, so that a guess between them has to count."""

    def pool(scene: Scene, rng: Random) -> Iterator[str]:
        numbers = rng.sample(range(most + 2), most + 2)
        return (NUMBERS[n] for n in sorted(numbers, key=lambda n: abs(n - count(scene)) > 3))

    return pool


def _named(scene: Scene, blanks: Blanks) -> Object | None:
    """The object that a question speaks of by colour, shape or both, if it is the only such one."""
    return _only(
        [
            obj
            for obj in scene.objects
            if blanks.get("colour", obj.colour) == obj.colour and blanks.get("shape", obj.shape) == obj.shape
        ]
    )


def _names(*attributes: str) -> Callable[[Scene], list[dict[str, str]]]:
    """By which attributes each object can be told from all others."""

    def blanks(scene: Scene) -> list[dict[str, str]]:
        ways = [{name: getattr(obj, name) for name in attributes} for obj in scene.objects]
        return [way for way in ways if _named(scene, way) is not None]

    return blanks


def _property(of: Callable[[Object], str]) -> Callable[[Scene, Blanks], frozenset[str]]:
    def truth(scene: Scene, blanks: Blanks) -> frozenset[str]:
        obj = _named(scene, blanks)
        return frozenset() if obj is None else frozenset({of(obj)})

    return truth


def _at(scene: Scene, blanks: Blanks) -> frozenset[str]:
    return frozenset(look(obj) for obj in scene.objects if CELLS[obj.cell] == blanks["cell"])


def _looks(scene: Scene, rng: Random) -> Iterator[str]:
    """Looks with the scene's own first, so that knowing what is there is not enough."""
    yield from (look(obj) for obj in rng.sample(scene.objects, len(scene.objects)))
    yield from rng.sample(_LOOKS, len(_LOOKS))


def _way(obj: Object) -> str:
    return _STILL if obj.motion == "still" else obj.motion


def _moving(scene: Scene) -> int:
    return sum(obj.motion != "still" for obj in scene.objects)


def _position(scene: Scene, blanks: Blanks) -> frozenset[str]:
    index = ORDINALS.index(blanks["ordinal"])
    return frozenset({scene.sounds[index].timbre}) if index < len(scene.sounds) else frozenset()


def _times(scene: Scene, blanks: Blanks) -> frozenset[str]:
    return _number(sum(sound.timbre == blanks["timbre"] for sound in scene.sounds))


def _orders(scene: Scene, rng: Random) -> Iterator[str]:
    """The scene's own order, its rearrangements, then orders with one sound exchanged."""
    yield order_phrase(scene.sounds)
    for _ in range(8):
        yield order_phrase(rng.sample(scene.sounds, len(scene.sounds)))
    for timbre in rng.sample(TIMBRES, len(TIMBRES)):
        at = rng.randrange(len(scene.sounds))
        yield order_phrase([*scene.sounds[:at], Sound(timbre), *scene.sounds[at + 1 :]])


_SEEN = (
    Family(
        "How many objects does the {medium} show?",
        _no_blanks,
        lambda scene, _: _number(len(scene.objects)),
        _near(MAX_OBJECTS, lambda scene: len(scene.objects)),
    ),
    Family(
        "What colour is the {shape} in the {medium}?",
        _names("shape"),
        _property(lambda obj: obj.colour),
        _shuffled(COLOURS),
    ),
    Family(
        "What shape is the {colour} object in the {medium}?",
        _names("colour"),
        _property(lambda obj: obj.shape),
        _shuffled(SHAPES),
    ),
    Family(
        "Where in the {medium} is the {colour} {shape}?",
        _names("colour", "shape"),
        _property(lambda obj: place(obj).removeprefix("in the ")),
        _shuffled(CELLS),
    ),
    Family(
        "What is in the {cell} of the {medium}?",
        lambda scene: [{"cell": CELLS[obj.cell]} for obj in scene.objects],
        _at,
        _looks,
    ),
    Family(
        "Which of these can be seen in the {medium}?",
        _no_blanks,
        lambda scene, _: frozenset(look(obj, size=True) for obj in scene.objects),
        _shuffled(_LARGE_LOOKS),
    ),
)
_MOVING = (
    Family(
        "Which way does the {colour} {shape} in the {medium} move?",
        _names("colour", "shape"),
        _property(_way),
        _shuffled((_STILL, *(motion for motion in MOTIONS if motion != "still"))),
    ),
    Family(
        "How many of the objects in the {medium} move?",
        _no_blanks,
        lambda scene, _: _number(_moving(scene)),
        _near(MAX_OBJECTS, _moving),
    ),
)
_HEARD = (
    Family(
        "How many sounds can be heard?",
        _no_blanks,
        lambda scene, _: _number(len(scene.sounds)),
        _near(MAX_SOUNDS, lambda scene: len(scene.sounds)),
    ),
    Family(
        "How many times can a {timbre} be heard?",
        lambda scene: [{"timbre": sound.timbre} for sound in scene.sounds],
        _times,
        _near(MAX_SOUNDS, lambda scene: len(scene.sounds) // 2),
    ),
    Family(
        "What is the {ordinal} sound?",
        lambda scene: [{"ordinal": ordinal} for ordinal in ORDINALS[: len(scene.sounds)]],
        _position,
        _shuffled(TIMBRES),
    ),
    Family(
        "What is the last sound?",
        _no_blanks,
        lambda scene, _: frozenset({sound.timbre for sound in scene.sounds[-1:]}),
        _shuffled(TIMBRES),
    ),
    Family(
        "In which order can the sounds be heard?",
        lambda scene: [{}] if len(scene.sounds) > 1 else [],
        lambda scene, _: frozenset({order_phrase(scene.sounds)}),
        _orders,
    ),
    Family(
        "Which of these sounds can be heard?",
        _no_blanks,
        lambda scene, _: frozenset(sound.timbre for sound in scene.sounds),
        _shuffled(TIMBRES),
    ),
)
FAMILIES: dict[About, tuple[Family, ...]] = {
    "image": _SEEN,
    "video": (*_SEEN, *_MOVING),
    "audio": _HEARD,
}
