"""The examination paper: held-out questions about real files, drawn from seeds that no stage of training has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import msgspec

from eval_anything.synth import audio, image
from eval_anything.synth.scene import MAX_OBJECTS, Scene, scene
from eval_anything.tasks.amu.twin_instructions import INSTRUCTIONS
from eval_anything.tasks.amu.twin_perception import PERCEPTION_VIDEO
from eval_anything.tasks.amu.twin_reasoning import REASONING
from eval_anything.values import File, Message, Part, Sample, Text
from eval_anything_train.scenes import sources, world
from eval_anything_train.scenes.lesson import Lesson
from eval_anything_train.scenes.rows import Row, Side

_Draw = Callable[[Random, int], Row | None]
"""A row with one lesson; the number says how many objects there are to be, from 0."""
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
        yield question.__name__, lambda rng, number, question=question: _about(question, rng, number)
    for family in dict.fromkeys((*PERCEPTION_VIDEO, *REASONING, *INSTRUCTIONS)):
        moving = family.__name__ == "motion_and_first"
        yield (
            f"amu {family.__name__}",
            lambda rng, _, family=family, moving=moving: _both(
                *sources.lesson(family(rng, moving or rng.random() < 1 / 3))
            ),
        )
    for danger in (True, False):
        yield f"amu danger {danger}", lambda rng, _, danger=danger: _both(*sources.safe(rng, danger=danger))
    for about in ("image", "video", "audio"):
        yield f"choice {about}", lambda rng, _, about=about: _choice(about, rng)
    for name in sources.REQUESTS:
        yield (
            f"agent {name}",
            lambda rng, _, name=name: Row(
                system=sources.agent_system(name), lessons=(sources.agent(name, rng),)
            ),
        )
    for gone in ("seen", "heard"):
        yield f"missing {gone}", lambda rng, _, gone=gone: _missing(gone, rng)


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


def _both(drawn: Scene, lesson: Lesson) -> Row:
    return Row(scene=drawn, shown=("seen", "heard"), lessons=(lesson,))


def _choice(about: str, rng: Random) -> Row:
    drawn = scene(rng, sounds=rng.randint(2, 5), video=about == "video")
    shown: Side = "heard" if about == "audio" else "seen"
    lesson = sources.choice(drawn, about, rng)  # type: ignore[arg-type]
    return Row(system=sources.judge_system(), scene=drawn, shown=(shown,), lessons=(lesson,))


def _missing(gone: str, rng: Random) -> Row:
    drawn = scene(rng, video=rng.random() < 0.4)
    shown: Side = "heard" if gone == "seen" else "seen"
    return Row(scene=drawn, shown=(shown,), lessons=(sources.missing(drawn, gone, rng),))  # type: ignore[arg-type]


def _item(id: str, row: Row, folder: Path) -> Item:
    (lesson,) = row.lessons
    parts: list[Part] = [_file(id, row.scene, side, folder) for side in row.shown]
    messages = [Message("user", (*parts, Text(lesson.turns[0])))]
    if row.system:
        messages.insert(0, Message("system", (Text(row.system),)))
    sample = Sample(id=id, messages=tuple(messages), group=lesson.group)
    return Item(sample=sample, lesson=lesson, objects=len(row.scene.objects) if "seen" in row.shown else 0)


def _file(id: str, drawn: Scene, side: Side, folder: Path) -> File:
    if side == "heard":
        path, content, kind = folder / f"{id}.wav", audio.wav, "audio"
    elif drawn.video:
        path, content, kind = folder / f"{id}.mp4", image.mp4, "video"
    else:
        path, content, kind = folder / f"{id}.png", image.png, "image"
    if not path.is_file():
        path.write_bytes(content(drawn))
    return File(str(path), kind)  # type: ignore[arg-type]
