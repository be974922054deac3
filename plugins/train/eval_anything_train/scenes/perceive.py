"""First stage: the encoders learn what is in each cell and what sounds in each moment, from the truth.

Heads that are thrown away afterwards read it off the encoders' tokens. So what a token holds is there before
words for it are learnt, which takes a language model many times as long to find out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from eval_anything.synth import audio
from eval_anything.synth.describe import runs
from eval_anything.synth.scene import (
    COLOURS,
    GRID,
    MAX_OBJECTS,
    MAX_SOUNDS,
    MOTIONS,
    PITCHES,
    SHAPES,
    SIZES,
    TIMBRES,
    Scene,
    scene,
)
from eval_anything_train.collate import Batch
from eval_anything_train.methods.base import Method, Metrics
from eval_anything_train.policy import Policy, save_policy
from eval_anything_train.scenes import attention
from eval_anything_train.scenes.media import Media
from eval_anything_train.values import Prompt

_CELLS = GRID * GRID
SEEN = {
    "shape": len(SHAPES) + 1,
    "colour": len(COLOURS) + 1,
    "size": len(SIZES) + 1,
    "motion": len(MOTIONS) + 1,
    "nth object": MAX_OBJECTS + 1,
    "cell": _CELLS,
    "objects": MAX_OBJECTS + 1,
    "moving": MAX_OBJECTS + 1,
}
"""What is told of each token of a picture or clip, and how many answers there are (0: nothing is there).
The last three are told of empty cells too."""
HEARD = {
    "sound": len(TIMBRES) * len(PITCHES) + 1,
    "nth sound": MAX_SOUNDS + 1,
    "times": MAX_SOUNDS + 1,
    "in a row": MAX_SOUNDS + 1,
    "sounds": MAX_SOUNDS + 1,
}
"""The same of each token of a recording: the sound, its place in the order, how often its timbre is heard,
how often in a row; and of all tokens, how many sounds there are."""
TOKEN_S = 0.125
"""Seconds of a recording that a token stands for: four mel frames."""
_FRAMES = (2, 2, 4, 8)
"""Frames of a clip; as the harness has them by default, two of them twice as often."""


@dataclasses.dataclass(frozen=True)
class View:
    """What is seen and heard of one scene, with the truth about each token."""

    id: str
    scene: Scene
    pixels: Tensor
    grid: tuple[int, int, int]
    seen: Tensor
    """(tokens, len(SEEN)): classes."""


class Perceiver(nn.Module):
    """The two encoders with a head over each."""

    def __init__(self, model: Any, width: int) -> None:
        super().__init__()
        self.visual, self.audio_tower = model.model.visual, model.model.audio_tower
        self.seen = nn.Linear(width, sum(SEEN.values()))
        self.heard = nn.Linear(width, sum(HEARD.values()))

    def forward(self, inputs: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Logits about all visual tokens, and about all tokens of sounds."""
        seen = self.visual(inputs["pixel_values"], grid_thw=inputs["grid_thw"]).pooler_output
        held = inputs["feature_attention_mask"].bool()
        mels = inputs["input_features"].permute(0, 2, 1)[held].T
        lengths = held.sum(1)
        heard = self.audio_tower(mels, feature_lens=lengths).last_hidden_state
        return self.seen(seen), self.heard(heard)


