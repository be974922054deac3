"""The synthetic twin of Video-ChatGPT: the project's three lists and its videos, made from known scenes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from eval_anything.errors import UsageError
from eval_anything.synth import describe, image
from eval_anything.synth.home import write_whole
from eval_anything.synth.scene import Object, Scene, draw_objects
from eval_anything.tasks.video_chatgpt.data import PARTS, TRUTH, VIDEO_FOLDERS, Part

SIZE = 120
"""Items by default: 20 videos. The benchmark has 2,994 about 500."""
TURNS: tuple[Part, ...] = ("generic", "temporal", "consistency", "generic", "generic", "generic")
"""What each video is asked, in this order: the benchmark's shares, four to one to one."""


class Truth(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of one item; one value of `truth.json`."""

    scene: Scene
    answers: tuple[str, ...]
    """A right answer to each question, in other words than the reference's."""


class _Asked(msgspec.Struct, frozen=True):
    """One item: what is asked, the reference, and right answers in other words."""

    questions: tuple[str, ...]
    reference: str
    answers: tuple[str, ...]


def write_twin(out: Path, n: int | None, seed: int) -> None:
    """Write a twin of `n` items (default SIZE) to `out`, with the truth behind them.

    Same n and seed, same bytes (of the videos: with one build of the encoder). Raises UsageError for n < 3
    (each of the three lists needs an item), DataError where `out` holds something else, StorageError where it
    cannot be written.
    """
    size = SIZE if n is None else n
    if size < len(PARTS):
        raise UsageError(f"a twin of video_chatgpt needs at least {len(PARTS)} items, not {size}")
    names = [f"{part}_qa.json" for part in PARTS]
    write_whole(out, lambda folder: _write(folder, size, seed), (*names, TRUTH))


def read_truth(folder: Path) -> dict[str, Truth]:
    """What `truth.json` of a twin says, by the item's id."""
    return msgspec.json.decode((folder / TRUTH).read_bytes(), type=dict[str, Truth])


def _write(folder: Path, size: int, seed: int) -> None:
    (folder / VIDEO_FOLDERS[0]).mkdir()
    rows: dict[Part, list[dict[str, Any]]] = {part: [] for part in PARTS}
    truths: dict[str, Truth] = {}
    for first in range(0, size, len(TURNS)):
        name = f"v_twin{first // len(TURNS) + 1:04d}"
        rng = Random(f"video {seed} {name}")
        scene = _scene(rng)
        (folder / VIDEO_FOLDERS[0] / f"{name}.mp4").write_bytes(image.mp4(scene))
        generic = iter(rng.sample(_GENERIC, len(_GENERIC)))
        for part in TURNS[: size - first]:
            asked = (next(generic) if part == "generic" else _OTHERS[part])(scene, rng)
            number = sum(row["video_name"] == name for row in rows[part])
            rows[part].append(_row(name, asked))
            truths[f"{part}/{name}_{number}"] = Truth(scene=scene, answers=asked.answers)
    for part in PARTS:
        _save(folder / f"{part}_qa.json", rows[part])
    _save(folder / TRUTH, truths)


def _save(path: Path, content: object) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=1))


def _row(name: str, asked: _Asked) -> dict[str, Any]:
    if len(asked.questions) == 1:
        return {"video_name": name, "Q": asked.questions[0], "A": asked.reference}
    first, second = asked.questions
    return {"video_name": name, "Q1": first, "Q2": second, "A": asked.reference}


def _scene(rng: Random) -> Scene:
    """Two or three objects, at least one of which moves."""
    while True:
        objects = draw_objects(rng, rng.randint(2, 3), video=True)
        if any(obj.motion != "still" for obj in objects):
            return Scene(objects=objects, sounds=(), video=True)


def _whole(scene: Scene, rng: Random) -> _Asked:
    shown = describe.objects_phrase(scene)
    question = rng.choice(("What does the video show?", "Please describe the video in detail."))
    return _Asked((question,), describe.seen(scene, rng), (f"What one sees is {shown}.",))


def _count(scene: Scene, rng: Random) -> _Asked:
    n = len(scene.objects)
    looks = describe.listed([describe.article(describe.look(obj)) for obj in scene.objects])
    return _Asked(
        ("How many objects are in the video, and what are they?",),
        f"There are {describe.counted(n, 'object')} in the video: {looks}.",
        (f"I can count {describe.counted(n, 'object')}, which are {looks}.",),
    )


def _place(scene: Scene, rng: Random) -> _Asked:
    obj = rng.choice(scene.objects)
    look, place = describe.look(obj), describe.place(obj)
    return _Asked(
        (f"Where in the video is the {look}?",),
        f"The {look} is {place} of the video.",
        (f"One finds the {look} {place}.",),
    )


def _details(scene: Scene, rng: Random) -> _Asked:
    obj = rng.choice(scene.objects)
    look = describe.look(obj)
    return _Asked(
        (f"What can you say about the {look}?",),
        f"The {look} is {obj.size} and lies {describe.place(obj)}; it is {describe.movement(obj)}.",
        (f"It is a {obj.size} {look} {describe.place(obj)}, {describe.movement(obj)}.",),
    )


def _course(scene: Scene, rng: Random) -> _Asked:
    events = [f"the {describe.look(obj)} {_does(obj)}" for obj in scene.objects]
    return _Asked(
        ("What happens to each object from the beginning of the video to its end?",),
        describe.listed(events).capitalize() + ".",
        (f"In the course of the video {'; '.join(events)}.",),
    )


def _direction(scene: Scene, rng: Random) -> _Asked:
    obj = rng.choice(scene.objects)
    look = describe.look(obj)
    return _Asked(
        (f"Which way does the {look} move?", f"In what direction, if any, does the {look} go?"),
        f"The {look} {_does(obj)}.",
        (f"I see that the {look} {_does(obj)}.", f"The {look} {_does(obj)}, as one can see."),
    )


def _does(obj: Object) -> str:
    return "stands still" if obj.motion == "still" else f"moves {obj.motion}"


_GENERIC: tuple[Callable[[Scene, Random], _Asked], ...] = (_whole, _count, _place, _details)
_OTHERS: dict[Part, Callable[[Scene, Random], _Asked]] = {"temporal": _course, "consistency": _direction}
