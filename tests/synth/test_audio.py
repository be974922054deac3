import io
import wave
from itertools import combinations, product
from random import Random

import numpy as np
import pytest

from eval_anything.synth import audio
from eval_anything.synth.scene import MAX_SOUNDS, PITCHES, TIMBRES, Scene, Sound, scene


def decoded(drawn):
    with wave.open(io.BytesIO(audio.wav(drawn))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768


def bursts(samples):
    """Number of stretches of sound, between silences of at least 60 ms."""
    step = 160
    loud = [np.abs(samples[i : i + step]).max() > 0.02 for i in range(0, len(samples), step)]
    starts, quiet = 0, 6
    for here in loud:
        starts += here and quiet >= 6
        quiet = 0 if here else quiet + 1
    return starts


@pytest.mark.parametrize("seed", range(20))
def test_recording_has_as_many_bursts_as_the_scene_has_sounds(seed):
    drawn = scene(Random(seed), sounds=1 + seed % MAX_SOUNDS)
    assert bursts(decoded(drawn)) == len(drawn.sounds)


def test_longest_recording_fits_three_seconds_and_does_not_clip():
    for timbre, pitch in product(TIMBRES, PITCHES):
        samples = decoded(Scene((), (Sound(timbre, pitch),) * MAX_SOUNDS))
        assert len(samples) <= 3 * audio.RATE
        assert 0.5 < np.abs(samples).max() < 0.7


def spectrum(sound):
    """Energy over time and frequency, 8 x 32, of unit norm."""
    tone = audio.tone(sound)
    frames = tone[: len(tone) // 8 * 8].reshape(8, -1)
    power = np.abs(np.fft.rfft(frames * np.hanning(frames.shape[1]), axis=1))
    bands = np.array([[part.sum() for part in np.array_split(row, 32)] for row in power])
    return bands / np.linalg.norm(bands)


def test_every_timbre_sounds_unlike_every_other():
    for one, other in combinations(TIMBRES, 2):
        for pitch in PITCHES:
            likeness = float((spectrum(Sound(one, pitch)) * spectrum(Sound(other, pitch))).sum())
            assert likeness < 0.9, (one, other, pitch, likeness)


@pytest.mark.parametrize("timbre", ["beep", "bell", "siren"])
def test_pitch_is_audible(timbre):
    def strongest(pitch):
        power = np.abs(np.fft.rfft(audio.tone(Sound(timbre, pitch))))
        return float((power * np.arange(len(power))).sum() / power.sum())

    assert strongest("high") > 1.8 * strongest("low")


def test_same_scene_same_bytes():
    drawn = scene(Random(9), sounds=5)
    assert audio.wav(drawn) == audio.wav(drawn)
