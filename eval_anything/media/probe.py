"""Checks one media file by its content: type, size, duration, and whether it is whole and sane.

Data sets and models' answers are hostile input: nothing here trusts a name, an extension or a header.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from eval_anything.errors import MediaError
from eval_anything.media.libraries import IMAGE_FORMATS, decoding_faults, pillow
from eval_anything.media.limits import DEFAULT_LIMITS, MediaLimits
from eval_anything.media.sniff import EXTENSIONS, FFMPEG_FORMATS, HEAD_BYTES, describe, sniff
from eval_anything.media.whole import Truncated, check_whole
from eval_anything.values import Modality

_PNG_END: Final = b"\xae\x42\x60\x82"
_MAX_PACKETS: Final = 1_000_000
"""Of one stream file: an hour at 60 frames a second with sound has 400,000."""
_MAX_SAMPLE_RATE: Final = 768_000
_MAX_CHANNELS: Final = 64


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """What the content shows."""

    mime: str
    width: int | None = None
    """Pixels, as stored (before any EXIF rotation)."""
    height: int | None = None
    duration_s: float | None = None
    """Seconds."""
    sample_rate: int | None = None
    """Hertz."""


def probe(path: Path, modality: Modality, limits: MediaLimits = DEFAULT_LIMITS, *, name: str = "") -> Probe:
    """Check the file at `path`, which must be a regular file and no symbolic link.

    Raises MediaError, which names the file by `name` (or else by its path) and the reason.
    """
    shown = name or str(path)
    with open_regular(path, shown) as file:
        return examine(file, modality, limits, shown)


@contextmanager
def open_regular(path: Path, name: str) -> Iterator[io.BufferedReader]:
    """Open for reading, never blocking on a FIFO, never reading a device.

    Raises MediaError for everything that is not a regular file that can be read.
    """
    try:
        _require_regular(path.lstat().st_mode, name)
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (OSError, ValueError) as fault:
        raise MediaError(f"{name}: {getattr(fault, 'strerror', None) or fault}") from None
    with os.fdopen(handle, "rb") as file:
        # Once more, as the name may have come to stand for something else in between.
        _require_regular(os.fstat(handle).st_mode, name)
        yield file


def _require_regular(mode: int, name: str) -> None:
    if not stat.S_ISREG(mode):
        kinds = {stat.S_IFLNK: "a symbolic link", stat.S_IFDIR: "a directory", stat.S_IFIFO: "a FIFO"}
        raise MediaError(
            f"{name}: is {kinds.get(stat.S_IFMT(mode), 'a device or socket')}, not a regular file"
        )


def examine(file: BinaryIO, modality: Modality, limits: MediaLimits, name: str) -> Probe:
    """The same for an open, seekable file; leaves its position anywhere."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if size == 0:
        raise MediaError(f"{name}: is empty (0 bytes)")
    if size > limits.max_bytes:
        raise MediaError(f"{name}: has {size} bytes, more than the limit of {limits.max_bytes}")
    mime = sniff(file.read(HEAD_BYTES), modality)
    if not mime.startswith(f"{modality}/") or mime not in EXTENSIONS:
        raise MediaError(f"{name}: is {describe(mime)}, not {_accepted(modality)}")
    with _refusing(name, mime):
        check_whole(file, size, mime)
        file.seek(0)
        if modality == "image":
            return _image(file, mime, limits)
        if mime in FFMPEG_FORMATS:
            return _stream(file, mime, modality, limits)
        return _sound(file, mime, limits)


def _accepted(modality: Modality) -> str:
    article = "an" if modality in ("image", "audio") else "a"
    names = [ext[1:] for mime, ext in EXTENSIONS.items() if mime.startswith(modality)]
    return f"{article} {modality} of an accepted type ({', '.join(names)})"


@contextmanager
def _refusing(name: str, mime: str) -> Iterator[None]:
    """Turn all that the decoding libraries raise on broken input into a MediaError."""
    try:
        yield
    except Truncated as fault:
        raise MediaError(f"{name}: is truncated {mime}: {fault}") from None
    except _Insane as fault:
        raise MediaError(f"{name}: {fault}") from None
    except decoding_faults() as fault:
        raise MediaError(f"{name}: is broken {mime}: {fault}") from fault


class _Insane(Exception):
    """Whole, but of a size or shape that is refused."""


