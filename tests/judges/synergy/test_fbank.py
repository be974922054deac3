from __future__ import annotations

import cmath
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval_anything.judges.synergy.fbank import SHIFT, WINDOW, fbank, mel_filters


def _mel(hertz: float) -> float:
    return 1127.0 * math.log(1.0 + hertz / 700.0)


def _straight_line(frame: list[float]) -> list[float]:
    """One frame by Kaldi's recipe, number by number, with a Fourier sum in place of a transform."""
    mean = sum(frame) / 400
    level = [x - mean for x in frame]
    sharp = [x - 0.97 * level[max(i - 1, 0)] for i, x in enumerate(level)]
    shaped = [x * (0.5 - 0.5 * math.cos(2 * math.pi * i / 399)) for i, x in enumerate(sharp)]
    power = []
    for k in range(256):
        total = sum(x * cmath.exp(-2j * math.pi * k * i / 512) for i, x in enumerate(shaped))
        power.append(abs(total) ** 2)
    low, step = _mel(20.0), (_mel(8000.0) - _mel(20.0)) / 129
    energies = []
    for b in range(128):
        energy = 0.0
        for k in range(256):
            at = (_mel(k * 16000 / 512) - low) / step  # in widths of a filter's half
            energy += power[k] * max(0.0, 1.0 - abs(at - (b + 1)))
        energies.append(math.log(max(energy, 2.0**-23)))
    return energies


def test_equals_a_straight_line_computation() -> None:
    samples = 0.1 * np.random.default_rng(3).normal(size=WINDOW + SHIFT) + 0.05
    banks = fbank(samples)
    assert banks.shape == (2, 128)
    assert banks[0] == pytest.approx(_straight_line(samples[:WINDOW].tolist()), abs=1e-5)
    assert banks[1] == pytest.approx(_straight_line(samples[SHIFT:].tolist()), abs=1e-5)


@pytest.mark.parametrize("hertz", [250.0, 440.0, 1000.0, 3000.0, 6500.0])
def test_a_tone_sounds_in_the_filter_around_its_frequency(hertz: float) -> None:
    tone = 0.5 * np.sin(2 * np.pi * hertz * np.arange(16000) / 16000)
    step = (_mel(8000.0) - _mel(20.0)) / 129
    loudest = fbank(tone).mean(axis=0).argmax()
    # Filters below 1 kHz are narrower than a bin of the transform (31 Hz), so a tone may fall beside its own.
    assert abs(loudest - ((_mel(hertz) - _mel(20.0)) / step - 1)) < 1 + 31.25 / (hertz + 700) * 1127 / step


def test_silence_is_the_floor_and_a_constant_is_silence() -> None:
    floor = math.log(2.0**-23)
    assert fbank(np.zeros(1600)) == pytest.approx(np.full((8, 128), floor))
    assert fbank(np.full(1600, 0.7)) == pytest.approx(np.full((8, 128), floor))


def test_ten_times_the_amplitude_is_one_hundred_times_the_energy() -> None:
    samples = 0.05 * np.random.default_rng(4).normal(size=4000)
    heard = mel_filters().sum(axis=1) > 0
    assert (fbank(10 * samples) - fbank(samples))[:, heard] == pytest.approx(math.log(100), abs=1e-4)


def test_filters_are_triangles_that_add_up_to_one() -> None:
    filters = mel_filters()
    assert filters.shape == (128, 256)
    assert filters.min() == 0
    assert filters.max() <= 1
    hertz = np.arange(256) * 31.25
    first, last = (700 * (math.exp((_mel(20.0) + i * _step()) / 1127) - 1) for i in (1, 128))
    inside = (hertz >= first) & (hertz <= last)
    assert filters.sum(axis=0)[inside] == pytest.approx(1.0)


def _step() -> float:
    return (_mel(8000.0) - _mel(20.0)) / 129


@given(st.integers(min_value=WINDOW, max_value=20000))
def test_only_whole_frames_count(count: int) -> None:
    banks = fbank(np.zeros(count, np.float32))
    assert banks.shape == (1 + (count - WINDOW) // SHIFT, 128)
    assert banks.dtype == np.float32


def test_two_seconds_are_198_frames() -> None:
    assert len(fbank(np.zeros(32000))) == 198


def test_less_than_a_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="399 samples are less than one frame of 400"):
        fbank(np.zeros(WINDOW - 1))
