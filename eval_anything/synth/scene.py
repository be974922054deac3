"""Scenes: what a synthetic picture shows and what a synthetic recording holds.

The vocabulary is small on purpose. It fits pictures of 96 x 96 pixels with a 3 x 3 grid of cells, clips of
8 frames and recordings of at most 3 seconds, which is what a model of a few million parameters can learn
to read, so that a score on a twin says something about the model and not about the resolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Literal, get_args

import msgspec

Shape = Literal["circle", "square", "triangle", "star", "cross", "ring"]
Colour = Literal["red", "orange", "yellow", "green", "blue", "purple", "white"]
Size = Literal["small", "large"]
Motion = Literal["still", "left", "right", "up", "down"]
Timbre = Literal["beep", "bell", "buzz", "chirp", "click", "hiss", "siren"]
Pitch = Literal["low", "high"]

SHAPES: tuple[Shape, ...] = get_args(Shape)
COLOURS: tuple[Colour, ...] = get_args(Colour)
SIZES: tuple[Size, ...] = get_args(Size)
MOTIONS: tuple[Motion, ...] = get_args(Motion)
TIMBRES: tuple[Timbre, ...] = get_args(Timbre)
PITCHES: tuple[Pitch, ...] = get_args(Pitch)

GRID = 3
"""Cells to a side; cell i lies in row i // GRID and column i % GRID, counted from the top left."""
CELLS: tuple[str, ...] = (
    "top left",
    "top middle",
    "top right",
    "middle left",
    "middle",
    "middle right",
    "bottom left",
    "bottom middle",
    "bottom right",
)
MAX_OBJECTS = 4
MAX_SOUNDS = 6


class Object(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One coloured shape. No two objects of a scene share a cell, or both shape and colour."""

    shape: Shape
    colour: Colour
    size: Size
    cell: int
    """Index into CELLS."""
    motion: Motion = "still"
    """Direction in which it moves inside its cell; always "still" in a picture."""


class Sound(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One sound event."""

    timbre: Timbre
    pitch: Pitch = "low"


class Scene(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole truth about one picture or clip and one recording."""

    objects: tuple[Object, ...]
    """In reading order of their cells."""
    sounds: tuple[Sound, ...]
    """In the order in which they are heard."""
    video: bool = False
    """Whether the visual side is a clip, in which objects may move, rather than a picture."""


def scene(
    rng: Random,
    *,
    objects: int | None = None,
    sounds: int | None = None,
    timbres: Sequence[Timbre] = TIMBRES,
    video: bool = False,
) -> Scene:
    """Draw a scene: `objects` in 1..MAX_OBJECTS, `sounds` in 1..MAX_SOUNDS (None: drawn as well).

    At most two different timbres sound, so that repeats are common and counting them means something.
    """
    if objects is None:
        objects = rng.randint(1, MAX_OBJECTS)
    if sounds is None:
        sounds = rng.randint(1, 4)
    return Scene(draw_objects(rng, objects, video=video), draw_sounds(rng, sounds, timbres), video)


def draw_objects(
    rng: Random,
    n: int,
    *,
    shapes: Sequence[Shape] = SHAPES,
    sizes: Sequence[Size] = SIZES,
    video: bool = False,
    one_per_column: bool = False,
) -> tuple[Object, ...]:
    """`n` objects in different cells, in reading order.

    With `one_per_column`, at most GRID of them, from left to right.
    """
    if one_per_column:
        cells = [rng.randrange(GRID) * GRID + column for column in sorted(rng.sample(range(GRID), n))]
    else:
        cells = sorted(rng.sample(range(len(CELLS)), n))
    looks = rng.sample([(shape, colour) for shape in shapes for colour in COLOURS], n)
    return tuple(
        Object(shape, colour, rng.choice(sizes), cell, rng.choice(MOTIONS) if video else "still")
        for cell, (shape, colour) in zip(cells, looks, strict=True)
    )


def draw_sounds(rng: Random, n: int, timbres: Sequence[Timbre] = TIMBRES) -> tuple[Sound, ...]:
    """`n` events of one or two of `timbres`."""
    kinds = rng.sample(list(timbres), min(2, len(timbres)))
    return tuple(Sound(rng.choice(kinds), rng.choice(PITCHES)) for _ in range(n))
