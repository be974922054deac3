"""Scenes as ImageBind's encoders take their media, many at a time."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eval_anything.judges.images.pixels import MEAN, STD
from eval_anything.judges.synergy.fbank import SAMPLE_RATE
from eval_anything.judges.synergy.preprocess import CLIP_S, SIDE, mel_clips
from eval_anything.synth.scene import Scene
from eval_anything_train.scenes.media import recording
from eval_anything_train.scenes.sprites import sprites

_MEAN = torch.from_numpy(MEAN)[:, None, None]
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

    def sounds(self, scenes: Sequence[Scene]) -> tuple[Tensor, Tensor]:
        """(N, 1, 128, 204): the spectrograms of the recordings' clips, and (N,) whose each is. The three
        clips of a recording that is no longer than one are the same, and come once."""
        each = [_clips(recording(scene)) for scene in scenes]
        owners = torch.tensor([i for i, clips in enumerate(each) for _ in clips])
        return torch.from_numpy(np.concatenate(each)), owners


def _clips(samples: Any) -> Any:
    clips = mel_clips(samples)
    return clips[:1] if len(samples) <= CLIP_S * SAMPLE_RATE else clips


def heard(tower: Any, clips: Tensor, owners: Tensor) -> Tensor:
    """(B, features) of the recordings whose clips these are."""
    each = tower.audio(clips[:, None])
    count = int(owners.max()) + 1
    sums = each.new_zeros((count, each.shape[1])).index_add(0, owners, each)
    return sums / torch.bincount(owners, minlength=count)[:, None]
