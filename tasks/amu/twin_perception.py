"""Perception: what is there to see, and what is there to hear."""

from __future__ import annotations

from random import Random

import msgspec

from eval_anything.synth.describe import (
    article,
    counted,
    look,
    movement,
    objects_phrase,
    order_phrase,
    place,
    runs,
    sounds_phrase,
)
from eval_anything.synth.scene import CELLS, Scene, draw_objects, draw_sounds, scene
from eval_anything.tasks.amu.twin_question import Family, Question, medium, sentence


def count(rng: Random, video: bool) -> Question:
    drawn = scene(rng, sounds=rng.randint(1, 5), video=video)
    seen = counted(len(drawn.objects), "object")
    heard = counted(len(drawn.sounds), "sound")
    where = medium(video)
    return Question(
        family="count",
        scene=drawn,
        text=f"How many objects does the {where} show, and how many sounds do you hear?",
        answer=f"You can see {seen}, and what you hear is {heard}.",
        full=(
            f"The {where} shows {seen}, and I hear {heard}.",
            f"I can see {seen} and hear {heard}.",
            f"I count {seen} and {heard}.",
            f"{seen.capitalize()} can be seen and {heard} can be heard.",
            f"The {where} has {seen}; the recording has {heard}.",
            f"It shows {seen}, with {heard} in the recording.",
            f"I see {seen} in the {where}, and the recording contains {heard}.",
        ),
        terse=(f"{seen.capitalize()}, {heard}.", f"{seen.capitalize()} and {heard}."),
        visual=(seen, seen.split()[0]),
        auditory=(heard, heard.split()[0]),
    )


def description(rng: Random, video: bool) -> Question:
    drawn = scene(rng, objects=rng.randint(1, 2), sounds=rng.randint(1, 3), video=video)
    whole, brief = objects_phrase(drawn), objects_phrase(drawn, size=False)
    heard = sounds_phrase(drawn.sounds)
    followed = sounds_phrase(drawn.sounds, then="followed by")
    where = medium(video)
    return Question(
        family="description",
        scene=drawn,
        text=f"Describe the {where} and the recording in one or two sentences.",
        answer=f"You see {whole}, and the recording has {heard}.",
        full=(
            f"The {where} shows {whole}, and I hear {heard}.",
            f"I see {whole}. I hear {followed}.",
            f"There is {brief}. The recording has {heard}.",
            f"{sentence(whole)} The sounds are {heard}.",
            f"In the {where} there is {whole}, while {followed} can be heard.",
            f"The {where} shows {brief}; the recording is {followed}.",
            f"I can see {whole}, and I can hear {heard}.",
        ),
        terse=(sentence(f"{objects_phrase(drawn, size=False, where=False)}; {heard}"),),
        visual=tuple(look(obj) for obj in drawn.objects) + tuple(CELLS[obj.cell] for obj in drawn.objects),
        auditory=tuple(counted(n, timbre) for timbre, n in runs(drawn.sounds)),
    )


def repeats(rng: Random, video: bool) -> Question:
    drawn = scene(rng, objects=1, sounds=rng.randint(3, 5), video=video)
    obj = drawn.objects[0]
    timbre = rng.choice(drawn.sounds).timbre
    n = sum(sound.timbre == timbre for sound in drawn.sounds)
    times = counted(n, timbre)
    thing = article(look(obj))
    where = medium(video)
    return Question(
        family="repeats",
        scene=drawn,
        text=f"Which object does the {where} show, and how often do you hear a {timbre} in the recording?",
        answer=f"You can see {thing}, and the recording contains {times}.",
        full=(
            f"The {where} shows {thing}, and I hear {times}.",
            f"It is {thing}, and there {'is' if n == 1 else 'are'} {times}.",
            f"I see {thing} and hear {times}.",
            f"There is a {obj.size} {look(obj)}, and {times} can be heard.",
            f"{thing.capitalize()} is shown. I count {times}.",
            f"The object is {thing}; the recording has {times}.",
        ),
        terse=(f"{thing.capitalize()}, {times}.",),
        visual=(look(obj), obj.shape, obj.colour),
        auditory=(times, timbre),
    )