class Perceive(Method[Prompt, View]):
    """Cross-entropy of what the tokens of the encoders tell."""

    name = "perceive"
    takes = Prompt

    def __init__(self, policy: Policy, settings: Any) -> None:
        super().__init__(policy, settings)
        attention.use(policy.model)
        self.media = Media(policy.opened.processor)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.model = Perceiver(policy.model, policy.model.config.text_config.hidden_size)

    def trained(self) -> nn.Module:
        return self.model

    def encode(self, record: Prompt) -> View:
        rng = Random(record.id)
        drawn = scene(rng, sounds=rng.randint(1, MAX_SOUNDS), video=rng.random() < 0.5)
        if drawn.video:
            pixels, grid = self.media.clip(drawn, rng, rng.choice(_FRAMES))
        else:
            pixels, grid = self.media.picture(drawn, rng)
        return View(record.id, drawn, pixels, grid, cells(drawn).repeat(grid[0], 1))

    def collate(self, items: Sequence[View]) -> Batch:
        mels, held = self.media.sounds([item.scene for item in items])
        heard = [moments(item.scene, int(frames)) for item, frames in zip(items, held.sum(1), strict=True)]
        tokens = sum(len(item.seen) for item in items) + sum(map(len, heard))
        return Batch(
            inputs={
                "pixel_values": torch.cat([item.pixels for item in items]),
                "grid_thw": torch.tensor([item.grid for item in items]),
                "input_features": mels,
                "feature_attention_mask": held,
                "attention_mask": torch.ones(tokens, dtype=torch.bool),
            },
            response=torch.zeros(0, dtype=torch.bool),
            ids=tuple(item.id for item in items),
            labels={"seen": torch.cat([item.seen for item in items]), "heard": torch.cat(heard)},
        )

    def loss(self, module: nn.Module, batch: Batch) -> tuple[Tensor, Metrics]:
        seen, heard = module(batch.inputs)
        losses: list[Tensor] = []
        metrics: dict[str, Tensor] = {}
        for kinds, logits, labels in (
            (SEEN, seen, batch.labels["seen"]),
            (HEARD, heard, batch.labels["heard"]),
        ):
            parts = logits.split(list(kinds.values()), dim=1)
            for place, (name, part) in enumerate(zip(kinds, parts, strict=True)):
                truth = labels[:, place]
                losses.append(cross_entropy(part, truth))
                there = truth > 0 if name != "cell" else truth >= 0
                metrics[name] = (part.argmax(1) == truth)[there].float().mean().detach()
        return torch.stack(losses).sum(), metrics

    def save(self, module: nn.Module, folder: Path) -> None:
        save_policy(self.policy, self.policy.model, folder)


def cells(drawn: Scene) -> Tensor:
    """(9, len(SEEN)): the classes of what each cell holds, in reading order."""
    empty = dict.fromkeys(SEEN, 0) | {
        "objects": len(drawn.objects),
        "moving": sum(obj.motion != "still" for obj in drawn.objects),
    }
    told = [empty | {"cell": cell} for cell in range(_CELLS)]
    for place, obj in enumerate(drawn.objects, 1):
        told[obj.cell] |= {
            "shape": 1 + SHAPES.index(obj.shape),
            "colour": 1 + COLOURS.index(obj.colour),
            "size": 1 + SIZES.index(obj.size),
            "motion": 1 + MOTIONS.index(obj.motion),
            "nth object": place,
        }
    return _classes(told, SEEN)


def moments(drawn: Scene, frames: int) -> Tensor:
    """(tokens, len(HEARD)): the classes of what sounds in each moment of so many mel frames."""
    count = ((frames - 1) // 2 + 1 - 2) // 2 + 1  # as the encoder's convolution and pooling leave them
    silence = dict.fromkeys(HEARD, 0) | {"sounds": len(drawn.sounds)}
    told = [silence] * count
    in_a_row = [n for _, n in runs(drawn.sounds) for _ in range(n)]
    for i, sound in enumerate(drawn.sounds):
        start = audio.LEAD_S + i * audio.SLOT_S
        heard = silence | {
            "sound": 1 + TIMBRES.index(sound.timbre) * len(PITCHES) + PITCHES.index(sound.pitch),
            "nth sound": 1 + i,
            "times": sum(other.timbre == sound.timbre for other in drawn.sounds),
            "in a row": in_a_row[i],
        }
        for token in range(count):
            if start <= (token + 0.5) * TOKEN_S < start + audio.SOUND_S:
                told[token] = heard
    return _classes(told, HEARD)


def _classes(told: Sequence[dict[str, int]], names: Iterable[str]) -> Tensor:
    return torch.tensor([[token[name] for name in names] for token in told])
