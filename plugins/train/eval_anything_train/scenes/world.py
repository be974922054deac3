"""Questions about what is seen, what is heard, and what only both together tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random

from eval_anything.errors import UsageError
from eval_anything.suggest import unknown
from eval_anything.synth.describe import (
    ORDINALS,
    article,
    counted,
    look,
    movement,
    number,
    objects_phrase,
    order_phrase,
    place,
    plural,
    sounds_phrase,
)
from eval_anything.synth.scene import CELLS, COLOURS, SHAPES, TIMBRES, Object, Scene
from eval_anything_train.scenes.lesson import Group, Lesson, Need

Question = Callable[[Scene, Random], Lesson | None]
"""A question about a scene; None where this scene leaves nothing to ask."""
_MEDIA = {False: ("picture", "image"), True: ("video", "clip")}


def medium(scene: Scene, rng: Random) -> str:
    return rng.choice(_MEDIA[scene.video])


def _lesson(kind: str, group: Group, needs: Need, question: str, *answers: str) -> Lesson:
    return Lesson(kind=kind, group=group, turns=(question,), answers=tuple(map(_said, answers)), needs=needs)


def _said(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _yes(truth: bool, why: str, otherwise: str) -> tuple[str, ...]:
    return ("yes", f"yes, {why}") if truth else ("no", f"no, {otherwise}")


def objects(scene: Scene, rng: Random) -> Lesson:
    n, where = counted(len(scene.objects), "object"), medium(scene, rng)
    asked = (f"How many objects does the {where} show?", f"How many objects are in the {where}?")
    return _lesson("objects", "counting", "seen", rng.choice(asked), n, f"there are {n}", n.split()[0])


def sounds(scene: Scene, rng: Random) -> Lesson:
    n = counted(len(scene.sounds), "sound")
    asked = ("How many sounds can be heard?", "How many sounds do you hear?")
    return _lesson("sounds", "counting", "heard", rng.choice(asked), n, f"I hear {n}", n.split()[0])


def of_timbre(scene: Scene, rng: Random) -> Lesson:
    timbre = rng.choice((*{sound.timbre: None for sound in scene.sounds}, rng.choice(TIMBRES)))
    n = sum(sound.timbre == timbre for sound in scene.sounds)
    asked = (
        f"How many times can a {timbre} be heard?",
        f"How many {plural(timbre, 2)} are there?",
        f"How often do you hear a {timbre}?",
    )
    return _lesson(
        "times", "counting", "heard", rng.choice(asked), counted(n, timbre), f"I hear {counted(n, timbre)}"
    )


def nth(scene: Scene, rng: Random) -> Lesson:
    i = rng.randrange(len(scene.sounds))
    names = [ORDINALS[i], *(["last"] if i == len(scene.sounds) - 1 else [])]
    name, timbre = rng.choice(names), scene.sounds[i].timbre
    asked = (f"What is the {name} sound?", f"Which sound comes {name}?")
    return _lesson(
        "which sound",
        "sounds",
        "heard",
        rng.choice(asked),
        article(timbre),
        f"the {name} sound is {article(timbre)}",
    )


def pitch(scene: Scene, rng: Random) -> Lesson:
    i = rng.randrange(len(scene.sounds))
    asked = f"Is the {ORDINALS[i]} sound high or low?"
    of = scene.sounds[i].pitch
    return _lesson("pitch", "sounds", "heard", asked, of, f"it is {of}", f"the {ORDINALS[i]} sound is {of}")


def order(scene: Scene, rng: Random) -> Lesson:
    asked = ("In which order can the sounds be heard?", "Name the sounds in their order.")
    told = order_phrase(scene.sounds)
    return _lesson("order", "sounds", "heard", rng.choice(asked), told, f"the order is {told}")


def heard_at_all(scene: Scene, rng: Random) -> Lesson:
    there = sorted({sound.timbre for sound in scene.sounds})
    timbre = rng.choice(there if rng.random() < 0.5 else [t for t in TIMBRES if t not in there])
    asked = (f"Can a {timbre} be heard?", f"Is there a {timbre} in the recording?")
    answers = _yes(timbre in there, f"I hear a {timbre}", f"I hear no {timbre}")
    return _lesson("is heard", "sounds", "heard", rng.choice(asked), *answers)


def _named(obj: Object, scene: Scene, rng: Random) -> str:
    """An object by its shape, its colour or both, as far as that tells it from the others."""
    names = [look(obj)]
    if [o.shape for o in scene.objects].count(obj.shape) == 1:
        names.append(obj.shape)
    if [o.colour for o in scene.objects].count(obj.colour) == 1:
        names.append(f"{obj.colour} object")
    return rng.choice(names)


def way(scene: Scene, rng: Random) -> Lesson | None:
    if not scene.video:
        return None
    obj = rng.choice(scene.objects)
    name = _named(obj, scene, rng)
    moves = "stands still" if obj.motion == "still" else f"moves {obj.motion}"
    asked = (
        f"Which way does the {name} move?",
        f"How does the {name} move in the {medium(scene, rng)}?",
        f"What does the {name} do?",
    )
    return _lesson("way", "motion", "seen", rng.choice(asked), f"the {name} {moves}", f"it {moves}")


def mover(scene: Scene, rng: Random) -> Lesson | None:
    alone = [o for o in scene.objects if [x.motion for x in scene.objects].count(o.motion) == 1]
    if not scene.video or not alone:
        return None
    obj = rng.choice(alone)
    does = movement(obj).replace("moving", "moves").replace("standing", "stands")
    answers = (f"the {look(obj)}", f"the {look(obj)} {does}")
    return _lesson("what moves", "motion", "seen", f"Which object {does}?", *answers)


def movers(scene: Scene, rng: Random) -> Lesson | None:
    if not scene.video:
        return None
    n = number(sum(obj.motion != "still" for obj in scene.objects))
    asked = f"How many of the objects in the {medium(scene, rng)} move?"
    return _lesson("how many move", "motion", "seen", asked, n, f"{n} of them")


def equal(scene: Scene, rng: Random) -> Lesson:
    n, m = len(scene.objects), len(scene.sounds)
    seen, heard = counted(n, "object"), counted(m, "sound")
    asked = (
        "Are there as many sounds as objects?",
        "Is the number of objects the same as the number of sounds?",
    )
    word = "yes" if n == m else "no"
    return _lesson(
        "as many", "cross-modal", "both", rng.choice(asked), word, f"{word}, I see {seen} and hear {heard}"
    )


def more(scene: Scene, rng: Random) -> Lesson | None:
    n, m = len(scene.objects), len(scene.sounds)
    if n == m:
        return None
    most = "objects" if n > m else "sounds"
    asked = ("Are there more objects or more sounds?", "Of which are there more, objects or sounds?")
    return _lesson("more", "cross-modal", "both", rng.choice(asked), f"more {most}", f"there are more {most}")


def total(scene: Scene, rng: Random) -> Lesson:
    n, m = len(scene.objects), len(scene.sounds)
    asked = ("How many objects and sounds are there together?", "What do objects and sounds add up to?")
    seen, heard = counted(n, "object"), counted(m, "sound")
    return _lesson(
        "sum",
        "cross-modal",
        "both",
        rng.choice(asked),
        number(n + m),
        f"{seen} and {heard} make {number(n + m)}",
    )


def pair(scene: Scene, rng: Random) -> Lesson | None:
    objects, sounds = scene.objects, scene.sounds
    if rng.random() < 0.5:
        sound = sounds[-1].timbre
        asked = f"How many objects does the {medium(scene, rng)} show, and which sound comes last?"
        seen = counted(len(objects), "object")
        return _lesson(
            "pair", "cross-modal", "both", asked, f"{seen}, and the last sound is {article(sound)}"
        )
    if len(objects) != 1:
        return None
    asked = f"What does the {medium(scene, rng)} show, and which sound comes first?"
    told = f"{article(look(objects[0]))}, and the first sound is {article(sounds[0].timbre)}"
    return _lesson("pair", "cross-modal", "both", asked, told)


def _only(scene: Scene, attribute: str, rng: Random) -> Object | None:
    """An object that has its shape or colour alone."""
    held = [getattr(obj, attribute) for obj in scene.objects]
    alone = [obj for obj in scene.objects if held.count(getattr(obj, attribute)) == 1]
    return rng.choice(alone) if alone else None


def colour(scene: Scene, rng: Random) -> Lesson | None:
    if (obj := _only(scene, "shape", rng)) is None:
        return None
    asked = (
        f"What colour is the {obj.shape}?",
        f"What color is the {obj.shape} in the {medium(scene, rng)}?",
        f"Which colour does the {obj.shape} have?",
    )
    told = (obj.colour, f"it is {obj.colour}", f"the {obj.shape} is {obj.colour}")
    return _lesson("colour", "attributes", "seen", rng.choice(asked), *told)


def shape(scene: Scene, rng: Random) -> Lesson | None:
    if (obj := _only(scene, "colour", rng)) is None:
        return None
    asked = (f"What shape is the {obj.colour} object?", f"Which shape does the {obj.colour} object have?")
    told = (
        article(obj.shape),
        f"it is {article(obj.shape)}",
        f"the {obj.colour} object is {article(obj.shape)}",
    )
    return _lesson("shape", "attributes", "seen", rng.choice(asked), *told)


def size(scene: Scene, rng: Random) -> Lesson:
    obj = rng.choice(scene.objects)
    name = _named(obj, scene, rng)
    asked = (f"Is the {name} small or large?", f"How large is the {name}?", f"What size is the {name}?")
    told = (obj.size, f"it is {obj.size}", f"the {name} is {obj.size}")
    return _lesson("size", "attributes", "seen", rng.choice(asked), *told)


def there(scene: Scene, rng: Random) -> Lesson:
    """Half of the questions about what is not there ask for something that differs in one thing."""
    looks = {(obj.colour, obj.shape) for obj in scene.objects}
    asked = rng.choice(sorted(looks))
    if rng.random() < 0.5:
        near = [(c, asked[1]) for c in COLOURS] + [(asked[0], s) for s in SHAPES]
        pool = near if rng.random() < 0.5 else [(c, s) for c in COLOURS for s in SHAPES]
        asked = rng.choice([one for one in pool if one not in looks])
    thing, where = article(" ".join(asked)), medium(scene, rng)
    answers = _yes(asked in looks, f"there is {thing}", f"there is no {' '.join(asked)}")
    questions = (f"Is there {thing} in the {where}?", f"Can you see {thing}?")
    return _lesson("existence", "attributes", "seen", rng.choice(questions), *answers)


def where(scene: Scene, rng: Random) -> Lesson:
    obj = rng.choice(scene.objects)
    name = _named(obj, scene, rng)
    asked = (f"Where is the {name}?", f"Where in the {medium(scene, rng)} is the {name}?")
    told = (f"the {name} is {place(obj)}", f"it is {place(obj)}", CELLS[obj.cell])
    return _lesson("where", "places", "seen", rng.choice(asked), *told)


def what_at(scene: Scene, rng: Random) -> Lesson:
    obj, name = rng.choice(scene.objects), medium(scene, rng)
    asked = (f"What is in the {CELLS[obj.cell]}?", f"What is in the {CELLS[obj.cell]} of the {name}?")
    told = (article(look(obj)), f"{place(obj)} there is {article(look(obj))}")
    return _lesson("what is there", "places", "seen", rng.choice(asked), *told)


def seen_whole(scene: Scene, rng: Random) -> Lesson:
    name = medium(scene, rng)
    asked = (f"Describe the {name}.", f"What can be seen in the {name}?", f"What does the {name} show?")
    whole, n = objects_phrase(scene), len(scene.objects)
    is_are = "is" if n == 1 else "are"
    own = "video" if scene.video else "picture"
    told = (
        f"the {own} shows {whole}",
        f"I can see {whole}",
        f"there {is_are} {counted(n, 'object')} in the {own}: {whole}",
        f"in the {own} I see {whole}",
    )
    return _lesson("what is seen", "descriptions", "seen", rng.choice(asked), *told)


def heard_whole(scene: Scene, rng: Random) -> Lesson:
    asked = ("Describe the recording.", "What can be heard in the recording?", "Which sounds are there?")
    whole, n = sounds_phrase(scene.sounds), len(scene.sounds)
    is_are = "is" if n == 1 else "are"
    told = (
        f"I hear {whole}",
        f"the recording has {whole}",
        f"there {is_are} {counted(n, 'sound')} in the recording: {whole}",
        f"what can be heard is {sounds_phrase(scene.sounds, then='followed by')}",
    )
    return _lesson("what is heard", "descriptions", "heard", rng.choice(asked), *told)


def both_whole(scene: Scene, rng: Random) -> Lesson:
    name = medium(scene, rng)
    asked = (f"Describe the {name} and the recording.", "What can you see and hear?")
    whole, heard = objects_phrase(scene), sounds_phrase(scene.sounds)
    told = (f"I see {whole}, and I hear {heard}", f"there is {whole}, and the recording has {heard}")
    return _lesson("all", "descriptions", "both", rng.choice(asked), *told)


QUESTIONS: tuple[tuple[Question, float], ...] = (
    *((objects, 0.5), (sounds, 0.5), (of_timbre, 2.0)),
    *((nth, 1.0), (pitch, 0.8), (order, 0.7), (heard_at_all, 1.5)),
    *((way, 1.5), (mover, 2.0), (movers, 1.5)),
    *((equal, 0.5), (more, 0.5), (total, 0.7), (pair, 0.7)),
    *((colour, 2.5), (shape, 0.8), (size, 1.0), (there, 1.2)),
    *((where, 2.0), (what_at, 3.0)),
    *((seen_whole, 2.0), (heard_whole, 1.0), (both_whole, 1.5)),
)
"""With how often each is asked, relative to the others: what is looked up by shape, by sound or by place is
learnt later than what is looked up by colour, and asked more often."""


def weights(more: Mapping[str, float]) -> list[float]:
    """How often each of QUESTIONS is asked, those named in `more` so many times as often as usual.

    Raises UsageError for a name that no question has.
    """
    names = [question.__name__ for question, _ in QUESTIONS]
    for name in more:
        if name not in names:
            raise UsageError(unknown("question", name, names))
    return [usual * more.get(question.__name__, 1) for question, usual in QUESTIONS]


def ask(
    scene: Scene, rng: Random, needs: Sequence[Need], count: int, more: Mapping[str, float] | None = None
) -> list[Lesson]:
    """`count` questions that need no more than `needs`; `more` as for `weights`."""
    found: list[Lesson] = []
    questions = [question for question, _ in QUESTIONS]
    often = weights(more or {})
    while len(found) < count:
        lesson = rng.choices(questions, often)[0](scene, rng)
        if lesson is not None and lesson.needs in needs:
            found.append(lesson)
    return found
