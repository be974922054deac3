"""The synthetic twin of InterleavedBench: its record file and zipped pictures, made from known scenes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from eval_anything.errors import UsageError
from eval_anything.media.zipped import write_zip
from eval_anything.synth import describe, image
from eval_anything.synth.home import write_whole
from eval_anything.synth.scene import COLOURS, GRID, Object, Scene, draw_objects
from eval_anything.tasks.interleaved_bench.data import BEGIN, FILE, IMAGE, TRUTH, ZIPS

SIZE = 815
"""Records by default: as many as the benchmark has."""
_DRAWS = 50
"""After so many prompts that were there already, one of them is taken again."""


class Truth(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of one record; one value of `truth.json`."""

    text: str
    """A right text, in other words than the record's; empty where pictures alone are asked for."""
    scenes: tuple[Scene, ...]
    """The pictures that are to be made, in order."""


class _Document(msgspec.Struct, frozen=True):
    """One record: what is asked, and how it goes on."""

    folder: str
    asked: str
    context: Sequence[Scene]
    """Pictures of the prompt."""
    answer: str
    """As people wrote it; `<image>` stands for each of `truth.scenes`."""
    truth: Truth


_Kind = Callable[[Random], _Document]


def write_twin(out: Path, n: int | None, seed: int) -> None:
    """Write a twin of `n` records (default SIZE) to `out`, with the truth behind them.

    Use cases take turns. Same n and seed, same bytes. Raises UsageError for n < 1, DataError where `out`
    holds something else, StorageError where it cannot be written.
    """
    size = SIZE if n is None else n
    if size < 1:
        raise UsageError(f"a synthetic twin needs at least 1 item, not {size}")
    write_whole(out, lambda folder: _write(folder, size, seed), (FILE, TRUTH))


def read_truth(folder: Path) -> dict[str, Truth]:
    """What `truth.json` of a twin says, by the record's id."""
    return msgspec.json.decode((folder / TRUTH).read_bytes(), type=dict[str, Truth])


def _write(folder: Path, size: int, seed: int) -> None:
    held, truths = [], {}
    pictures: defaultdict[str, list[tuple[str, bytes]]] = defaultdict(list)
    for number, (use_case, document) in enumerate(_documents(size, Random(f"documents {seed}"))):
        key = f"{use_case}_{number}"
        scenes = [*document.context, *document.truth.scenes]
        paths = [f"{document.folder}/{number}_{place}.png" for place in range(len(scenes))]
        pictures[document.folder] += [
            (path, image.png(scene)) for path, scene in zip(paths, scenes, strict=True)
        ]
        held.append(_record(key, use_case, document, paths))
        truths[key] = document.truth
    (folder / FILE).write_bytes(msgspec.json.format(msgspec.json.encode(held), indent=1))
    (folder / TRUTH).write_bytes(msgspec.json.format(msgspec.json.encode(truths), indent=1))
    for name, files in pictures.items():
        write_zip(folder / ZIPS / f"{name}.zip", files)


def _documents(size: int, rng: Random) -> Iterator[tuple[str, _Document]]:
    """Use cases in turn; no two prompts are the same, as long as there are others."""
    names = list(_KINDS)
    asked: set[str] = set()
    for number in range(size):
        use_case = names[number % len(names)]
        draws = (_KINDS[use_case](rng) for _ in range(_DRAWS))
        document = next((one for one in draws if one.asked not in asked), None) or _KINDS[use_case](rng)
        asked.add(document.asked)
        yield use_case, document


def _record(key: str, use_case: str, document: _Document, paths: Sequence[str]) -> dict[str, Any]:
    return {
        "id": key,
        "image": list(paths),
        "task_name": use_case,
        "goal": "",
        "category": [],
        "dataset_id": use_case,
        "conversations": [
            {"from": "human", "value": f"{document.asked} {BEGIN}"},
            {"from": "gpt", "value": document.answer},
        ],
    }


