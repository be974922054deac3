"""A file is what its content shows; broken, truncated, oversized and disguised files cost a MediaError."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import wave
import zlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from eval_anything.errors import MediaError
from eval_anything.media.convert import write_png, write_wav
from eval_anything.media.limits import DEFAULT_LIMITS, MediaLimits
from eval_anything.media.probe import Probe, examine, probe
from eval_anything.media.sniff import EXTENSIONS
from eval_anything.values import Modality

MEDIA: tuple[Modality, ...] = ("image", "audio", "video")


def look(data: bytes, modality: Modality, limits: MediaLimits = DEFAULT_LIMITS) -> Probe:
    return examine(io.BytesIO(data), modality, limits, "here")


def modality_of(mime: str) -> Modality:
    return next(m for m in MEDIA if mime.startswith(m))


def png_claiming(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = b"IDAT" + zlib.compress(b"\0" * 100)
    chunks = [header, pixels, b"IEND"]
    body = b"".join(struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks)
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("mime", EXTENSIONS)
def test_each_accepted_type(media: dict[str, bytes], tmp_path: Path, mime: str) -> None:
    (tmp_path / "name.txt").write_bytes(media[mime])
    found = probe(tmp_path / "name.txt", modality_of(mime))
    assert found.mime == mime
    size = {"image": (60, 40), "audio": (None, None), "video": (64, 48)}[modality_of(mime)]
    assert (found.width, found.height) == size
    if modality_of(mime) == "image":
        assert found.duration_s is None
    else:
        assert found.duration_s == pytest.approx(1.0, abs=0.05)
    assert found.sample_rate == (48_000 if modality_of(mime) == "audio" else None)


# ADTS has no header and no end: cut between or inside frames, it is a shorter sound.
@pytest.mark.parametrize("mime", [mime for mime in EXTENSIONS if mime != "audio/aac"])
def test_no_truncation_passes_as_whole(media: dict[str, bytes], mime: str) -> None:
    data = media[mime]
    # The last bytes of GIF (trailer) and of RIFF (padding) carry nothing.
    end = len(data) - {"image/gif": 2, "video/x-msvideo": 1}.get(mime, 0)
    cuts = {*range(0, end, max(1, end // 40)), *range(end - 6, end)}
    for cut in sorted(cuts):
        with pytest.raises(MediaError, match="here"):
            look(data[:cut], modality_of(mime))


@given(cut=st.integers(0, 10_000))
@settings(max_examples=200)
def test_no_truncated_png_passes(cut: int) -> None:
    rng = np.random.default_rng(3)
    data = write_png(Image.fromarray(rng.integers(0, 255, (50, 60, 3), dtype=np.uint8)))
    with pytest.raises(MediaError):
        look(data[: cut % len(data)], "image")


@pytest.mark.parametrize("modality", MEDIA)
@given(tail=st.binary(max_size=400), head=st.sampled_from([b"", b"RIFF....WAVE", b"....ftypisom"]))
@settings(max_examples=100, deadline=None)
def test_random_bytes_raise_media_errors_only(modality: Modality, tail: bytes, head: bytes) -> None:
    with pytest.raises(MediaError):
        look(head + tail, modality)


@pytest.mark.parametrize("mime", EXTENSIONS)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_flipped_bytes_raise_media_errors_only(
    media: dict[str, bytes], mime: str, data: st.DataObject
) -> None:
    broken = bytearray(media[mime])
    for _ in range(data.draw(st.integers(1, 8))):
        broken[data.draw(st.integers(0, min(2000, len(broken) - 1)))] = data.draw(st.integers(0, 255))
    try:
        look(bytes(broken), modality_of(mime))
    except MediaError as fault:
        assert "\n" not in str(fault)


def test_damage_inside_a_png_is_found(media: dict[str, bytes]) -> None:
    data = bytearray(media["image/png"])
    data[len(data) // 2] ^= 1
    with pytest.raises(MediaError, match="broken image/png"):
        look(bytes(data), "image")


def test_a_pixel_bomb_is_refused_from_its_header_and_silently(tmp_path: Path) -> None:
    for index, side in enumerate((9_700, 11_000, 60_000)):
        (tmp_path / f"{index}.png").write_bytes(png_claiming(side, side))
    program = """
import sys
from pathlib import Path
from eval_anything.errors import MediaError
from eval_anything.media.probe import probe
for path in sys.argv[1:]:
    try:
        print(probe(Path(path), "image").width)
    except MediaError as fault:
        print(fault)
