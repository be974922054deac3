"""Pictures and clips of scenes put together from cells: the pixels of the media files, many at a time.

An object never leaves its cell, so a picture is nine cells beside one another. Cells are cut from pictures as
they are drawn, from JPEGs, and from clips that went through a real video encoder, whose traces the model
has to get used to.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from random import Random

import msgspec
import numpy as np
import numpy.typing as npt

from eval_anything.media.convert import load_image, load_video
from eval_anything.synth import image
from eval_anything.synth.image import CELL, EDGE, FRAMES
from eval_anything.synth.scene import COLOURS, GRID, MOTIONS, SHAPES, SIZES, Object, Scene

Pixels = npt.NDArray[np.uint8]
_CELLS = GRID * GRID
_TOGETHER = 4
"""Objects of a picture from which cells are cut."""
_COPIES = 3
"""How often each look, or look and motion, is cut from coded files."""
_Bank = dict[Object | None, list[Pixels]]
"""What a cell can hold (None: nothing), and how it looks: (frames, 32, 32, 3). An object's own cell is 0."""


class Sprites:
    """All that a cell can hold. Made in seconds; the same each time, with one version of the encoders."""

    def __init__(self) -> None:
        rng = Random("sprites")
        still = [Object(*look, 0) for look in product(SHAPES, COLOURS, SIZES)]
        moving = [Object(s, c, z, 0, way) for s, c, z, way in product(SHAPES, COLOURS, SIZES, MOTIONS)]
        self._drawn: _Bank = {}
        self._pictures: _Bank = {}
        self._clips: _Bank = {}
        for scene in _covering(still, rng, 1):
            _cut(self._drawn, scene, np.asarray(image.draw(scene))[None])
        with tempfile.TemporaryDirectory() as folder:
            jpeg, mp4 = Path(folder) / "picture.jpg", Path(folder) / "clip.mp4"
            for scene in _covering(still, rng, _COPIES):
                jpeg.write_bytes(image.jpeg(scene))
                _cut(self._pictures, scene, np.asarray(load_image(jpeg))[None])
            for scene in _covering(moving, rng, _COPIES):
                mp4.write_bytes(image.mp4(scene))
                _cut(self._clips, scene, np.stack([np.asarray(frame) for frame in load_video(mp4)]))

    def picture(self, scene: Scene, rng: Random) -> Pixels:
        """(1, 96, 96, 3): a picture, exact or (one of three) with traces of JPEG."""
        bank = self._pictures if rng.random() < 1 / 3 else self._drawn
        return _joined(scene, 1, lambda obj: rng.choice(bank[obj]))

    def clip(self, scene: Scene, rng: Random, frames: int = FRAMES) -> Pixels:
        """(frames, 96, 96, 3): evenly spaced frames of a clip, from the first to the last."""
        whole = _joined(scene, FRAMES, lambda obj: rng.choice(self._clips[obj]))
        chosen: Pixels = whole[np.linspace(0, FRAMES - 1, frames).round().astype(int)]
        return chosen


@functools.cache
def sprites() -> Sprites:
    """Those of this process."""
    return Sprites()


def _covering(looks: Sequence[Object], rng: Random, times: int) -> Iterator[Scene]:
    """Scenes that together hold each of `looks` so many times."""
    for _ in range(times):
        left = rng.sample(looks, len(looks))
        while left:
            some, left = left[:_TOGETHER], left[_TOGETHER:]
            cells = sorted(rng.sample(range(_CELLS), len(some)))
            yield Scene(
                tuple(msgspec.structs.replace(o, cell=c) for o, c in zip(some, cells, strict=True)),
                (),
                video=any(obj.motion != "still" for obj in some),
            )


def _cut(bank: _Bank, scene: Scene, frames: Pixels) -> None:
    held = {obj.cell: msgspec.structs.replace(obj, cell=0) for obj in scene.objects}
    for cell in range(_CELLS):
        y, x = _corner(cell)
        bank.setdefault(held.get(cell), []).append(frames[:, y : y + CELL, x : x + CELL].copy())


def _joined(scene: Scene, frames: int, choose: Callable[[Object | None], Pixels]) -> Pixels:
    whole = np.empty((frames, EDGE, EDGE, 3), np.uint8)
    held = {obj.cell: msgspec.structs.replace(obj, cell=0) for obj in scene.objects}
    for cell in range(_CELLS):
        y, x = _corner(cell)
        whole[:, y : y + CELL, x : x + CELL] = choose(held.get(cell))
    return whole


def _corner(cell: int) -> tuple[int, int]:
    return cell // GRID * CELL, cell % GRID * CELL
