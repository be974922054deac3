"""What is written reads back as it was; what is read has the shape that models expect."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import wave
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from eval_anything.errors import MediaError
from eval_anything.media.convert import (
    as_wav,
    load_audio,
    load_image,
    load_video,
    write_mp4,
    write_png,
    write_wav,
)
from eval_anything.media.probe import probe

AUDIO = ["audio.wav", "audio.flac", "audio.mpeg", "audio.ogg", "audio.mp4", "audio.aac", "audio.webm"]
VIDEO = ["video.mp4", "video.quicktime", "video.webm", "video.x-matroska", "video.x-msvideo"]


def _pitch(samples: np.ndarray, rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(spectrum.argmax()) * rate / len(samples)


@pytest.mark.parametrize("rate", [16_000, 48_000])
@pytest.mark.parametrize("name", AUDIO)
def test_audio_of_each_type_is_mono_float_at_the_rate(folder: Path, name: str, rate: int) -> None:
    samples = load_audio(folder / name, rate)
    assert samples.dtype == np.float32
    assert samples.ndim == 1
    assert len(samples) / rate == pytest.approx(1.0, abs=0.06)
    assert _pitch(samples, rate) == pytest.approx(440, abs=3)
    assert 0.35 < np.abs(samples[rate // 4 : rate // 2]).max() < 0.45


def test_channels_are_averaged(tmp_path: Path) -> None:
    stereo = np.stack([np.full(3000, 0.5), np.full(3000, -0.25)], axis=1)
    (tmp_path / "a.wav").write_bytes(write_wav(stereo, 8000))
    assert load_audio(tmp_path / "a.wav", 8000) == pytest.approx(np.full(3000, 0.125), abs=1e-6)


def test_long_audio_is_resampled_without_seams(tmp_path: Path) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 100 * np.arange(25 * 8000) / 8000)
    (tmp_path / "a.wav").write_bytes(write_wav(tone, 8000))
    samples = load_audio(tmp_path / "a.wav", 16_000)
    assert len(samples) == 25 * 16_000
    wanted = 0.5 * np.sin(2 * np.pi * 100 * np.arange(25 * 16_000) / 16_000)
    assert np.abs(samples - wanted)[1000:-1000].max() < 1e-3


def test_samples_that_are_not_numbers_are_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.array([0.0, np.nan, 0.5]), 8000, subtype="FLOAT")
    with pytest.raises(MediaError, match="not numbers"):
        load_audio(tmp_path / "a.wav", 8000)


@pytest.mark.parametrize("name", AUDIO)
def test_as_wav_of_each_type(folder: Path, name: str) -> None:
    with wave.open(io.BytesIO(as_wav(folder / name))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 48_000)
        assert file.getnframes() / 48_000 == pytest.approx(1.0, abs=0.06)


def test_16_bit_samples_survive_bit_for_bit(tmp_path: Path) -> None:
    values = np.array([-32768, -32767, -1, 0, 1, 12345, 32766, 32767], np.int16)
    data = write_wav(values, 16_000)
    (tmp_path / "a.wav").write_bytes(data)
    assert as_wav(tmp_path / "a.wav") == data
    assert write_wav(load_audio(tmp_path / "a.wav", 16_000), 16_000) == data


def test_loud_samples_are_clipped() -> None:
    data = write_wav(np.array([-3.0, 3.0]), 8000)
    assert np.frombuffer(data[44:], "<i2").tolist() == [-32768, 32767]


@pytest.mark.parametrize("name", VIDEO)
def test_frames_are_evenly_spaced_from_first_to_last(folder: Path, name: str) -> None:
    images = load_video(folder / name, frames=4)
    shades = [np.asarray(image).mean() for image in images]
    assert shades == pytest.approx([0, 60, 120, 180], abs=6)
    assert images[0].size == (64, 48)
    assert images[0].mode == "RGB"


@pytest.mark.parametrize(
    ("frames", "fps", "count"),
    [
        (None, None, 10),
        (99, None, 10),
        (1, None, 1),
        (None, 5.0, 5),
        (None, 0.1, 1),
        (3, 5.0, 3),
        (8, 5.0, 5),
    ],
)
def test_how_many_frames(folder: Path, frames: int | None, fps: float | None, count: int) -> None:
    assert len(load_video(folder / "video.mp4", frames, fps)) == count


def test_b_frames_in_avi_are_all_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    with av.open(str(path), "w", format="avi") as container:
        stream: Any = container.add_stream("libx264", rate=10, options={"bf": "3"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for shade in range(0, 200, 10):
            picture = np.full((48, 64, 3), shade, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    assert probe(path, "video").duration_s == pytest.approx(2.0, abs=0.11)
    assert len(load_video(path)) == 20
    shades = [np.asarray(image).mean() for image in load_video(path, frames=3)]
    assert shades == pytest.approx([0, 100, 190], abs=8)


def test_videos_of_phones_are_turned_upright(tmp_path: Path) -> None:
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:16, :16] = 255  # white at the top left
    data = bytearray(write_mp4([picture] * 3, 10))
    matrix = data.index(b"tkhd") + 4 + 40
    # The matrix of ISO 14496-12, 6.2.2, for a quarter turn clockwise.
    data[matrix : matrix + 36] = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 48 << 16, 0, 1 << 30)
    (tmp_path / "a.mp4").write_bytes(data)
    image = load_video(tmp_path / "a.mp4", frames=1)[0]
    assert image.size == (48, 64)
    bright = np.asarray(image.convert("L")) > 128
    assert bright[:16, -16:].mean() > 0.9
    assert bright.sum() < 300


@pytest.mark.parametrize("name", ["image.png", "image.jpeg", "image.gif", "image.webp", *AUDIO, *VIDEO])
@given(data=st.data())
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damage_costs_a_media_error_or_some_quality(folder: Path, name: str, data: st.DataObject) -> None:
    broken = bytearray((folder / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        broken[data.draw(st.integers(0, min(1500, len(broken) - 1)))] = data.draw(st.integers(0, 255))
    path = folder / "broken"
    path.write_bytes(broken)
    modality = name.partition(".")[0]
    try:
        probe(path, modality)  # type: ignore[arg-type]
        if modality == "image":
            load_image(path)
        elif modality == "audio":
            load_audio(path, 48_000)
            as_wav(path)
        else:
            load_video(path, 3)
    except MediaError as fault:
        assert str(path) in str(fault)


def test_equal_frames_give_equal_videos() -> None:
    rng = np.random.default_rng(1)
    frames = [rng.integers(0, 255, (31, 47, 3), dtype=np.uint8) for _ in range(5)]
    data = write_mp4(frames, 5)
    assert data == write_mp4(list(frames), 5)
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.average_rate) == (48, 32, 5)
        assert sum(1 for _ in container.decode(stream)) == 5


def test_a_video_needs_frames() -> None:
    with pytest.raises(ValueError, match="at least one frame"):
        write_mp4([], 5)


def test_images_are_upright_and_rgb(tmp_path: Path) -> None:
    image = Image.new("RGB", (30, 20), "red")
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.jpg", exif=exif)
    assert load_image(tmp_path / "a.jpg").size == (20, 30)
    Image.new("RGBA", (2, 2), (0, 0, 0, 0)).save(tmp_path / "a.png")
    assert load_image(tmp_path / "a.png").getpixel((0, 0)) == (255, 255, 255)
    Image.new("P", (2, 2)).save(tmp_path / "p.gif")
    assert load_image(tmp_path / "p.gif").mode == "RGB"


def test_png_is_lossless_and_repeatable(tmp_path: Path) -> None:
    pixels = np.random.default_rng(2).integers(0, 255, (9, 7, 3), dtype=np.uint8)
    data = write_png(Image.fromarray(pixels))
    assert data == write_png(Image.fromarray(pixels))
    (tmp_path / "a.png").write_bytes(data)
    assert np.array_equal(np.asarray(load_image(tmp_path / "a.png")), pixels)


@pytest.mark.parametrize("data", [b"", b"text, no media", b"#EXTM3U\n/etc/passwd\n", b"RIFF\0\0\0\0WAVEfmt "])
def test_broken_files_cost_a_media_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(data)
    readers = (load_image, as_wav, lambda p: load_audio(p, 8000), lambda p: load_video(p, 2))
    for read in readers:
        with pytest.raises(MediaError, match=str(path)):
            read(path)


def test_media_without_the_wanted_stream(folder: Path) -> None:
    with pytest.raises(MediaError, match="no audio stream"):
        load_audio(folder / "video.mp4", 8000)
    with pytest.raises(MediaError, match="no video stream"):
        load_video(folder / "audio.webm", 2)
    with pytest.raises(MediaError, match="not a container"):
        load_video(folder / "image.png", 2)


def test_importing_the_module_loads_no_library() -> None:
    program = "import sys, eval_anything.media.convert, eval_anything.media.store\n"
    program += "assert not {'numpy', 'av', 'PIL', 'soundfile', 'soxr'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_resampling_without_soxr_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(write_wav(np.zeros(800), 8000))
    program = """
import sys
from pathlib import Path
sys.modules["soxr"] = None
from eval_anything.errors import MissingExtra
from eval_anything.media.convert import load_audio
assert len(load_audio(Path(sys.argv[1]), 8000)) == 800
try:
    load_audio(Path(sys.argv[1]), 16000)
except MissingExtra as fault:
    print(fault)
"""
    run = subprocess.run([sys.executable, "-c", program, tmp_path / "a.wav"], capture_output=True, text=True)
    assert "pip install 'eval-anything[audio]'" in run.stdout, run.stderr
