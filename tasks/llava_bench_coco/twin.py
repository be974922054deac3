"""The synthetic twin of LLaVA-Bench (COCO): the original's files, about pictures whose truth is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import msgspec

from eval_anything.errors import UsageError
from eval_anything.synth import image
from eval_anything.synth.describe import counted, listed, look, number, objects_phrase, place, seen
from eval_anything.synth.home import write_whole
from eval_anything.synth.scene import Object, Scene, draw_objects
from eval_anything.tasks.llava_bench_coco.data import (
    ANSWERS,
    CATEGORIES,
    CONTEXT,
    IMAGES,
    PREFIX,
    PUBLISHED,
    QUESTIONS,
)

TRUTH = "truth.json"
_DETAIL = (
    "Describe the following image.",
    "Write a detailed description of the given image.",
    "Can you describe the main features of this image for me?",
)


class Asked(NamedTuple):
    """A question, the reference's answer, and a right answer in other words."""

    question: str
    reference: str
    right: str


def write_twin(out: Path, n: int | None, seed: int) -> None:
    """Write a twin of `n` questions (default PUBLISHED), three to a picture, and the right answers in
    truth.json: {question_id: answer}.

    Same n and seed, same bytes (of the pictures: with one version of Pillow). Raises UsageError for n < 1,
    DataError where `out` holds something else, StorageError where it cannot be written.
    """
    size = PUBLISHED if n is None else n
    if size < 1:
        raise UsageError(f"a synthetic twin needs at least 1 item, not {size}")
    write_whole(out, lambda folder: _write(folder, size, seed), (QUESTIONS, ANSWERS, CONTEXT))


def read_truth(folder: Path) -> dict[str, str]:
    """A right answer to each question of a twin, in words that the reference need not share."""
    return msgspec.json.decode((folder / TRUTH).read_bytes(), type=dict[str, str])


def _write(folder: Path, size: int, seed: int) -> None:
    (folder / IMAGES).mkdir()
    questions: list[dict[str, Any]] = []
    answers: list[dict[str, Any]] = []
    contexts: list[dict[str, Any]] = []
    truth: dict[str, str] = {}
    for key in range(size):
        category = CATEGORIES[key % len(CATEGORIES)]
        name = f"{key // len(CATEGORIES) + 1:012d}.jpg"
        scene = _scene(Random(f"scene {seed} {name}"))
        if key % len(CATEGORIES) == 0:
            contexts.append(_context(name, scene, Random(f"captions {seed} {name}")))
            (folder / IMAGES / f"{PREFIX}{name}").write_bytes(image.jpeg(scene))
        asked = _ask(category, scene, Random(f"question {seed} {key}"))
        questions.append({"question_id": key, "image": name, "text": asked.question, "category": category})
        answers.append({"question_id": key, "text": asked.reference, "category": category})
        truth[str(key)] = asked.right
    for file, rows in ((QUESTIONS, questions), (ANSWERS, answers), (CONTEXT, contexts)):
        (folder / file).write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
    (folder / TRUTH).write_bytes(msgspec.json.format(msgspec.json.encode(truth), indent=1))


def _scene(rng: Random) -> Scene:
    return Scene(draw_objects(rng, rng.randint(2, 4)), ())


def _context(name: str, scene: Scene, rng: Random) -> dict[str, Any]:
    captions = [
        seen(scene, rng),
        f"A dark picture with {counted(len(scene.objects), 'object')}.",
        f"Shapes on a dark ground: {listed([look(obj) for obj in scene.objects])}.",
        f"There is {objects_phrase(scene, size=False)}.",
        seen(scene, rng),
    ]
    instances = [{"category": look(obj), "bbox": _box(obj)} for obj in scene.objects]
    return {"id": name.partition(".")[0], "image": name, "captions": captions, "instances": instances}


def _box(obj: Object) -> list[float]:
    """Left, top, right and bottom edge, as fractions of the picture's."""
    x, y = image.centre(obj)
    r = image.RADIUS[obj.size]
    return [round(edge / image.EDGE, 3) for edge in (x - r, y - r, x + r, y + r)]


def _ask(category: str, scene: Scene, rng: Random) -> Asked:
    if category == "detail":
        return Asked(rng.choice(_DETAIL), seen(scene, rng), seen(scene, rng))
    if category == "complex":
        return _without(scene.objects, rng)
    return rng.choice((_count, _colour, _where))(scene.objects, rng)


def _count(objects: Sequence[Object], rng: Random) -> Asked:
    del rng
    n = len(objects)
    return Asked(
        "How many objects are there in the image?",
        f"There are {counted(n, 'object')} in the image.",
        f"I count {counted(n, 'object')} in it.",
    )


def _colour(objects: Sequence[Object], rng: Random) -> Asked:
    shapes = Counter(obj.shape for obj in objects)
    alone = [obj for obj in objects if shapes[obj.shape] == 1]
    if not alone:
        return _count(objects, rng)
    obj = rng.choice(alone)
    return Asked(
        f"What color is the {obj.shape} in the image?",
        f"The {obj.shape} in the image is {obj.colour}.",
        f"It is a {obj.colour} {obj.shape}.",
    )


def _where(objects: Sequence[Object], rng: Random) -> Asked:
    obj = rng.choice(objects)
    return Asked(
        f"Where in the image is the {look(obj)}?",
        f"The {look(obj)} is {place(obj)} of the image.",
        f"The {look(obj)} can be found {place(obj)}.",
    )


def _without(objects: Sequence[Object], rng: Random) -> Asked:
    """What would be left: nothing that the picture shows as it is."""
    gone = rng.choice(objects)
    left = [obj for obj in objects if obj is not gone]
    rest = listed([f"the {look(obj)} {place(obj)}" for obj in left])
    n = len(left)
    return Asked(
        f"If the {look(gone)} were taken away, what would be left in the image?",
        f"{counted(n, 'object').capitalize()} would be left without the {look(gone)}: {rest}.",
        f"Without the {look(gone)} there would be {number(n)} left, {rest}.",
    )
