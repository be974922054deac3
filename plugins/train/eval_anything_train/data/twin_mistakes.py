"""What can be wrong with an answer about a scene: another scene that it claims, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from random import Random
from typing import Literal, NamedTuple

import msgspec

from eval_anything.synth.describe import article, counted, look, movement, number, place, plural
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

Manner = Literal["seen", "heard", "drawn"]
"""Whether an answer tells what is seen, tells what is heard, or is a picture."""
RULES, RICHNESS, FOLLOWING = "objective_rules", "information_richness", "prompt_following"


class Mistake(msgspec.Struct, frozen=True):
    """One fault of one answer."""

    dimension: str
    """The one that it costs: RULES, RICHNESS, ..."""
    loss: int
    """By how much it lowers the rate (of 3) in it."""
    critique: str
    """The fault, as a clause: "it takes the red star for a ring"."""
    refinement: str
    """What to do about it, as a sentence."""


Change = tuple[Scene, Mistake]
"""What is claimed instead, and the mistake that this is."""


class _Seen(NamedTuple):
    """A change of what is seen; critique and refinement where it is told, and where it is drawn."""

    claimed: Scene | None
    """None where there is no room for it."""
    loss: int
    told: tuple[str, str]
    drawn: tuple[str, str]
    dimension: str = RULES


def mistake(scene: Scene, rng: Random, manner: Manner) -> Change | None:
    """A wrong claim about `scene`; None where this draw found no room for one."""
    if manner == "heard":
        return rng.choice(_HEARD)(scene, rng)
    change = rng.choice(_MOVING if scene.video else _STILL)(scene, rng.choice(scene.objects), rng)
    if change.claimed is None:
        return None
    if manner == "seen":
        return change.claimed, Mistake(change.dimension, change.loss, *change.told)
    # What a picture shows wrongly was asked for and is not given.
    dimension = FOLLOWING if change.dimension == RULES else change.dimension
    return change.claimed, Mistake(dimension, change.loss, *change.drawn)


def _other(rng: Random, words: Sequence[str], word: str) -> str:
    return rng.choice([w for w in words if w != word])


def _with(scene: Scene, old: Object | None, new: Object | None) -> Scene | None:
    """`scene` with one object changed, gone or more; None where two would be alike or in one place, or none
    or too many would be left."""
    rest = [o for o in scene.objects if o != old]
    if new is not None:
        if any((o.shape, o.colour) == (new.shape, new.colour) or o.cell == new.cell for o in rest):
            return None
        rest.append(new)
    if not 0 < len(rest) <= MAX_OBJECTS:
        return None
    return msgspec.structs.replace(scene, objects=tuple(sorted(rest, key=lambda o: o.cell)))


def _colour(scene: Scene, obj: Object, rng: Random) -> _Seen:
    new = msgspec.structs.replace(obj, colour=_other(rng, COLOURS, obj.colour))
    thing = f"{obj.shape} {place(obj)}"
    return _Seen(
        _with(scene, obj, new),
        2,
        (
            f"it says that the {thing} is {new.colour}, but it is {obj.colour}",
            f"Call the {thing} {obj.colour}.",
        ),
        (f"it makes the {thing} {new.colour} in place of {obj.colour}", f"Make the {thing} {obj.colour}."),
    )


def _shape(scene: Scene, obj: Object, rng: Random) -> _Seen:
    new = msgspec.structs.replace(obj, shape=_other(rng, SHAPES, obj.shape))
    thing = f"{obj.colour} object {place(obj)}"
    return _Seen(
        _with(scene, obj, new),
        2,
        (f"it takes the {look(obj)} for {article(new.shape)}", f"Call the {thing} {article(obj.shape)}."),
        (f"it has {article(new.shape)} for the {look(obj)}", f"Make the {thing} {article(obj.shape)}."),
    )


def _size(scene: Scene, obj: Object, rng: Random) -> _Seen:
    new = msgspec.structs.replace(obj, size=_other(rng, SIZES, obj.size))
    return _Seen(
        _with(scene, obj, new),
        1,
        (f"it calls the {look(obj)} {new.size}", f"Call the {look(obj)} {obj.size}."),
        (f"it makes the {look(obj)} {new.size}", f"Make the {look(obj)} {obj.size}."),
    )


def _place(scene: Scene, obj: Object, rng: Random) -> _Seen:
    new = msgspec.structs.replace(obj, cell=rng.choice([c for c in range(len(CELLS)) if c != obj.cell]))
    advice = f"Put the {look(obj)} {place(obj)}."
    return _Seen(
        _with(scene, obj, new),
        1,
        (f"it puts the {look(obj)} {place(new)}, but it is {place(obj)}", advice),
        (f"it has the {look(obj)} {place(new)} and not {place(obj)}", advice),
    )


def _motion(scene: Scene, obj: Object, rng: Random) -> _Seen:
    new = msgspec.structs.replace(obj, motion=_other(rng, MOTIONS, obj.motion))
    said = (
        f"it has the {look(obj)} {movement(new)}, but it is {movement(obj)}",
        f"Say that the {look(obj)} is {movement(obj)}.",
    )
    return _Seen(_with(scene, obj, new), 2, said, said)


def _drop(scene: Scene, obj: Object, rng: Random) -> _Seen:
    thing = look(obj, size=True)
    fault = f"it leaves out the {thing}"
    return _Seen(
        _with(scene, obj, None),
        2,
        (fault, f"Name the {thing} {place(obj)} as well."),
        (fault, f"Add the {thing} {place(obj)}."),
        RICHNESS,
    )


def _add(scene: Scene, obj: Object, rng: Random) -> _Seen:
    free = [c for c in range(len(CELLS)) if c not in {o.cell for o in scene.objects}]
    new = Object(rng.choice(SHAPES), rng.choice(COLOURS), rng.choice(SIZES), rng.choice(free), obj.motion)
    thing, advice = look(new), f"Leave the {look(new)} out."
    return _Seen(
        _with(scene, None, new),
        2,
        (f"it tells of {article(thing)} that is not there", advice),
        (f"it shows {article(thing)} that nobody asked for", advice),
    )


_STILL: tuple[Callable[[Scene, Object, Random], _Seen], ...] = (
    *(_colour, _colour, _shape, _size, _place, _drop, _add),
)
_MOVING = (*_STILL, _motion, _motion, _motion)


def _runs(sounds: Sequence[Sound]) -> list[list[Sound]]:
    return [list(same) for _, same in groupby(sounds, key=lambda sound: sound.timbre)]


def _heard(
    scene: Scene, runs: Sequence[Sequence[Sound]], loss: int, said: tuple[str, str], dimension: str = RULES
) -> Change | None:
    """`scene` with these runs of equal sounds; None where two of them would be one."""
    sounds = tuple(sound for run in runs for sound in run)
    if not 0 < len(sounds) <= MAX_SOUNDS or len(_runs(sounds)) != len(runs):
        return None
    return msgspec.structs.replace(scene, sounds=sounds), Mistake(dimension, loss, *said)


def _timbre(scene: Scene, rng: Random) -> Change | None:
    runs = _runs(scene.sounds)
    at = rng.randrange(len(runs))
    old, n = runs[at][0].timbre, len(runs[at])
    new = _other(rng, TIMBRES, old)
    runs[at] = [msgspec.structs.replace(sound, timbre=new) for sound in runs[at]]
    there = f"there {'is' if n == 1 else 'are'} {counted(n, old)}"
    said = (f"it hears {counted(n, new)} where {there}", f"Say {counted(n, old)} and not {counted(n, new)}.")
    return _heard(scene, runs, 2, said)


def _count(scene: Scene, rng: Random) -> Change | None:
    runs = _runs(scene.sounds)
    at = rng.randrange(len(runs))
    timbre, before = runs[at][0].timbre, len(runs[at])
    after = before + rng.choice((-1, 1, 2) if before > 1 else (1, 2))
    runs[at] = (runs[at] * 3)[:after]
    there = f"there {'is' if before == 1 else 'are'} {number(before)}"
    said = (
        f"it counts {counted(after, timbre)} in a row, but {there}",
        f"Count the {plural(timbre, 2)} again: {number(before)}.",
    )
    return _heard(scene, runs, 2, said)


def _order(scene: Scene, rng: Random) -> Change | None:
    runs = _runs(scene.sounds)
    if len(runs) < 2:
        return None
    at = rng.randrange(len(runs) - 1)
    first, second = runs[at][0].timbre, runs[at + 1][0].timbre
    runs[at], runs[at + 1] = runs[at + 1], runs[at]
    said = (
        f"it has the {second} before the {first}, and it is the other way round",
        f"Put the {first} before the {second}.",
    )
    return _heard(scene, runs, 1, said)


def _unheard(scene: Scene, rng: Random) -> Change | None:
    runs = _runs(scene.sounds)
    if len(runs) < 2:
        return None
    gone = runs.pop(rng.randrange(len(runs)))
    what = counted(len(gone), gone[0].timbre)
    return _heard(scene, runs, 2, (f"it leaves out {what}", f"Name the {what} as well."), RICHNESS)


_HEARD: tuple[Callable[[Scene, Random], Change | None], ...] = (_timbre, _count, _order, _unheard)
