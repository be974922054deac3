"""Scenes as the tensors that the processor makes of their media files."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from random import Random
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eval_anything.synth import audio, image
from eval_anything.synth.audio import RATE
from eval_anything.synth.scene import Scene
from eval_anything_train.scenes.sprites import Pixels, sprites

CLIP_S = image.FRAMES / image.FPS
"""Seconds of a clip."""
_ASPECTS = (0.6, 1.67)
"""Width by height of a picture that is not square, at least and at most."""


class Media:
    """Makes what a processor of the Qwen2.5-Omni family would make. May be used by several threads."""

    def __init__(self, processor: Any) -> None:
        self._vision = vision = processor.image_processor
        self._extractor = processor.feature_extractor
        self.patch, self.merge = vision.patch_size, vision.merge_size
        self._pair = vision.temporal_patch_size
        self._mean = np.asarray(vision.image_mean, np.float32) * 255
        self._std = np.asarray(vision.image_std, np.float32) * 255
        self.sprites = sprites()

    def picture(self, scene: Scene, rng: Random) -> tuple[Tensor, tuple[int, int, int]]:
        """Pixel values (patches, values) and the grid in patches (time, rows, columns)."""
        frames = self.sprites.picture(scene, rng)
        return self.patches(np.repeat(frames, self._pair, axis=0))

    def clip(self, scene: Scene, rng: Random, frames: int) -> tuple[Tensor, tuple[int, int, int]]:
        """The same for `frames` frames of a clip, an even number of them."""
        return self.patches(self.sprites.clip(scene, rng, frames))

    def patches(self, frames: Pixels) -> tuple[Tensor, tuple[int, int, int]]:
        """(frames, height, width, 3) in patches, those of one token one after another."""
        p, m = self.patch, self.merge
        time, rows, columns = len(frames) // self._pair, frames.shape[1] // p, frames.shape[2] // p
        values = (frames.astype(np.float32) - self._mean) / self._std
        split = values.reshape(time, self._pair, rows // m, m, p, columns // m, m, p, 3)
        # time, token row and column, patch row and column within the token; colour, frame, pixel row, column
        ordered = split.transpose(0, 2, 5, 3, 6, 8, 1, 4, 7)
        return torch.from_numpy(ordered.reshape(time * rows * columns, -1)), (time, rows, columns)

    def odd_picture(self, scene: Scene, rng: Random) -> tuple[Tensor, tuple[int, int, int]]:
        """A picture with more ground on two sides, as the processor shrinks it."""
        from PIL import Image

        aspect = rng.uniform(*_ASPECTS)
        size = (round(image.EDGE * max(1, aspect)), round(image.EDGE * max(1, 1 / aspect)))
        canvas = Image.new("RGB", size, image.GROUND)
        canvas.paste(image.draw(scene), ((size[0] - image.EDGE) // 2, (size[1] - image.EDGE) // 2))
        found = self._vision(images=[canvas], return_tensors="pt")
        time, rows, columns = found["image_grid_thw"][0].tolist()
        return found["pixel_values"], (time, rows, columns)

    def mel_frames(self, scene: Scene) -> int:
        """Mel frames of a recording that are heard: one for each hop that begins within it."""
        hop = self._extractor.hop_length
        frames: int = -(-len_samples(scene) // hop)
        return frames

    def sound_tokens(self, scene: Scene) -> int:
        """Tokens of a recording, as the encoder's convolution and pooling leave them."""
        return ((self.mel_frames(scene) - 1) // 2 + 1 - 2) // 2 + 1

    def sounds(self, scenes: Sequence[Scene]) -> tuple[Tensor, Tensor]:
        """Mel frames (B, mel bins, frames) of the recordings, and (B, frames) which of them are heard."""
        found = self._extractor(
            [recording(scene) for scene in scenes],
            sampling_rate=RATE,
            padding="max_length",
            return_attention_mask=True,
            return_tensors="pt",
        )
        return found["input_features"], found["attention_mask"]


def len_samples(scene: Scene) -> int:
    """Samples of a scene's recording."""
    return round((audio.LEAD_S + len(scene.sounds) * audio.SLOT_S) * RATE)


def recording(scene: Scene) -> Any:
    """The samples as they come out of the scene's WAV file, which holds 16 bits."""
    whole = np.zeros(len_samples(scene), np.float32)
    for i, sound in enumerate(scene.sounds):
        start = round((audio.LEAD_S + i * audio.SLOT_S) * RATE)
        event = _event(sound)
        whole[start : start + len(event)] = event
    return whole


@functools.cache
def _event(sound: Any) -> Any:
    return np.round(audio.tone(sound) * 32767).astype(np.int16).astype(np.float32) / 32768
