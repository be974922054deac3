"""Instruction following: an exact format whose content needs both picture and recording."""

from __future__ import annotations

from random import Random

import msgspec

from eval_anything.synth.describe import counted, listed, look, objects_phrase, order_phrase, sounds_phrase
from eval_anything.synth.scene import scene
from eval_anything.tasks.amu.twin_question import Family, Question, medium


def pairs(rng: Random, video: bool) -> Question:
    drawn = scene(rng, sounds=rng.randint(1, 5), video=video)
    n, m = len(drawn.objects), len(drawn.sounds)
    answer = f"objects={n}; sounds={m}"
    return Question(
        family="pairs",
        scene=drawn,
        text=f"How many objects does the {medium(video)} show, and how many sounds do you hear? Answer only "
        "in the form objects=<number>; sounds=<number>, with digits.",
        answer=answer,
        full=(answer,),
        visual=(str(n),),
        auditory=(str(m),),
        exact=True,
    )


def capitals(rng: Random, video: bool) -> Question:
    drawn = scene(rng, objects=rng.randint(1, 3), sounds=rng.randint(2, 4), video=video)
    shapes = [obj.shape for obj in drawn.objects]
    timbres = [sound.timbre for sound in drawn.sounds]
    answer = ", ".join((*shapes, *timbres)).upper()
    return Question(
        family="capitals",
        scene=drawn,
        text=f"List the shapes in the {medium(video)} in reading order, then the sounds in the order in "
        "which you hear them, in one line of capital letters with commas.",
        answer=answer,
        full=(answer,),
        visual=tuple(dict.fromkeys(shapes)),
        auditory=(order_phrase(drawn.sounds), *dict.fromkeys(timbres)),
        exact=True,
    )


def bullets(rng: Random, video: bool) -> Question:
    drawn = scene(rng, objects=rng.randint(1, 2), sounds=rng.randint(1, 3), video=video)
    looks = [look(obj) for obj in drawn.objects]
    seen = objects_phrase(msgspec.structs.replace(drawn, video=False), size=False, where=False)
    heard = sounds_phrase(drawn.sounds)
    return Question(
        family="bullets",
        scene=drawn,
        text=f"What does the {medium(video)} show, and what do you hear? Answer in exactly two lines, each "
        "beginning with an asterisk: first what is seen, then what is heard.",
        answer=f"* {seen}\n* {heard}",
        full=(
            f"* {listed(looks)}\n* {heard}",
            f"* I see {seen}\n* I hear {heard}",
            f"* {', '.join(looks)}\n* {sounds_phrase(drawn.sounds, digits=True)}",
        ),
        visual=tuple(looks),
        auditory=(heard, *dict.fromkeys(sound.timbre for sound in drawn.sounds)),
        exact=True,
    )


def wrapped(rng: Random, video: bool) -> Question:
    drawn = scene(rng, sounds=rng.randint(2, 4), video=video)
    n, last = len(drawn.objects), drawn.sounds[-1].timbre
    answer = f"<<{n}/{last}>>"
    return Question(
        family="wrapped",
        scene=drawn,
        text=f"Between << and >>, write the number of objects in the {medium(video)} as a digit, a slash, "
        "and the name of the last sound. Write nothing else.",
        answer=answer,
        full=(answer,),
        visual=(str(n), counted(n, "object", digits=True)),
        auditory=(last,),
        exact=True,
    )


INSTRUCTIONS: tuple[Family, ...] = (pairs, capitals, bullets, wrapped)
