"""One small real file of each accepted type."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from PIL import Image

from eval_anything.media.convert import write_mp4, write_png, write_wav

RATE = 48_000


@pytest.fixture(scope="session")
def media() -> dict[str, bytes]:
    """Bytes by mime type: images of 60x40, sounds of 1 s at 48 kHz, videos of 64x48, 1 s at 10 frames."""
    tone = (0.4 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)).astype(np.float32)
    noise = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    frames = [np.full((48, 64, 3), 20 * i, np.uint8) for i in range(10)]
    files = {f"image/{kind}": _image(image, kind) for kind in ("jpeg", "webp", "gif", "bmp")}
    files["image/png"] = write_png(image)
    files["audio/wav"] = write_wav(tone, RATE)
    for mime, kind in (("audio/flac", "FLAC"), ("audio/mpeg", "MP3"), ("audio/ogg", "OGG")):
        files[mime] = _sound(tone, kind)
    for mime, kind, codec in (
        ("audio/mp4", "ipod", "aac"),
        ("audio/aac", "adts", "aac"),
        ("audio/webm", "webm", "libopus"),
    ):
        files[mime] = _encoded_sound(tone, kind, codec)
    files["video/mp4"] = write_mp4(frames, 10)
    for mime, kind, codec in (
        ("video/quicktime", "mov", "libx264"),
        ("video/webm", "webm", "libvpx"),
        ("video/x-matroska", "matroska", "libx264"),
        ("video/x-msvideo", "avi", "mpeg4"),
    ):
        files[mime] = _encoded_video(frames, kind, codec)
    return files


@pytest.fixture
def folder(tmp_path: Path, media: dict[str, bytes]) -> Path:
    """A data set's root with one file of each type, named by its subtype."""
    root = tmp_path / "data"
    root.mkdir()
    for mime, data in media.items():
        (root / mime.replace("/", ".")).write_bytes(data)
    return root


def _image(image: Image.Image, kind: str) -> bytes:
    target = io.BytesIO()
    image.save(target, format=kind.upper())
    return target.getvalue()


def _sound(tone: np.ndarray, kind: str) -> bytes:
    target = io.BytesIO()
    soundfile.write(target, tone, RATE, format=kind)
    return target.getvalue()


def _encoded_sound(tone: np.ndarray, kind: str, codec: str) -> bytes:
    target = io.BytesIO()
    with av.open(target, "w", format=kind) as container:
        stream: Any = container.add_stream(codec, rate=RATE, layout="mono")
        whole = av.AudioFrame.from_ndarray(tone[None, :], format="fltp", layout="mono")
        whole.sample_rate, whole.pts = RATE, 0
        fifo = av.AudioFifo()
        fifo.write(whole)
        resampler = av.AudioResampler(format=stream.codec_context.format, layout="mono", rate=RATE)
        while block := fifo.read(960, partial=True):
            for frame in resampler.resample(block):
                container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return target.getvalue()


def _encoded_video(frames: list[np.ndarray], kind: str, codec: str) -> bytes:
    target = io.BytesIO()
    with av.open(target, "w", format=kind) as container:
        stream: Any = container.add_stream(codec, rate=10)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    return target.getvalue()
