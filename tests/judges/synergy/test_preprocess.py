from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval_anything.errors import MediaError
from eval_anything.judges.synergy.fbank import fbank
from eval_anything.judges.synergy.preprocess import clip_bounds, mel_clips, pixels, read_audio, read_image
from eval_anything.media.convert import write_png, write_wav

MEAN = np.array([0.48145466, 0.4578275, 0.40821073])
STD = np.array([0.26862954, 0.26130258, 0.27577711])


def _denormalised(array: np.ndarray) -> np.ndarray:
    return array.transpose(1, 2, 0) * STD + MEAN


def test_an_image_of_the_right_size_is_only_normalised() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    array = pixels(PIL.Image.fromarray(noise))
    assert array.shape == (3, 224, 224)
    assert array.dtype == np.float32
    assert _denormalised(array) == pytest.approx(noise / 255, abs=1e-6)


@pytest.mark.parametrize(("width", "height"), [(448, 224), (224, 448), (300, 225), (101, 640), (1, 1)])
def test_the_centre_is_cut_out(width: int, height: int) -> None:
    # Red grows to the right and green downwards, so each pixel of the cut tells where it came from.
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    image = PIL.Image.fromarray(np.stack([x, y, 0 * x], axis=2).astype(np.uint8))
    cut = _denormalised(pixels(image))
    short = min(width, height)
    for channel, side in ((0, width), (1, height)):
        low, high = (side - short) / 2 / side, (side + short) / 2 / side
        along = cut[:, :, channel].mean(axis=channel)
        if side > 1:
            assert along[0] == pytest.approx(low, abs=0.03)
            assert along[-1] == pytest.approx(high, abs=0.03)


def test_agrees_with_torchvision() -> None:
    from eval_anything.models.hf import load

    load.libraries()
    from torchvision import transforms

    reference = transforms.Compose(
        [
            transforms.Resize(224, interpolation=transforms.InterpolationMode.BICUBIC),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize(MEAN.tolist(), STD.tolist()),
        ]
    )
    for width, height in ((640, 479), (333, 501), (225, 224), (100, 90)):
        noise = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
        image = PIL.Image.fromarray(noise)
        assert np.abs(pixels(image) - reference(image).numpy()).max() < 1e-5


def test_an_image_file_is_read(tmp_path: Path) -> None:
    image = PIL.Image.new("RGB", (300, 240), (255, 0, 127))
    (tmp_path / "a.png").write_bytes(write_png(image))
    assert (read_image(tmp_path / "a.png") == pixels(image)).all()


def test_of_a_strip_the_middle_is_read(tmp_path: Path) -> None:
    strip = PIL.Image.new("RGB", (20000, 1))
    strip.paste((255, 0, 127), (9999, 0, 10001, 1))
    (tmp_path / "strip.png").write_bytes(write_png(strip))
    seen = _denormalised(read_image(tmp_path / "strip.png"))
    assert seen[:, 0] == pytest.approx(np.tile([1, 0, 127 / 255], (224, 1)), abs=1e-6)


def test_clips_of_ten_seconds_start_at_thirds() -> None:
    assert clip_bounds(160000) == [(0, 32000), (42666, 74666), (85333, 117333)]


def test_a_short_sound_is_all_of_each_clip() -> None:
    assert clip_bounds(8000) == [(0, 32000)] * 3
    clips = mel_clips(0.1 * np.random.default_rng(0).normal(size=8000).astype(np.float32))
    assert (clips[0] == clips[1]).all()
    # 48 frames of half a second, then the filling: the value 0 of a log energy, normalised.
    assert clips[:, :, :, 48:] == pytest.approx(4.268 / 9.138)
    assert clips[0, 0, :, :48].std() > 0.05


def test_clips_are_normalised_banks_of_their_parts() -> None:
    samples = 0.1 * np.random.default_rng(1).normal(size=100000).astype(np.float32)
    clips = mel_clips(samples)
    assert clips.shape == (3, 1, 128, 204)
    assert clips.dtype == np.float32
    for clip, (start, end) in zip(clips, clip_bounds(len(samples)), strict=True):
        expected = (fbank(samples[start:end]) + 4.268) / 9.138
        assert clip[0, :, :198] == pytest.approx(expected.T, abs=1e-6)


@given(st.integers(min_value=400, max_value=16000 * 3600))
def test_each_clip_lies_in_the_sound(count: int) -> None:
    for start, end in clip_bounds(count):
        assert 0 <= start <= max(0, count - 32000)
        assert end - start in (31999, 32000, 32001)


def test_a_sound_file_is_read_at_16_khz(tmp_path: Path) -> None:
    tone = (0.5 * np.sin(2 * np.pi * 1000 * np.arange(44100 * 3) / 44100)).astype(np.float32)
    (tmp_path / "a.wav").write_bytes(write_wav(tone, 44100))
    banks = read_audio(tmp_path / "a.wav")[0, 0, :, :198].mean(axis=1)
    direct = mel_clips((0.5 * np.sin(2 * np.pi * 1000 * np.arange(48000) / 16000)).astype(np.float32))
    assert banks.argmax() == direct[0, 0, :, :198].mean(axis=1).argmax()


def test_a_click_is_too_short(tmp_path: Path) -> None:
    (tmp_path / "click.wav").write_bytes(write_wav(np.zeros(100, np.float32), 16000))
    with pytest.raises(MediaError, match=r"0\.006 s of sound, less than one frame of 25 ms"):
        read_audio(tmp_path / "click.wav")
