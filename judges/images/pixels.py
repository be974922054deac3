"""Images as reward models see them: squares of pixels, made in whichever thread asks."""

from __future__ import annotations

import numpy as np
import PIL.Image

_BICUBIC = PIL.Image.Resampling.BICUBIC
_STRIP = 64
"""From this aspect on only the middle is resized: a line of 20,000 pixels would become 3 GB."""
# CLIP's, in RGB on a scale of 0 to 1; BLIP and ImageBind have taken them over.
MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
STD = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)


def centre(image: PIL.Image.Image, side: int) -> np.ndarray:
    """(side, side, 3) uint8: the short side of an RGB image resized to `side`, the middle cut out.

    torchvision's `Resize` (bicubic, on a Pillow image) and `CenterCrop`: the long side is truncated, half
    pixels of the cut are rounded to even.
    """
    width, height = image.size
    short = min(width, height)
    size = (side * width // short, side * height // short)
    left, top = (round((length - side) / 2) for length in size)
    if max(image.size) < _STRIP * short:
        cut = image.resize(size, _BICUBIC).crop((left, top, left + side, top + side))
    else:
        x, y = width / size[0], height / size[1]
        # The same middle, computed alone; `min` takes back what rounding adds to the far edge.
        box = (left * x, top * y, min((left + side) * x, width), min((top + side) * y, height))
        cut = image.resize((side, side), _BICUBIC, box=box)
    return np.asarray(cut)


def padded(image: PIL.Image.Image, side: int, antialias: bool = True) -> np.ndarray:
    """(side, side, 3) float32: the long side of an RGB image resized to `side`, black around it.

    Nominally from 0 to 1: values are neither rounded nor clipped after bicubic interpolation, so they
    overshoot at edges. `antialias`: as torchvision resizes tensors since version 0.17; False: as before.
    """
    width, height = image.size
    scale = side / max(width, height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    left, top = ((side - length) // 2 for length in size)
    square = np.zeros((side, side, 3), np.float32)
    square[top : top + size[1], left : left + size[0]] = (_averaged if antialias else _sampled)(image, size)
    square /= 255
    return square


def _averaged(image: PIL.Image.Image, size: tuple[int, int]) -> np.ndarray:
    # Pillow resizes its floating point images one band at a time.
    bands = [np.asarray(band.convert("F").resize(size, _BICUBIC)) for band in image.split()]
    return np.stack(bands, axis=2)


def _sampled(image: PIL.Image.Image, size: tuple[int, int]) -> np.ndarray:
    """Each pixel from the 16 around its place, also where hundreds become one."""
    import torch

    pixels = torch.from_numpy(np.array(image, np.float32)).permute(2, 0, 1)
    resized = torch.nn.functional.interpolate(pixels[None], size[::-1], mode="bicubic", align_corners=False)
    sampled: np.ndarray = resized[0].permute(1, 2, 0).numpy()
    return sampled
