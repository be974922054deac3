"""Images and sounds as ImageBind takes them: arrays, ready to be batched."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import PIL.Image

from eval_anything.errors import MediaError
from eval_anything.judges.images.pixels import MEAN, STD, centre
from eval_anything.judges.synergy.fbank import MEL_BINS, SAMPLE_RATE, WINDOW, fbank
from eval_anything.media.convert import load_audio, load_image

SIDE = 224
CLIPS, CLIP_S, MEL_FRAMES = 3, 2, 204
_MEL_MEAN, _MEL_STD = -4.268, 9.138


def read_image(path: Path) -> np.ndarray:
    """(3, 224, 224) float32: the short side resized to 224 (bicubic), the centre cut out, CLIP's mean and
    deviation. Raises MediaError."""
    return pixels(load_image(path))


def pixels(image: PIL.Image.Image) -> np.ndarray:
    """An RGB image as `read_image` returns it."""
    cut = centre(image, SIDE).astype(np.float32) / 255
    normalised: np.ndarray = ((cut - MEAN) / STD).transpose(2, 0, 1)
    return np.ascontiguousarray(normalised)


def read_audio(path: Path) -> np.ndarray:
    """(3, 1, 128, 204) float32: three clips of two seconds at 16 kHz, mono. Raises MediaError."""
    samples = load_audio(path, SAMPLE_RATE)
    if len(samples) < WINDOW:
        raise MediaError(f"{path}: {len(samples) / SAMPLE_RATE:.3f} s of sound, less than one frame of 25 ms")
    return mel_clips(samples)


def mel_clips(samples: np.ndarray) -> np.ndarray:
    """The spectrograms of the clips, cut or filled up to 204 frames, normalised.

    A constant added to a clip changes nothing (each frame is freed of its mean), so the original's
    subtraction of the clip's mean is left out.
    """
    return np.stack([_mel_image(samples[start:end]) for start, end in clip_bounds(len(samples))])


def clip_bounds(count: int) -> list[tuple[int, int]]:
    """First and last-but-one sample of each clip.

    They start at 0, 1/3 and 2/3 of the latest possible start, as pytorchvideo 0.1.5 places them: that is the
    version which the published requirements install. A sound shorter than a clip is all of each.
    """
    latest = Fraction(max(count / SAMPLE_RATE - CLIP_S, 0.0))
    starts = [latest * i / CLIPS for i in range(CLIPS)]
    return [(int(start * SAMPLE_RATE), int((start + CLIP_S) * SAMPLE_RATE)) for start in starts]


def _mel_image(clip: np.ndarray) -> np.ndarray:
    filled = np.zeros((MEL_BINS, MEL_FRAMES), np.float32)
    frames = fbank(clip)[:MEL_FRAMES]
    filled[:, : len(frames)] = frames.T
    normalised: np.ndarray = ((filled - _MEL_MEAN) / _MEL_STD)[None].astype(np.float32)
    return normalised
