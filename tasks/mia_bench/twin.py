"""The synthetic twin of MIA-Bench: the original's list of rows, about pictures whose truth is known.

Every component is one of a few demands about a scene, each with several sentences that fulfil it; a row's
references and its right answer are made of one sentence for each component.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import msgspec

from eval_anything.errors import UsageError
from eval_anything.synth import image
from eval_anything.synth.describe import article, counted, look, number, objects_phrase, place
from eval_anything.synth.home import write_whole
from eval_anything.synth.scene import Object, Scene, draw_objects
from eval_anything.tasks.mia_bench.data import IMAGES, KINDS, PUBLISHED, ROWS, TRUTH, Kind, Truth
from eval_anything.values import Reference

SITE = "http://images.example.org/val2017"
_NAMED = 5
"""One row of so many has an `image_name`, as in the benchmark."""
_REFERENCES = 3
_WEIGHTS = {1: (10,), 2: (6, 4), 3: (4, 3, 3), 4: (4, 2, 2, 2)}
_LIGHT = (4, 4)
"""In the benchmark, too, the weights of two rows sum to 8."""
_LIGHT_ROWS, _TWICE_ROW = (3, 7), 4
"""The rows with _LIGHT weights, and one with two components of one kind."""


class Demand(NamedTuple):
    """One component: what is demanded, and sentences that do it."""

    text: str
    sentences: Sequence[str]


class Row(NamedTuple):
    scene: Scene
    kinds: Sequence[Kind]
    demands: Sequence[Demand]
    weights: Sequence[int]


def write_twin(out: Path, n: int | None, seed: int) -> None:
    """Write a twin of `n` rows (default PUBLISHED) with their pictures to `out`, and what is known of each
    row in truth.json.

    Same n and seed, same bytes (of the pictures: with one version of Pillow). Raises UsageError for n < 1,
    DataError where `out` holds something else, StorageError where it cannot be written.
    """
    size = PUBLISHED if n is None else n
    if size < 1:
        raise UsageError(f"a synthetic twin needs at least 1 item, not {size}")
    write_whole(out, lambda folder: _write(folder, size, seed), (ROWS, TRUTH))


def _write(folder: Path, size: int, seed: int) -> None:
    (folder / IMAGES).mkdir()
    rows, truths = [], []
    for key in range(size):
        row = _row(key, Random(f"row {seed} {key}"))
        record = _record(key, row)
        rows.append(record)
        truths.append(_truth(row, Random(f"answers {seed} {key}")))
        name = record.get("image_name") or record["image"].rpartition("/")[2]
        (folder / IMAGES / name).write_bytes(image.jpeg(row.scene))
    (folder / ROWS).write_bytes(msgspec.json.encode(rows))
    (folder / TRUTH).write_bytes(msgspec.json.format(msgspec.json.encode(truths), indent=1))


def _record(key: int, row: Row) -> dict[str, Any]:
    record = {
        "image": f"{SITE}/{key + 1:012d}.jpg",
        "instruction": f"{', '.join(demand.text for demand in row.demands)}.".capitalize(),
        "type": ("basic", "intermediate", "advanced", "complex")[len(row.demands) - 1],
        "num_of_component": len(row.demands),
        "components": [demand.text for demand in row.demands],
        "component_weight": list(row.weights),
        "component_type": list(row.kinds),
    }
    return record if key % _NAMED else {**record, "image_name": f"picture-{key + 1}.jpg"}


def _row(key: int, rng: Random) -> Row:
    scene = Scene(draw_objects(rng, rng.randint(2, 4)), ())
    others = [kind for kind in KINDS if kind != "describe"]
    kinds: list[Kind] = ["describe", *rng.sample(others, rng.randint(1, 3))]
    if key in _LIGHT_ROWS:
        kinds = kinds[:2]
    if key == _TWICE_ROW:
        kinds = ["describe", "mention", "mention"]
    demands: list[Demand] = []
    for kind in kinds:
        fresh = [demand for demand in _DEMANDS[kind](scene.objects) if demand not in demands]
        demands.append(rng.choice(fresh))
    weights = _LIGHT if key in _LIGHT_ROWS else _WEIGHTS[len(kinds)]
    return Row(scene, kinds, demands, weights)


def _truth(row: Row, rng: Random) -> Truth:
    keywords = {"visual": tuple(look(obj) for obj in row.scene.objects)}
    answers = [
        " ".join(rng.choice(demand.sentences) for demand in row.demands) for _ in range(_REFERENCES + 1)
    ]
    references = tuple(Reference(text=answer, keywords=keywords) for answer in answers[1:])
    return Truth(answer=answers[0], references=references)


def _describe(objects: Sequence[Object]) -> list[Demand]:
    whole = objects_phrase(Scene(tuple(objects), ()))
    return [
        Demand(
            "describe the picture",
            (f"The picture shows {whole}.", f"I can see {whole}.", f"There is {whole} in the picture."),
        )
    ]


def _mention(objects: Sequence[Object]) -> list[Demand]:
    first, last = objects[0], objects[-1]
    return [
        Demand(
            "mention where the first object stands",
            (
                f"The {look(first)} stands {place(first)}.",
                f"It is {place(first)} that the {look(first)} stands.",
            ),
        ),
        Demand(
            "mention how large the last object is",
            (f"The {look(last)} is {last.size}.", f"In size the {look(last)} is {last.size}."),
        ),
    ]


def _length_limit(objects: Sequence[Object]) -> list[Demand]:
    n = len(objects)
    return [
        Demand(
            "say in three words how many objects there are",
            (f"{counted(n, 'object').capitalize()} altogether.", f"Just {counted(n, 'object')}."),
        )
    ]


def _linguistics(objects: Sequence[Object]) -> list[Demand]:
    obj = objects[0]
    return [
        Demand(
            "use one simile",
            (
                f"The {obj.shape} is like {article(obj.colour)} lamp.",
                f"Like {article(obj.colour)} lamp shines the {obj.shape}.",
            ),
        )
    ]


def _grammar(objects: Sequence[Object]) -> list[Demand]:
    obj = objects[0]
    return [
        Demand(
            "ask one question",
            (f"Who put the {look(obj)} there?", f"Who has put the {look(obj)} there?"),
        )
    ]


def _textual(objects: Sequence[Object]) -> list[Demand]:
    obj = objects[-1]
    return [
        Demand(
            "spell the colour of the last object in capital letters",
            (f"The {obj.shape} is {obj.colour.upper()}.", f"{obj.colour.upper()} is the {obj.shape}."),
        )
    ]


def _math(objects: Sequence[Object]) -> list[Demand]:
    n = len(objects)
    return [
        Demand(
            "say how many objects there would be if each were there twice",
            (f"Twice as many would be {number(2 * n)}.", f"Each of them twice makes {number(2 * n)}."),
        )
    ]


def _perspective(objects: Sequence[Object]) -> list[Demand]:
    obj = objects[0]
    return [
        Demand(
            "let the first object speak for itself",
            (f'"I am {article(look(obj))}," it says.', f'It says: "I am {article(look(obj))}."'),
        )
    ]


_DEMANDS: Mapping[Kind, Callable[[Sequence[Object]], list[Demand]]] = {
    "describe": _describe,
    "mention": _mention,
    "length_limit": _length_limit,
    "linguistics": _linguistics,
    "grammar": _grammar,
    "textual": _textual,
    "math": _math,
    "perspective": _perspective,
}
