"""Small real media files for tests, as bytes."""

from __future__ import annotations

import functools
import io

import numpy as np
import soundfile
from PIL import Image as PILImage

from eval_anything.media.convert import write_mp4, write_png, write_wav


@functools.cache
def png(shade: int = 200) -> bytes:
    return write_png(PILImage.new("RGB", (12, 8), (shade, 10, 30)))


@functools.cache
def jpeg() -> bytes:
    target = io.BytesIO()
    PILImage.new("RGB", (16, 16), (3, 90, 200)).save(target, "JPEG")
    return target.getvalue()


@functools.cache
def tone(seconds: float = 0.2) -> np.ndarray:
    times = np.arange(int(8000 * seconds)) / 8000
    return (0.4 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)


@functools.cache
def wav() -> bytes:
    return write_wav(tone(), 8000)


@functools.cache
def flac() -> bytes:
    target = io.BytesIO()
    soundfile.write(target, tone(), 8000, format="FLAC")
    return target.getvalue()


@functools.cache
def mp3() -> bytes:
    target = io.BytesIO()
    soundfile.write(target, tone(0.5), 8000, format="MP3")
    return target.getvalue()


@functools.cache
def mp4() -> bytes:
    frames = [np.full((32, 32, 3), 20 * step, dtype=np.uint8) for step in range(6)]
    return write_mp4(frames, 6)