def _next_step(rng: Random) -> _Document:
    """A thing goes through a row or column of the picture; two steps are shown, the third is asked for."""
    thing, line = draw_objects(rng, 1)[0], rng.randrange(GRID)
    cells = [line * GRID + i for i in range(GRID)]
    if rng.random() < 0.5:
        cells = [i * GRID + line for i in range(GRID)]
    if rng.random() < 0.5:
        cells.reverse()
    steps = [_picture(_moved(thing, cell)) for cell in cells]
    said = [f"Step {i}: The {describe.look(thing)} is {_place(s)}." for i, s in enumerate(steps, 1)]
    return _Document(
        folder="wiki_images_test",
        asked=f"The {describe.look(thing)} crosses the picture, one cell at each step.\n"
        f"{said[0]} {IMAGE}\n{said[1]} {IMAGE}\nWrite the next step, and draw it.",
        context=steps[:2],
        answer=f"{said[2]} {IMAGE}",
        truth=Truth(text=f"Now the {describe.look(thing)} is {_place(steps[2])}.", scenes=(steps[2],)),
    )


def _story(rng: Random) -> _Document:
    """Two friends stay together; the first picture is shown, what comes is told in advance."""
    friends = draw_objects(rng, 2)
    first = Scene(friends, ())
    moved = tuple(
        _moved(obj, cell) for obj, cell in zip(friends, sorted(rng.sample(range(9), 2)), strict=True)
    )
    last = Scene(moved, ())
    told = describe.objects_phrase(last)
    return _Document(
        folder="vist_images_test",
        asked=f"There were two friends: {describe.objects_phrase(first)}. {IMAGE}\n"
        f"End the story: in the end there are {told}. Write one sentence, and draw one picture.",
        context=(first,),
        answer=f"In the end they found their places: {told}. {IMAGE}",
        truth=Truth(text=f"And so the story ends with {told}.", scenes=(last,)),
    )


def _report(rng: Random) -> _Document:
    """Two or three things, each to be told of and drawn by itself; nothing is shown."""
    scenes = [_picture(obj) for obj in draw_objects(rng, rng.randint(2, 3))]
    shown = [describe.objects_phrase(scene) for scene in scenes]
    return _Document(
        folder="activitynet_images_test",
        asked=f"Write a report about {describe.listed(shown)}: for each of them a sentence and a picture.",
        context=(),
        answer="\n".join(f"One sees {phrase}. {IMAGE}" for phrase in shown),
        truth=Truth(text="\n".join(f"There is {phrase}." for phrase in shown), scenes=tuple(scenes)),
    )


def _editing(rng: Random) -> _Document:
    """A picture in which one thing gets another colour."""
    before = Scene(draw_objects(rng, 2), ())
    changed = rng.choice(before.objects)
    taken = {obj.colour for obj in before.objects}
    colour = rng.choice([colour for colour in COLOURS if colour not in taken])
    after = Scene(tuple(_coloured(obj, colour) if obj is changed else obj for obj in before.objects), ())
    return _Document(
        folder="magic_brush_images_test",
        asked=f"{IMAGE} Edit the picture so that it shows {describe.objects_phrase(after)}.",
        context=(before,),
        answer=IMAGE,
        truth=Truth(text="", scenes=(after,)),
    )


def _subjects(rng: Random) -> _Document:
    """Two subjects, each in a picture of its own, to be drawn in one picture."""
    both = Scene(draw_objects(rng, 2), ())
    context = [_picture(obj) for obj in both.objects]
    return _Document(
        folder="multi_concept_images",
        asked=f"{IMAGE} {IMAGE} Draw these two in one picture: {describe.objects_phrase(both)}.",
        context=context,
        answer=IMAGE,
        truth=Truth(text="", scenes=(both,)),
    )


_KINDS: dict[str, _Kind] = {
    "wikihow_next_step": _next_step,
    "report_generation": _report,
    "image_editing": _editing,
    "storytelling_generation": _story,
    "subject_driven_generation": _subjects,
}
"""By use case; how the benchmark names image editing and subject-driven generation is not known."""


def _picture(obj: Object) -> Scene:
    return Scene((obj,), ())


def _place(scene: Scene) -> str:
    return describe.place(scene.objects[0])


def _moved(obj: Object, cell: int) -> Object:
    return msgspec.structs.replace(obj, cell=cell)


def _coloured(obj: Object, colour: str) -> Object:
    return msgspec.convert({**msgspec.to_builtins(obj), "colour": colour}, Object)
