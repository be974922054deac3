"""The examination paper: held-out questions about real files, from seeds that no training has."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import get_args

import msgspec

from eval_anything.synth import audio, image
from eval_anything.synth.question_families import About
from eval_anything.synth.scene import MAX_OBJECTS, Scene, scene
from eval_anything.tasks.amu.twin_instructions import INSTRUCTIONS
from eval_anything.tasks.amu.twin_perception import PERCEPTION_VIDEO, motion_and_first
from eval_anything.tasks.amu.twin_question import Family
from eval_anything.tasks.amu.twin_reasoning import REASONING
from eval_anything.values import File, Message, Part, Sample, Text
from eval_anything_train.scenes import sources, world
from eval_anything_train.scenes.lesson import Lesson
from eval_anything_train.scenes.rows import Row, Side

_Draw = Callable[[Random, int], Row | None]
"""A row with one lesson; the number says how many objects there are to be, from 0."""
_FILES: dict[About, tuple[Callable[[Scene], bytes], str]] = {
    "image": (image.png, "png"),
    "video": (image.mp4, "mp4"),
    "audio": (audio.wav, "wav"),
}
_MANY = 10_000
"""Draws until a scene is found that leaves something to ask."""


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One question with what is to be known of it."""

    sample: Sample
    lesson: Lesson
    objects: int
    """Of the scene; 0 where nothing is shown."""


def paper(folder: Path, per_kind: int, seed: str) -> list[Item]:
    """`per_kind` questions of each kind. Their media are written to `folder`, if they are not there."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for name, draw in _kinds():
        for number in range(per_kind):
            row = _row(draw, Random(f"exam {seed} {name} {number}"), number)
            found.append(_item(f"{name}-{number:04d}".replace(" ", "-"), row, folder))
    return found


def _row(draw: _Draw, rng: Random, number: int) -> Row:
    for _ in range(_MANY):
        if (row := draw(rng, number)) is not None:
            return row
    raise AssertionError("no scene leaves anything to ask")


def _kinds() -> Iterator[tuple[str, _Draw]]:
    for question, _ in world.QUESTIONS:
        yield question.__name__, functools.partial(_about, question)
    for family in dict.fromkeys((*PERCEPTION_VIDEO, *REASONING, *INSTRUCTIONS)):
        yield f"amu {family.__name__}", functools.partial(_of_amu, family)
    for danger in (True, False):
        yield f"amu {'danger' if danger else 'no danger'}", functools.partial(_of_safety, danger)
    for about in get_args(About):
        yield f"choice {about}", functools.partial(_choice, about)
    for name in sources.REQUESTS:
        yield f"agent {name}", functools.partial(_agent, name)
    for gone in get_args(Side):
        yield f"missing {gone}", functools.partial(_missing, gone)


def _about(question: world.Question, rng: Random, number: int) -> Row | None:
    moving = question in (world.way, world.mover, world.movers)
    drawn = scene(
        rng,
        objects=number % MAX_OBJECTS + 1,
        sounds=rng.randint(1, 5),
        video=moving or rng.random() < 0.4,
    )
    lesson = question(drawn, rng)
    return None if lesson is None else _both(drawn, lesson)


def _of_amu(family: Family, rng: Random, _: int) -> Row:
    video = family is motion_and_first or rng.random() < 1 / 3
    return _both(*sources.lesson(family(rng, video)))


def _of_safety(danger: bool, rng: Random, _: int) -> Row:
    return _both(*sources.safe(rng, danger=danger))


def _both(drawn: Scene, lesson: Lesson) -> Row:
    return Row(scene=drawn, shown=("seen", "heard"), lessons=(lesson,))


def _choice(about: About, rng: Random, _: int) -> Row:
    drawn = scene(rng, sounds=rng.randint(2, 5), video=about == "video")
    shown: Side = "heard" if about == "audio" else "seen"
    lesson = sources.choice(drawn, about, rng)
    return Row(system=sources.judge_system(), scene=drawn, shown=(shown,), lessons=(lesson,))


def _agent(name: str, rng: Random, _: int) -> Row:
    return Row(system=sources.agent_system(name), lessons=(sources.agent(name, rng),))


def _missing(gone: Side, rng: Random, _: int) -> Row:
    drawn = scene(rng, video=rng.random() < 0.4)
    shown: Side = "heard" if gone == "seen" else "seen"
    return Row(scene=drawn, shown=(shown,), lessons=(sources.missing(drawn, gone, rng),))


def _item(id: str, row: Row, folder: Path) -> Item:
    (lesson,) = row.lessons
    parts: list[Part] = [_file(id, row.scene, side, folder) for side in row.shown]
    messages = [Message("user", (*parts, Text(lesson.turns[0])))]
    if row.system:
        messages.insert(0, Message("system", (Text(row.system),)))
    sample = Sample(id=id, messages=tuple(messages), group=lesson.group)
    return Item(sample=sample, lesson=lesson, objects=len(row.scene.objects) if "seen" in row.shown else 0)


def _file(id: str, drawn: Scene, side: Side, folder: Path) -> File:
    kind: About = "audio" if side == "heard" else "video" if drawn.video else "image"
    write, suffix = _FILES[kind]
    path = folder / f"{id}.{suffix}"
    if not path.is_file():
        partial = path.with_suffix(".partial")
        partial.write_bytes(write(drawn))
        partial.replace(path)
    return File(str(path), kind)
