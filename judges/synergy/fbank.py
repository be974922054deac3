"""Log mel filter banks as Kaldi computes them, with the settings that ImageBind hears with.

A plain account of Kaldi's `compute-fbank-feats --htk-compat --window-type=hanning --dither=0
--num-mel-bins=128` on samples in [-1, 1] (Kaldi itself works on 16-bit integers); torchaudio's
`compliance.kaldi.fbank` is the reference. Energies are floored at the float32 epsilon.
"""

from __future__ import annotations

import functools

import numpy as np

SAMPLE_RATE = 16000
MEL_BINS = 128
WINDOW = 400
"""Samples of one frame: 25 ms."""
SHIFT = 160
"""Samples between frames: 10 ms."""
_FFT = 512
_PREEMPHASIS = 0.97
_LOW_HZ = 20.0
_FLOOR = float(np.finfo(np.float32).eps)


def fbank(samples: np.ndarray) -> np.ndarray:
    """(n,) samples at 16 kHz to (frames, 128) natural logarithms of mel energies, float32.

    Only whole frames count: 1 + (n - 400) // 160 of them. Raises ValueError for less than one frame.
    """
    if len(samples) < WINDOW:
        raise ValueError(f"{len(samples)} samples are less than one frame of {WINDOW}")
    frames = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), WINDOW)[::SHIFT]
    frames = frames - frames.mean(axis=1, keepdims=True)
    before = np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    windowed = (frames - _PREEMPHASIS * before) * np.hanning(WINDOW)
    power = np.abs(np.fft.rfft(windowed, _FFT)) ** 2
    energies = power[:, :-1] @ mel_filters().T
    logarithms: np.ndarray = np.log(np.maximum(energies, _FLOOR)).astype(np.float32)
    return logarithms


@functools.cache
def mel_filters() -> np.ndarray:
    """(128, 256): triangles of height 1, evenly spaced and half overlapping on the mel scale from 20 Hz to
    8 kHz; one column for each bin of a 512-point transform but the Nyquist one."""
    edges = np.linspace(_mel(_LOW_HZ), _mel(SAMPLE_RATE / 2), MEL_BINS + 2)
    bins = _mel(np.arange(_FFT // 2) * SAMPLE_RATE / _FFT)
    left, centre, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising = (bins - left) / (centre - left)
    falling = (right - bins) / (right - centre)
    triangles: np.ndarray = np.maximum(0.0, np.minimum(rising, falling))
    return triangles


def _mel(hertz: float | np.ndarray) -> np.ndarray:
    """HTK's mel scale."""
    mel: np.ndarray = 1127.0 * np.log1p(np.asarray(hertz) / 700.0)
    return mel
