"""What is taught together: a scene with several questions about it, or several requests to an agent."""

from __future__ import annotations

from random import Random
from typing import Literal, get_args

import msgspec

from eval_anything.synth.question_families import About
from eval_anything.synth.scene import Scene, scene
from eval_anything_train.scenes import sources, world
from eval_anything_train.scenes.lesson import Lesson, Need
from eval_anything_train.scenes.settings import Course

Side = Literal["seen", "heard"]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation's beginning, and lessons that each go on from there by themselves."""

    system: str = ""
    scene: Scene = Scene((), ())
    shown: tuple[Side, ...] = ()
    """Which media come before the questions, in this order."""
    lead: str = ""
    """The user's words before the media."""
    lessons: tuple[Lesson, ...]


_AGENTS = (*sources.REQUESTS, "writing")
_ORDERS: tuple[tuple[tuple[Side, ...], float], ...] = (
    (("seen", "heard"), 0.66),
    (("heard", "seen"), 0.06),
    (("seen",), 0.13),
    (("heard",), 0.12),
    ((), 0.03),
)


def draw(rng: Random, course: Course) -> Row:
    """A row of this course."""
    if course.lookups:
        return _lookups(rng, course)
    kind = rng.choices(("scene", "judge", "agent"), (0.76, 0.1, 0.14))[0]
    if kind == "agent":
        name = rng.choice(_AGENTS)
        count = max(2, course.questions // 2)
        if name == "writing":
            return Row(lessons=tuple(sources.writing(rng) for _ in range(count)))
        lessons = tuple(sources.agent(name, rng) for _ in range(count))
        return Row(system=sources.agent_system(name), lessons=lessons)
    if kind == "judge":
        drawn = scene(rng, sounds=rng.randint(2, 5), video=rng.random() < 0.6)
        about: About = rng.choice(("audio", _visual(drawn)))
        shown: Side = "heard" if about == "audio" else "seen"
        lessons = tuple(sources.choice(drawn, about, rng) for _ in range(course.questions))
        return Row(system=sources.judge_system(), scene=drawn, shown=(shown,), lessons=lessons)
    return _scene(rng, course)


def _lookups(rng: Random, course: Course) -> Row:
    drawn = scene(
        rng,
        objects=rng.randint(1, course.objects),
        sounds=rng.randint(1, 5),
        video=rng.random() < course.video,
    )
    shown = _shown(rng) if course.only is None else (course.only,)
    found = [
        lesson
        for lesson in world.ask(drawn, rng, _needs(shown or ("seen",)), 2 * course.questions, course.more)
        if lesson.group != "descriptions"
    ]
    posed = [
        sources.choice(drawn, "audio" if side == "heard" else _visual(drawn), rng)
        for side in shown
        if rng.random() < 0.5
    ]
    lessons = [*posed, *found][: course.questions]
    return Row(scene=drawn, shown=shown or ("seen",), lessons=tuple(lessons))


def _scene(rng: Random, course: Course) -> Row:
    video = rng.random() < course.video
    lessons: list[Lesson] = []
    if rng.random() < 0.6:
        drawn, lesson = sources.amu(rng, video)
        shown: tuple[Side, ...] = ("seen", "heard") if rng.random() < 0.95 else ("heard", "seen")
        lessons.append(lesson)
    else:
        drawn = scene(rng, objects=rng.randint(1, course.objects), sounds=rng.randint(1, 5), video=video)
        shown = _shown(rng)
    for side in shown:
        about: About = "audio" if side == "heard" else _visual(drawn)
        lessons.append(sources.preference(drawn, about, rng))
        lessons.append(rng.choice((sources.again, sources.choice))(drawn, about, rng))
    for gone in get_args(Side):
        if gone not in shown and (gone == "seen" or drawn.sounds):
            lessons.append(sources.missing(drawn, gone, rng))
    if shown:
        count = max(1, course.questions - len(lessons))
        lessons += world.ask(drawn, rng, _needs(shown), count, course.more)
    lead = rng.choice(("##Prompt: ", "Here it is.\n")) if rng.random() < 0.1 else ""
    return Row(scene=drawn, shown=shown, lead=lead, lessons=tuple(lessons))


def _visual(drawn: Scene) -> About:
    return "video" if drawn.video else "image"


def _shown(rng: Random) -> tuple[Side, ...]:
    orders, weights = zip(*_ORDERS, strict=True)
    found: tuple[Side, ...] = rng.choices(orders, weights)[0]
    return found


def _needs(shown: tuple[Side, ...]) -> tuple[Need, ...]:
    return (*shown, "both") if len(shown) == 2 else shown
