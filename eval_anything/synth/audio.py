"""Scenes as recordings: one sound after the other, with silence between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eval_anything.media.convert import write_wav
from eval_anything.synth.scene import Pitch, Scene, Sound, Timbre

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt

    Samples = npt.NDArray[np.float32]
    Wave = npt.NDArray[np.float64]

RATE = 16_000
"""Hertz."""
LEAD_S = 0.1
SOUND_S = 0.3
SLOT_S = 0.48
"""From the start of one sound to the start of the next: six of them fit into three seconds."""
HERTZ: dict[Pitch, float] = {"low": 330.0, "high": 990.0}
_PEAK = 0.6
_FADE_S = 0.008


def wav(scene: Scene) -> bytes:
    """The recording of a scene, 16-bit mono at RATE; same scene, same bytes."""
    return write_wav(samples(scene), RATE)


def samples(scene: Scene) -> "Samples":
    """The recording's samples in -1..1, mono."""
    import numpy as np

    whole = np.zeros(round((LEAD_S + len(scene.sounds) * SLOT_S) * RATE), dtype=np.float32)
    for i, sound in enumerate(scene.sounds):
        start = round((LEAD_S + i * SLOT_S) * RATE)
        event = tone(sound)
        whole[start : start + len(event)] = event
    return whole


def tone(sound: Sound) -> "Samples":
    """One event of SOUND_S seconds, with its peak at the common level and no click at either end."""
    import numpy as np

    t = np.arange(round(SOUND_S * RATE)) / RATE
    wave = _WAVES[sound.timbre](t, HERTZ[sound.pitch])
    fade = round(_FADE_S * RATE)
    ramp = np.linspace(0.0, 1.0, fade)
    if sound.timbre not in ("click", "bell"):  # those two live by their sharp attack
        wave[:fade] *= ramp
    wave[-fade:] *= ramp[::-1]
    event: Samples = (wave * (_PEAK / np.abs(wave).max())).astype(np.float32)
    return event


def _beep(t: "Wave", hertz: float) -> "Wave":
    return _sine(hertz * t)


def _bell(t: "Wave", hertz: float) -> "Wave":
    """Inharmonic partials, the higher ones dying sooner."""
    import numpy as np

    partials = ((1.0, 1.0, 6.0), (2.76, 0.6, 9.0), (5.4, 0.35, 14.0))
    return sum((a * np.exp(-d * t) * _sine(hertz * f * t) for f, a, d in partials), start=np.zeros_like(t))


def _buzz(t: "Wave", hertz: float) -> "Wave":
    """A sawtooth two octaves down, rattling 30 times a second."""
    import numpy as np

    return ((t * hertz / 4) % 1.0 * 2 - 1) * (0.6 + 0.4 * np.sign(_sine(30 * t)))


def _chirp(t: "Wave", hertz: float) -> "Wave":
    """Glides up by two octaves."""
    return _sine(hertz * (t + 1.5 * t**2 / SOUND_S))


def _click(t: "Wave", hertz: float) -> "Wave":
    """A knock of a few hundredths of a second."""
    import numpy as np

    return _noise(t) * np.exp(-t * 160) + _sine(hertz * t) * np.exp(-t * 90)


def _hiss(t: "Wave", hertz: float) -> "Wave":
    """White noise, or noise with its highs smoothed away where it is to be low."""
    import numpy as np

    noise = _noise(t)
    return noise if hertz == HERTZ["high"] else np.convolve(noise, np.ones(6) / 6, mode="same")


def _siren(t: "Wave", hertz: float) -> "Wave":
    """Wails around its pitch ten times a second."""
    return _sine(hertz * t + 2.0 * _sine(10 * t))


def _sine(cycles: "Wave") -> "Wave":
    import numpy as np

    wave: Wave = np.sin(2 * np.pi * cycles)
    return wave


def _noise(t: "Wave") -> "Wave":
    import numpy as np

    return np.random.default_rng(0).random(len(t)) * 2 - 1


_WAVES: "dict[Timbre, Callable[[Wave, float], Wave]]" = {
    "beep": _beep,
    "bell": _bell,
    "buzz": _buzz,
    "chirp": _chirp,
    "click": _click,
    "hiss": _hiss,
    "siren": _siren,
}