def large_and_last(rng: Random, video: bool) -> Question:
    objects = list(draw_objects(rng, rng.randint(2, 3), sizes=("small",), video=video))
    chosen = rng.randrange(len(objects))
    obj = objects[chosen] = msgspec.structs.replace(objects[chosen], size="large")
    drawn = Scene(tuple(objects), draw_sounds(rng, rng.randint(2, 4)), video)
    last = drawn.sounds[-1].timbre
    thing = article(look(obj))
    where = medium(video)
    return Question(
        family="large_and_last",
        scene=drawn,
        text=f"What is the large object in the {where}, and which sound comes last?",
        answer=f"The large one is {thing}, and the recording ends with a {last}.",
        full=(
            f"The large object is {thing}, and the last sound is a {last}.",
            f"It is {thing}, and a {last} comes last.",
            f"I see a large {look(obj)}, and the last thing I hear is a {last}.",
            f"The large object is the {look(obj)}. The recording ends with a {last}.",
            f"The largest object is {thing} {place(obj)}; the last sound is a {last}.",
            f"{thing.capitalize()} is the large object, and the final sound is a {last}.",
        ),
        terse=(f"{thing.capitalize()}; a {last}.",),
        visual=(look(obj), obj.shape, obj.colour),
        auditory=(last,),
    )


def place_and_order(rng: Random, video: bool) -> Question:
    drawn = scene(rng, objects=rng.randint(1, 3), sounds=rng.randint(2, 3), video=video)
    obj = rng.choice(drawn.objects)
    order = order_phrase(drawn.sounds)
    told = ", then a ".join(sound.timbre for sound in drawn.sounds)
    where = medium(video)
    return Question(
        family="place_and_order",
        scene=drawn,
        text=f"Where in the {where} is the {look(obj)}, and in which order do you hear the sounds?",
        answer=f"You find the {look(obj)} {place(obj)}, and the order of the sounds is {order}.",
        full=(
            f"The {look(obj)} is {place(obj)}, and I hear a {told}.",
            f"It is {place(obj)}; the sounds are {order}.",
            f"The {look(obj)} is {place(obj)} of the {where}. The order is {order}.",
            f"{sentence(place(obj))} The sounds come in the order {order}.",
            f"I see the {look(obj)} {place(obj)} and hear {order}.",
            f"The {obj.shape} is {place(obj)}, and the recording has a {told}.",
        ),
        terse=(f"{sentence(CELLS[obj.cell])} {sentence(order)}",),
        visual=(CELLS[obj.cell], look(obj)),
        auditory=(order, *dict.fromkeys(sound.timbre for sound in drawn.sounds)),
    )


def motion_and_first(rng: Random, video: bool) -> Question:
    """Needs a clip."""
    drawn = scene(rng, objects=rng.randint(1, 3), sounds=rng.randint(2, 4), video=video)
    obj = rng.choice(drawn.objects)
    first = drawn.sounds[0].timbre
    moves = "does not move" if obj.motion == "still" else f"moves {obj.motion}"
    return Question(
        family="motion_and_first",
        scene=drawn,
        text=f"How does the {look(obj)} move in the video, and which sound comes first?",
        answer=f"In the video the {look(obj)} {moves}, and the recording starts with a {first}.",
        full=(
            f"The {look(obj)} {moves}, and the first sound is a {first}.",
            f"The {look(obj)} is {movement(obj)}, and a {first} comes first.",
            f"It {moves}; the first thing I hear is a {first}.",
            f"I see the {look(obj)} {movement(obj)} and hear a {first} first.",
            f"The {obj.shape} {moves}. The recording begins with a {first}.",
            f"The {look(obj)} {moves} in the video, and it starts with a {first}.",
        ),
        terse=(f"It {moves}; a {first}.",),
        visual=(moves.split(maxsplit=1)[1], look(obj)),
        auditory=(first,),
    )


PERCEPTION: tuple[Family, ...] = (count, description, repeats, large_and_last, place_and_order)
PERCEPTION_VIDEO: tuple[Family, ...] = (*PERCEPTION, motion_and_first, motion_and_first)
"""Motion is asked for twice as often, as it is what only a clip can show."""
