"""Media decoded for models, and written from arrays.

Readers raise MediaError for what cannot be decoded. They trust the sizes that `probe` has checked: give
them files from an `ArtifactStore`. Writers give the same bytes for the same input.
"""

from __future__ import annotations

import io
import wave
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from eval_anything.errors import MediaError, MissingExtra
from eval_anything.media.libraries import IMAGE_FORMATS, decoding_faults, pillow
from eval_anything.media.sniff import FFMPEG_FORMATS, HEAD_BYTES, sniff

if TYPE_CHECKING:
    import numpy as np
    import PIL.Image

_BLOCK_S: Final = 10
"""Seconds decoded at once: bounds the memory that a long file with many channels takes."""


def load_image(path: Path) -> PIL.Image.Image:
    """The first frame as RGB, turned upright as its EXIF orientation says; transparency lies on white."""
    formats = [name for names in IMAGE_FORMATS.values() for name in names]
    with _decoding(path), pillow().open(path, formats=formats) as image:
        return as_rgb(image)


def as_rgb(image: PIL.Image.Image) -> PIL.Image.Image:
    """The same for an open image."""
    from PIL import ImageOps

    upright: PIL.Image.Image = ImageOps.exif_transpose(image)
    if upright.has_transparency_data:
        rgba = upright.convert("RGBA")
        upright = pillow().alpha_composite(pillow().new("RGBA", rgba.size, "white"), rgba)
    return upright.convert("RGB")


def load_audio(path: Path, sample_rate: int) -> np.ndarray:
    """Mono float32 samples, shape (n,), nominally in [-1, 1], at `sample_rate` hertz (mean of channels)."""
    import numpy as np

    with _decoding(path), _audio_blocks(path) as (rate, _, blocks):
        mono = (block.mean(axis=1, dtype=np.float32) for block in blocks)
        samples = np.concatenate([np.zeros(0, np.float32), *_resampled(mono, rate, sample_rate)])
    if not np.isfinite(samples).all():
        raise MediaError(f"{path}: has samples that are not numbers (NaN or infinite)")
    return samples


def load_video(path: Path, frames: int | None = None, fps: float | None = None) -> list[PIL.Image.Image]:
    """RGB frames, evenly spaced from the first to the last.

    As many as `frames`, or `fps` times the duration, or the fewer of the two where both are given; never
    more than the video has, and all of them where neither is given.
    """
    import numpy as np

    with _decoding(path):
        total, duration = _count_frames(path)
        wanted = min([total, *_wishes(frames, fps, duration)])
        chosen = set(np.linspace(0, total - 1, wanted).round().astype(int).tolist())
        with _container(path) as container:
            images = [_upright(f) for i, f in enumerate(container.decode(video=0)) if i in chosen]
    if not images:
        raise MediaError(f"{path}: no frame can be decoded")
    return images


def as_wav(path: Path) -> bytes:
    """Any readable audio as 16-bit PCM WAV, with its own sample rate and channels."""
    with _decoding(path), _audio_blocks(path) as (rate, channels, blocks):
        return _wav((_pcm16(block) for block in blocks), rate, channels)


def write_wav(samples: np.ndarray, sample_rate: int) -> bytes:
    """16-bit PCM WAV of samples in [-1, 1] (clipped), shape (n,) or (n, channels); int16 is kept as it is."""
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    return _wav([_pcm16(samples)], sample_rate, channels)


def write_png(image: PIL.Image.Image) -> bytes:
    target = io.BytesIO()
    image.save(target, format="PNG")
    return target.getvalue()


def write_mp4(frames: Sequence[np.ndarray], fps: int) -> bytes:
    """H.264 in MP4 of frames of one shape, (height, width, 3) uint8.

    Odd sizes are padded by one repeated row or column, as 4:2:0 needs even ones. One encoder thread and
    no version strings, so that equal frames give equal bytes with one build of the encoder.
    """
    import av
    import numpy as np

    if not frames:
        raise ValueError("a video needs at least one frame")
    height, width = frames[0].shape[:2]
    padding = ((0, height % 2), (0, width % 2), (0, 0))
    target = io.BytesIO()
    with av.open(target, "w", format="mp4", container_options={"fflags": "+bitexact"}) as container:
        # With mbtree (its default), x264 gives one clip in twenty other bytes from one time to the next.
        options = {"threads": "1", "crf": "20", "x264-params": "mbtree=0"}
        stream = container.add_stream("libx264", rate=fps, options=options)
        stream.width, stream.height = width + width % 2, height + height % 2
        stream.pix_fmt = "yuv420p"
        stream.codec_context.flags |= av.codec.context.Flags.bitexact
        for frame in frames:
            padded = np.ascontiguousarray(np.pad(frame, padding, mode="edge"))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(padded, format="rgb24")))
        container.mux(stream.encode(None))
    return target.getvalue()


