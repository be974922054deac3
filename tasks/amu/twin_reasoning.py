"""Reasoning: relations between what is seen and what is heard, which neither side tells alone."""

from __future__ import annotations

from random import Random
from typing import Final

import msgspec

from eval_anything.synth.describe import ORDINALS, counted, look, number
from eval_anything.synth.scene import (
    GRID,
    Scene,
    Shape,
    draw_objects,
    draw_sounds,
    scene,
)
from eval_anything.tasks.amu.twin_question import Family, Question, medium

CORNERS: Final[dict[Shape, int]] = {"triangle": 3, "square": 4, "star": 5}
"""Corners (a star's: its points) of the shapes that can stand for a number."""


def one_for_each(rng: Random, video: bool) -> Question:
    n = rng.randint(1, 4)
    sounds = n if rng.random() < 0.5 else rng.choice([m for m in range(1, 6) if m != n])
    drawn = scene(rng, objects=n, sounds=sounds, video=video)
    seen, heard = counted(n, "object"), counted(sounds, "sound")
    same = n == sounds
    yes, equal = ("Yes", "the same number") if same else ("No", "different numbers")
    return Question(
        family="one_for_each",
        scene=drawn,
        text=f"Are there exactly as many sounds in the recording as objects in the {medium(video)}? Say why.",
        answer=f"{yes}: what I see is {seen}, and what I hear is {heard}.",
        full=(
            f"{yes}, there are {seen} and {heard}.",
            f"{yes}, I see {seen} and hear {heard}.",
            f"{yes}, the {medium(video)} shows {seen} and the recording has {heard}.",
            f"{yes}, because I count {seen} and {heard}, which are {equal}.",
            f"{yes}. {seen.capitalize()} can be seen and {heard} can be heard.",
            f"{yes}, {seen} and {heard} are {equal}.",
        ),
        terse=(f"{yes}: {seen}, {heard}.",),
        visual=(seen, number(n)),
        auditory=(heard, number(sounds)),
    )


def difference(rng: Random, video: bool) -> Question:
    n = rng.randint(1, 4)
    m = rng.choice([m for m in range(1, 6) if m != n])
    drawn = scene(rng, objects=n, sounds=m, video=video)
    more, fewer = ("objects", "sounds") if n > m else ("sounds", "objects")
    by = number(abs(n - m))
    seen, heard = counted(n, "object"), counted(m, "sound")
    return Question(
        family="difference",
        scene=drawn,
        text=f"Are there more objects in the {medium(video)} or more sounds in the recording, and by how "
        "many?",
        answer=f"More {more}, by {by}, as I see {seen} and hear {heard}.",
        full=(
            f"There are more {more} than {fewer}, by {by}: {seen} and {heard}.",
            f"There are {by} more {more} than {fewer}, as there are {seen} and {heard}.",
            f"More {more}: I see {seen} and hear {heard}, so the difference is {by}.",
            f"I count {seen} and {heard}, so there are {by} more {more}.",
            f"The {more} are more by {by}, because I see {seen} and hear {heard}.",
        ),
        terse=(f"More {more}, by {by}.",),
        visual=(seen, number(n)),
        auditory=(heard, number(m)),
    )


def together(rng: Random, video: bool) -> Question:
    n, m = rng.randint(1, 4), rng.randint(1, 5)
    drawn = scene(rng, objects=n, sounds=m, video=video)
    seen, heard, total = counted(n, "object"), counted(m, "sound"), number(n + m)
    return Question(
        family="together",
        scene=drawn,
        text=f"If you add the objects in the {medium(video)} and the sounds in the recording, what do you "
        "get?",
        answer=f"You get {total}, from {seen} and {heard}.",
        full=(
            f"{seen.capitalize()} and {heard} make {total}.",
            f"I see {seen} and hear {heard}, so together they are {total}.",
            f"It is {total}, because there are {seen} and {heard}.",
            f"The sum is {total}: {seen} plus {heard}.",
            f"There are {seen} and {heard}, which makes {total} in all.",
        ),
        terse=(f"{total.capitalize()}: {seen}, {heard}.",),
        visual=(seen, number(n)),
        auditory=(heard, number(m)),
    )


def corners(rng: Random, video: bool) -> Question:
    shapes = list(CORNERS)
    rng.shuffle(shapes)
    objects = tuple(
        msgspec.structs.replace(obj, shape=shape)
        for shape, obj in zip(shapes, draw_objects(rng, 3, video=video), strict=True)
    )
    chosen = rng.choice(objects)
    n = CORNERS[chosen.shape]
    timbre = draw_sounds(rng, 1)[0].timbre
    drawn = Scene(objects, draw_sounds(rng, n, (timbre,)), video)
    heard = counted(n, timbre)
    return Question(
        family="corners",
        scene=drawn,
        text=f"A star has five corners. Which object in the {medium(video)} has as many corners as you hear "
        f"sounds, and which sounds are they?",
        answer=f"That is the {look(chosen)}, since the recording has {heard}.",
        full=(
            f"The {look(chosen)}, because I hear {heard}.",
            f"It is the {look(chosen)}: there are {heard}.",
            f"I hear {heard}, so it is the {look(chosen)}.",
            f"The {look(chosen)} matches the {heard}.",
            f"The {look(chosen)} has {number(n)} corners, and {heard} can be heard.",
        ),
        terse=(f"The {look(chosen)}, {heard}.",),
        visual=(look(chosen), chosen.shape),
        auditory=(heard, number(n), timbre),
    )


def counted_off(rng: Random, video: bool) -> Question:
    n = rng.randint(1, GRID)
    timbre = draw_sounds(rng, 1)[0].timbre
    objects = draw_objects(rng, GRID, video=video, one_per_column=True)
    drawn = Scene(objects, draw_sounds(rng, n, (timbre,)), video)
    chosen, heard = objects[n - 1], counted(n, timbre)
    nth = ORDINALS[n - 1]
    return Question(
        family="counted_off",
        scene=drawn,
        text=f"Count the objects in the {medium(video)} from left to right, one for each sound that you "
        "hear. At which object do you stop, and what did you hear?",
        answer=f"I stop at the {look(chosen)}, since the recording has {heard}.",
        full=(
            f"I hear {heard}, so I stop at the {look(chosen)}.",
            f"At the {look(chosen)}, because there {'is' if n == 1 else 'are'} {heard}.",
            f"The {look(chosen)}, which is the {nth} from the left, as I hear {heard}.",
            f"With {heard}, the count ends at the {look(chosen)}.",
            f"{heard.capitalize()} can be heard, and the {nth} object is the {look(chosen)}.",
        ),
        terse=(f"The {look(chosen)}, {heard}.",),
        visual=(look(chosen), chosen.shape, chosen.colour),
        auditory=(heard, timbre),
    )


REASONING: tuple[Family, ...] = (one_for_each, difference, together, corners, counted_off)
