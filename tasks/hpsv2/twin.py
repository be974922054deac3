"""The synthetic twin of HPSv2's prompts: pictures of the scene vocabulary in four styles of wording."""

from __future__ import annotations

from pathlib import Path
from random import Random

import msgspec

from eval_anything.errors import UsageError
from eval_anything.synth.describe import objects_phrase
from eval_anything.synth.home import write_whole
from eval_anything.synth.scene import Scene, draw_objects
from eval_anything.tasks.hpsv2.data import FOLDER, PUBLISHED, STYLES, Style

_WORDINGS: dict[Style, tuple[str, ...]] = {
    "anime": ("anime drawing of {}", "{}, anime, clean lines"),
    "concept-art": ("concept art: {}", "{}, concept art for a game"),
    "paintings": ("oil painting of {}", "{}, painted with broad strokes"),
    "photo": ("A photo of {}.", "{} on a dark table"),
}


def write_twin(out: Path, n: int | None, seed: int) -> None:
    """Write `n` prompts (default: 3200, as many as are published), shared evenly by the styles.

    Same n and seed, same bytes. Raises UsageError where a style would have none, DataError where `out` holds
    something else.
    """
    size = PUBLISHED * len(STYLES) if n is None else n
    if size < len(STYLES):
        raise UsageError(
            f"a synthetic twin of hpsv2 needs at least {len(STYLES)} items, one a style, not {size}"
        )
    share, rest = divmod(size, len(STYLES))
    files = {style: f"{FOLDER}/{style}.json" for style in STYLES}

    def fill(folder: Path) -> None:
        (folder / FOLDER).mkdir()
        for number, style in enumerate(STYLES):
            prompts = [_prompt(style, i, seed) for i in range(share + (number < rest))]
            (folder / files[style]).write_bytes(msgspec.json.format(msgspec.json.encode(prompts), indent=1))

    write_whole(out, fill, tuple(files.values()))


def prompt_scene(style: Style, i: int, seed: int) -> Scene:
    """What prompt `i` of a style asks for."""
    rng = Random(f"hpsv2 {style} {seed} {i}")
    return Scene(draw_objects(rng, rng.randint(1, 3)), ())


def _prompt(style: Style, i: int, seed: int) -> str:
    wording = Random(f"hpsv2 words {style} {seed} {i}").choice(_WORDINGS[style])
    return wording.format(objects_phrase(prompt_scene(style, i, seed)))