def _image(file: BinaryIO, mime: str, limits: MediaLimits) -> Probe:
    image = pillow().open(file, formats=IMAGE_FORMATS[mime])
    width, height = image.size
    _check_pixels(width, height, limits)
    _check_pixels(width, height, limits, frames=getattr(image, "n_frames", 1))
    if mime == "image/png":
        image.verify()
        if file.read(4) != _PNG_END:  # Pillow's verify stops before the last checksum
            raise Truncated("its end is missing")
    else:
        image.draft("RGB", (1, 1))  # JPEG: all of the bytes are read, few pixels are computed
        image.load()
    return Probe(mime=mime, width=width, height=height)


def _sound(file: BinaryIO, mime: str, limits: MediaLimits) -> Probe:
    import soundfile

    with soundfile.SoundFile(file) as sound:
        frames, rate, channels = sound.frames, sound.samplerate, sound.channels
        _check_sound(frames / rate if rate else 0.0, rate, channels, limits)
        # Formats that are decoded in order (FLAC) only show at their end that they are cut.
        sound.seek(frames - 1)
        if len(sound.read(1, dtype="float32")) != 1:
            raise Truncated(f"it promises {frames} samples, the last is missing")
    return Probe(mime=mime, duration_s=frames / rate, sample_rate=rate)


def _check_sound(duration: float, rate: int, channels: int, limits: MediaLimits) -> None:
    if not 0 < rate <= _MAX_SAMPLE_RATE or not 0 < channels <= _MAX_CHANNELS:
        raise _Insane(f"claims {channels} channels at {rate} Hz")
    _check_duration(duration, limits)


def _check_duration(duration: float, limits: MediaLimits) -> None:
    if not duration > 0:
        raise _Insane("has no content (0 s)")
    if duration > limits.max_duration_s:
        raise _Insane(f"lasts {duration:.2f} s, more than the limit of {limits.max_duration_s:g} s")


def _stream(file: BinaryIO, mime: str, modality: Modality, limits: MediaLimits) -> Probe:
    """Audio or video in a container that FFmpeg reads."""
    import av

    file.seek(0)
    with av.open(file, format=FFMPEG_FORMATS[mime]) as container:
        declared = container.duration / av.time_base if container.duration and mime != "audio/aac" else None
        if declared is not None:
            _check_duration(declared, limits)
        shape = _video_shape(container, limits) if modality == "video" else _audio_shape(container)
        container.seek(0)
        measured = _demux(container, limits)
        if declared is not None and measured < 0.9 * declared - 0.5:
            raise Truncated(f"it promises {declared:.1f} s, {measured:.1f} s are there")
        duration = measured if declared is None else declared
        if modality == "audio":
            _check_sound(duration, shape["sample_rate"], 1, limits)
        _check_duration(duration, limits)
        return Probe(mime=mime, duration_s=duration, **shape)


def _video_shape(container: Any, limits: MediaLimits) -> dict[str, int]:
    if not container.streams.video:
        raise _Insane("has no video stream")
    context = container.streams.video[0].codec_context
    _check_pixels(context.width, context.height, limits)
    context.thread_count = 1
    frame = next(container.decode(video=0), None)
    if frame is None:
        raise Truncated("no frame can be decoded")
    _check_pixels(frame.width, frame.height, limits)  # the coded size may differ from the container's
    return {"width": frame.width, "height": frame.height}


def _check_pixels(width: int, height: int, limits: MediaLimits, frames: int = 1) -> None:
    if width * height * frames > limits.max_pixels:
        times = f"x{frames} frames" if frames > 1 else ""
        raise _Insane(f"has {width}x{height}{times} pixels, more than the limit of {limits.max_pixels}")


def _audio_shape(container: Any) -> dict[str, int]:
    import av

    cover = av.stream.Disposition.attached_pic
    if any(not stream.disposition & cover for stream in container.streams.video):
        raise _Insane("is video, not audio")
    if not container.streams.audio:
        raise _Insane("has no audio stream")
    container.streams.audio[0].codec_context.thread_count = 1
    frame = next(container.decode(audio=0), None)
    if frame is None:
        raise Truncated("no sound can be decoded")
    return {"sample_rate": frame.sample_rate}


def _demux(container: Any, limits: MediaLimits) -> float:
    """Seconds from the first packet to the end of the last, reading every packet, decoding none."""
    start, end = float("inf"), float("-inf")
    for count, packet in enumerate(container.demux()):
        if packet.is_corrupt or count > _MAX_PACKETS:
            raise Truncated("a packet is damaged" if packet.is_corrupt else "it has too many packets")
        ticks = packet.dts if packet.pts is None else packet.pts  # AVI may only know the order of decoding
        if ticks is None or packet.size == 0:
            continue
        at = float(ticks * packet.time_base)
        start, end = min(start, at), max(end, at + float((packet.duration or 0) * packet.time_base))
        _check_duration(max(end - start, 1e-9), limits)
    return max(0.0, end - start)