def _wav(pcm: Iterator[np.ndarray] | Sequence[np.ndarray], sample_rate: int, channels: int) -> bytes:
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        for block in pcm:
            file.writeframes(block.tobytes())
    return target.getvalue()


def _pcm16(samples: np.ndarray) -> np.ndarray:
    import numpy as np

    if samples.dtype == np.int16:
        return samples.astype("<i2")
    # The scale that decoders use, so that 16-bit audio comes back bit for bit.
    scaled = np.clip(np.nan_to_num(samples) * 32768.0, -32768, 32767)
    pcm: np.ndarray = scaled.round().astype("<i2")
    return pcm


@contextmanager
def _decoding(path: Path) -> Iterator[None]:
    """Turn what the decoding libraries raise into a MediaError that names the file."""
    try:
        yield
    except decoding_faults() as fault:
        raise MediaError(f"{path}: cannot be decoded: {fault}") from fault


@contextmanager
def _container(path: Path) -> Iterator[Any]:
    import av

    with path.open("rb") as file:
        mime = sniff(file.read(HEAD_BYTES), "video")
        file.seek(0)
        if mime not in FFMPEG_FORMATS:
            raise MediaError(f"{path}: not a container that can be decoded ({mime or 'unknown type'})")
        with av.open(file, format=FFMPEG_FORMATS[mime]) as container:
            yield container


@contextmanager
def _audio_blocks(path: Path) -> Iterator[tuple[int, int, Iterator[np.ndarray]]]:
    """Sample rate, channels, and blocks of float32 samples of shape (n, channels)."""
    import soundfile

    with path.open("rb") as file:
        mime = sniff(file.read(HEAD_BYTES), "audio")
    if mime not in FFMPEG_FORMATS:
        with soundfile.SoundFile(path) as sound:
            size = sound.samplerate * _BLOCK_S
            yield sound.samplerate, sound.channels, sound.blocks(size, dtype="float32", always_2d=True)
    else:
        with _container(path) as container:
            if not container.streams.audio:
                raise MediaError(f"{path}: has no audio stream")
            context = container.streams.audio[0].codec_context
            yield context.sample_rate, context.channels, _av_blocks(container)


def _av_blocks(container: Any) -> Iterator[np.ndarray]:
    import av

    context = container.streams.audio[0].codec_context
    # One layout and rate throughout: a hostile or spliced stream may change both from frame to frame.
    resampler = av.AudioResampler(format="flt", layout=context.layout, rate=context.sample_rate)
    for decoded in container.decode(audio=0):
        for frame in resampler.resample(decoded):
            yield frame.to_ndarray().reshape(-1, context.channels)
    for frame in resampler.resample(None):
        yield frame.to_ndarray().reshape(-1, context.channels)


def _resampled(blocks: Iterator[np.ndarray], rate: int, wanted: int) -> Iterator[np.ndarray]:
    if rate == wanted:
        yield from blocks
        return
    try:
        import soxr
    except ImportError:
        raise MissingExtra(
            f"resampling audio from {rate} to {wanted} Hz needs soxr: pip install 'eval-anything[audio]'"
        ) from None
    import numpy as np

    stream = soxr.ResampleStream(rate, wanted, 1, dtype="float32")
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


def _count_frames(path: Path) -> tuple[int, float]:
    """Frames that a decoder will show, and their duration in seconds, without decoding any."""
    with _container(path) as container:
        if not container.streams.video:
            raise MediaError(f"{path}: has no video stream")
        stream = container.streams.video[0]
        packets = [p for p in container.demux(stream) if p.size and not p.is_discard]
        # AVI may only know the order of decoding.
        starts = [(p.dts if p.pts is None else p.pts, p.duration or 0) for p in packets]
        times = [(at, length) for at, length in starts if at is not None]
        if not times:
            raise MediaError(f"{path}: has no frames")
        ticks = max(at + length for at, length in times) - min(at for at, _ in times)
        return len(times), float(ticks * stream.time_base)


def _wishes(frames: int | None, fps: float | None, duration: float) -> list[int]:
    wishes = [] if frames is None else [frames]
    if fps is not None:
        wishes.append(int(duration * fps))
    return [max(1, wish) for wish in wishes]


def _upright(frame: Any) -> PIL.Image.Image:
    image: PIL.Image.Image = frame.to_image()
    # Phones record sideways and say so; PyAV and Pillow both count degrees counterclockwise.
    return image.rotate(frame.rotation, expand=True) if frame.rotation else image
