"""Scenes as ImageBind's encoders take their media, many at a time."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from random import Random
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eval_anything.judges.images.pixels import MEAN, STD
from eval_anything.judges.synergy.fbank import SAMPLE_RATE
from eval_anything.judges.synergy.preprocess import CLIP_S, SIDE, mel_clips
from eval_anything.judges.synergy.prompt import Medium
from eval_anything.synth.scene import Scene, Sound
from eval_anything_train.scenes.media import recording
from eval_anything_train.scenes.sprites import sprites

_MEAN = torch.from_numpy(MEAN)[:, None, None]
_HELD = 2048
"""Recordings whose spectrograms are kept, of 0.1 MB each: there are not many more of one to three sounds."""
_STD = torch.from_numpy(STD)[:, None, None]


class Media:
    """May be used by several threads."""

    def __init__(self) -> None:
        self.sprites = sprites()

    def images(self, scenes: Sequence[Scene], rng: Random) -> Tensor:
        """(B, 3, 224, 224): pictures, resized as `preprocess.read_image` does (but for rounding)."""
        frames = np.concatenate([self.sprites.picture(scene, rng) for scene in scenes])
        pixels = torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255
        whole = torch.nn.functional.interpolate(pixels, (SIDE, SIDE), mode="bicubic", antialias=True)
        return (whole.clamp(0, 1) - _MEAN) / _STD

    def inputs(self, media: Sequence[tuple[Medium, Scene]], rng: Random) -> dict[str, Tensor]:
        """What the encoders take of these media; those that are alike come once.

        `is_image` (M,): which of the media are pictures; `which` (M,): of each, its place among the pictures
        `images` or among the recordings `clips`, whose `owners` are as in `sounds`.
        """
        alike: dict[Medium, dict[Any, Scene]] = {"image": {}, "audio": {}}
        keys = [(kind, scene.objects if kind == "image" else scene.sounds) for kind, scene in media]
        for (kind, key), (_, scene) in zip(keys, media, strict=True):
            alike[kind].setdefault(key, scene)
        order = {kind: list(found) for kind, found in alike.items()}
        inputs = {
            "is_image": torch.tensor([kind == "image" for kind, _ in media]),
            "which": torch.tensor([order[kind].index(key) for kind, key in keys]),
        }
        if seen := list(alike["image"].values()):
            inputs["images"] = self.images(seen, rng)
        if sounding := list(alike["audio"].values()):
            inputs["clips"], inputs["owners"] = self.sounds(sounding)
        return inputs

    def sounds(self, scenes: Sequence[Scene]) -> tuple[Tensor, Tensor]:
        """(N, 1, 128, 204): the spectrograms of the recordings' clips, and (N,) whose each is. The three
        clips of a recording that is no longer than one are the same, and come once."""
        each = [_clips(scene.sounds) for scene in scenes]
        owners = torch.tensor([i for i, clips in enumerate(each) for _ in clips])
        return torch.from_numpy(np.concatenate(each)), owners


@functools.lru_cache(_HELD)
def _clips(sounds: tuple[Sound, ...]) -> Any:
    samples = recording(Scene((), sounds))
    clips = mel_clips(samples)
    return clips[:1] if len(samples) <= CLIP_S * SAMPLE_RATE else clips


def heard(tower: Any, clips: Tensor, owners: Tensor) -> Tensor:
    """(B, features) of the recordings whose clips these are."""
    each = tower.audio(clips[:, None])
    count = int(owners.max()) + 1
    sums = each.new_zeros((count, each.shape[1])).index_add(0, owners, each)
    return sums / torch.bincount(owners, minlength=count)[:, None]
