"""Scenes as pictures and clips: coloured shapes on a dark ground, one to a cell, never overlapping."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING

from eval_anything.media.convert import write_mp4, write_png
from eval_anything.synth.scene import GRID, Colour, Motion, Object, Scene, Size

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

EDGE = 96
"""Width and height in pixels."""
CELL = EDGE // GRID
FRAMES = 8
FPS = 4
RGB: dict[Colour, tuple[int, int, int]] = {
    "red": (226, 40, 44),
    "orange": (255, 138, 16),
    "yellow": (255, 226, 48),
    "green": (40, 176, 72),
    "blue": (52, 112, 255),
    "purple": (164, 72, 208),
    "white": (245, 245, 245),
}
GROUND = (22, 25, 32)
RADIUS: dict[Size, float] = {"small": 6.5, "large": 11.0}
REACH: dict[Size, float] = {"small": 8.0, "large": 4.5}
"""Pixels that a moving object goes to either side of its cell's centre; with its radius, inside the cell."""
STEP: dict[Motion, tuple[int, int]] = {
    "still": (0, 0),
    "left": (-1, 0),
    "right": (1, 0),
    "up": (0, -1),
    "down": (0, 1),
}
_OVERSAMPLING = 4
_Point = tuple[float, float]


def png(scene: Scene) -> bytes:
    """The picture of a scene; same scene, same bytes."""
    return write_png(draw(scene))


def jpeg(scene: Scene) -> bytes:
    """The picture of a scene as JPEG; same scene, same bytes with one version of Pillow."""
    target = io.BytesIO()
    draw(scene).save(target, format="JPEG", quality=95)
    return target.getvalue()


def mp4(scene: Scene) -> bytes:
    """The clip of a scene, FRAMES frames at FPS; same scene, same bytes."""
    return write_mp4(frames(scene), FPS)


def frames(scene: Scene) -> "list[npt.NDArray[np.uint8]]":
    """The clip's frames, uint8 of shape (EDGE, EDGE, 3)."""
    import numpy as np

    return [np.asarray(draw(scene, 2 * t / (FRAMES - 1) - 1)) for t in range(FRAMES)]


def centre(obj: Object, time: float = 0.0) -> _Point:
    """Where an object is, in pixels, at `time` in -1 (first frame) .. 1 (last frame)."""
    dx, dy = STEP[obj.motion]
    reach = REACH[obj.size] * time
    return (
        (obj.cell % GRID + 0.5) * CELL + dx * reach,
        (obj.cell // GRID + 0.5) * CELL + dy * reach,
    )


def draw(scene: Scene, time: float = 0.0) -> "Image":
    """One frame, anti-aliased by drawing it larger and averaging."""
    from PIL import Image, ImageDraw

    canvas = Image.new("RGB", (EDGE * _OVERSAMPLING, EDGE * _OVERSAMPLING), GROUND)
    pen = ImageDraw.Draw(canvas)
    for obj in scene.objects:
        x, y = centre(obj, time)
        _shape(pen, obj, (x * _OVERSAMPLING, y * _OVERSAMPLING), RADIUS[obj.size] * _OVERSAMPLING)
    return canvas.reduce(_OVERSAMPLING)


def _shape(pen: "ImageDraw", obj: Object, at: _Point, r: float) -> None:
    x, y = at
    fill = RGB[obj.colour]
    match obj.shape:
        case "circle":
            pen.ellipse((x - r, y - r, x + r, y + r), fill=fill)
        case "ring":
            pen.ellipse((x - r, y - r, x + r, y + r), outline=fill, width=round(r * 0.36))
        case "square":
            half = r * 0.86  # a square of the circle's radius would look larger than the circle
            pen.rectangle((x - half, y - half, x + half, y + half), fill=fill)
        case "cross":
            arm = r * 0.3
            pen.rectangle((x - r, y - arm, x + r, y + arm), fill=fill)
            pen.rectangle((x - arm, y - r, x + arm, y + r), fill=fill)
        case "triangle":
            pen.polygon(_corners(at, (r,) * 3), fill=fill)
        case "star":
            pen.polygon(_corners(at, (r, r * 0.42) * 5), fill=fill)


def _corners(at: _Point, radii: tuple[float, ...]) -> list[_Point]:
    """Points at equal angles around `at`, the first one straight above it."""
    turn = 2 * math.pi / len(radii)
    return [(at[0] + r * math.sin(i * turn), at[1] - r * math.cos(i * turn)) for i, r in enumerate(radii)]
