"""The twin of ImageReward's prompts: pictures of the scene vocabulary, in the files of its repository."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from eval_anything.errors import UsageError
from eval_anything.synth.describe import objects_phrase
from eval_anything.synth.home import write_whole
from eval_anything.synth.scene import Scene, draw_objects
from eval_anything.tasks.image_reward.data import BENCHMARK, PUBLISHED, TEST

_GENERATIONS = 4
_WORDINGS = ("{}, plain shapes on a dark ground", "a picture of {}", "{}, sharp and simple", "{}")


def write_twin(out: Path, n: int | None, seed: int) -> None:
    """Write `n` prompts (default: as many as are published) to each of the repository's two files.

    Same n and seed, same bytes. Raises UsageError for n < 1, DataError where `out` holds something else.
    """
    if n is not None and n < 1:
        raise UsageError(f"a synthetic twin needs at least 1 item, not {n}")
    benchmark = [_prompt("benchmark", i, seed) for i in range(n or PUBLISHED["benchmark"])]
    test = [_compared(i, seed) for i in range(n or PUBLISHED["test"])]

    def fill(folder: Path) -> None:
        _write(folder / BENCHMARK, benchmark)
        _write(folder / TEST, test)

    write_whole(out, fill, (BENCHMARK, TEST))


def prompt_scene(kind: str, i: int, seed: int) -> Scene:
    """What prompt `i` of the file `kind` asks for."""
    rng = Random(f"image_reward {kind} {seed} {i}")
    return Scene(draw_objects(rng, rng.randint(1, 3)), ())


def _prompt(kind: str, i: int, seed: int) -> dict[str, Any]:
    shown = objects_phrase(prompt_scene(kind, i, seed))
    wording = Random(f"image_reward words {kind} {seed} {i}").choice(_WORDINGS)
    # The published ids are those of a part and an item of DiffusionDB.
    return {"id": f"{i // 200:06d}-{i % 200:04d}", "prompt": wording.format(shown)}


def _compared(i: int, seed: int) -> dict[str, Any]:
    """A row of the test split has images that people ranked; the task reads neither."""
    row = _prompt("test", i, seed)
    part, item = row["id"].split("-")
    rng = Random(f"image_reward ranking {seed} {i}")
    images = [f"part-{part}/images/{item}/{rng.getrandbits(64):016x}.webp" for _ in range(_GENERATIONS)]
    return {**row, "generations": images, "ranking": rng.sample(range(1, _GENERATIONS + 1), _GENERATIONS)}


def _write(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(list(rows)), indent=4))