"""
    paths = sorted(tmp_path.iterdir())
    run = subprocess.run([sys.executable, "-c", program, *paths], capture_output=True, text=True, check=True)
    lines = run.stdout.splitlines()
    assert lines[0] == "9700"
    assert lines[1].endswith("has 11000x11000 pixels, more than the limit of 100000000")
    assert "60000" in lines[2] or "exceeds limit" in lines[2]
    assert run.stderr == ""


def test_frames_count_as_pixels() -> None:
    frames = [Image.new("RGB", (100, 100), (25 * i, 0, 0)) for i in range(10)]
    for kind in ("GIF", "PNG", "WEBP"):
        target = io.BytesIO()
        frames[0].save(target, format=kind, save_all=True, append_images=frames[1:])
        assert look(target.getvalue(), "image", MediaLimits(max_pixels=100_000)).width == 100
        with pytest.raises(MediaError, match="100x100x10 frames"):
            look(target.getvalue(), "image", MediaLimits(max_pixels=99_999))


@pytest.mark.parametrize(
    ("data", "modality", "shown"),
    [
        (b"<!DOCTYPE html><html><body>404</body></html>", "image", "is HTML, not an image"),
        (b"\n <HTML><head>", "video", "is HTML, not a video"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image", "is SVG, not an image"),
        (b'<?xml version="1.0"?><svg/>', "image", "is SVG, not an image"),
        (b'{"error": "not found"}', "audio", "is text, not an audio"),
        (b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n", "video", "is text, not a video"),
        (b"version https://git-lfs.github.com/spec/v1\n", "image", "is text, not an image"),
        (b"%PDF-1.7", "image", "is application/pdf, not an image"),
        (b"", "image", r"is empty \(0 bytes\)"),
    ],
)
def test_disguises_are_named(data: bytes, modality: Modality, shown: str) -> None:
    with pytest.raises(MediaError, match=f"^here: {shown}"):
        look(data, modality)


def test_a_medium_of_another_modality_is_named(media: dict[str, bytes]) -> None:
    with pytest.raises(MediaError, match="is audio/wav, not an image"):
        look(media["audio/wav"], "image")
    with pytest.raises(MediaError, match="is video, not audio"):
        look(media["video/mp4"], "audio")
    with pytest.raises(MediaError, match="has no video stream"):
        look(media["audio/webm"], "video")


def test_limits_of_bytes_and_time(media: dict[str, bytes]) -> None:
    with pytest.raises(MediaError, match="more than the limit of 10"):
        look(media["image/png"], "image", MediaLimits(max_bytes=10))
    for mime in ("audio/wav", "audio/mp4", "video/mp4", "video/webm", "audio/aac"):
        with pytest.raises(MediaError, match=r"lasts \d.\d+ s, more than the limit of 0.4 s"):
            look(media[mime], modality_of(mime), MediaLimits(max_duration_s=0.4))
    with pytest.raises(MediaError, match="64x48 pixels"):
        look(media["video/mp4"], "video", MediaLimits(max_pixels=3000))


def test_two_frames_ten_hours_apart_are_refused() -> None:
    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as container:
        stream: Any = container.add_stream("libx264", rate=1)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuv420p"
        for at in (0, 36_000):
            frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")
            frame.pts, frame.time_base = at, Fraction(1)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(MediaError, match=r"lasts 36001\.00 s, more than the limit of 3600 s"):
        look(target.getvalue(), "video")


def test_wav_headers_of_streams_and_of_liars(media: dict[str, bytes]) -> None:
    whole = media["audio/wav"]
    streamed = whole[:4] + b"\xff" * 4 + whole[8:40] + b"\xff" * 4 + whole[44:]
    assert look(streamed, "audio").duration_s == pytest.approx(1.0)
    liar = whole[:40] + struct.pack("<I", len(whole)) + whole[44:]
    with pytest.raises(MediaError, match="truncated audio/wav"):
        look(liar, "audio")
    with pytest.raises(MediaError, match="no content"):
        look(write_wav(np.zeros(0), 16_000), "audio")


@pytest.mark.parametrize("rate", [0, 4_000_000_000])
def test_insane_sample_rates(rate: int) -> None:
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(2000))
    data = bytearray(target.getvalue())
    data[24:28] = struct.pack("<I", rate)
    with pytest.raises(MediaError):
        look(bytes(data), "audio")


def test_only_regular_files_are_read(tmp_path: Path, media: dict[str, bytes]) -> None:
    (tmp_path / "real").write_bytes(media["image/png"])
    (tmp_path / "link").symlink_to("real")
    os.mkfifo(tmp_path / "fifo")
    for name, shown in (("fifo", "a FIFO"), ("link", "a symbolic link"), (".", "a directory")):
        with pytest.raises(MediaError, match=f"is {shown}, not a regular file"):
            probe(tmp_path / name, "image")
    with pytest.raises(MediaError, match="device"):
        probe(Path("/dev/zero"), "image")
    with pytest.raises(MediaError, match=r"^shown: No such file"):
        probe(tmp_path / "none", "image", name="shown")
    with pytest.raises(MediaError):
        probe(Path("a\0b"), "image")


def test_broken_video_prints_nothing(tmp_path: Path, media: dict[str, bytes]) -> None:
    data = bytearray(media["video/mp4"])
    at = data.index(b"mdat") + 4
    data[at : at + 400] = os.urandom(400)
    (tmp_path / "v").write_bytes(data)
    program = "import sys; from pathlib import Path; from eval_anything.media.probe import probe\n"
    program += "from eval_anything.errors import MediaError\n"
    program += "try: probe(Path(sys.argv[1]), 'video')\nexcept MediaError as fault: print(fault)"
    run = subprocess.run([sys.executable, "-c", program, tmp_path / "v"], capture_output=True, check=True)
    assert run.stderr == b""
