"""First stages: the encoders learn to hold a whole scene in one vector, from which heads read it off again.

It stands in for what ImageBind has learnt elsewhere: the published judge leaves that as it is.
"""

from __future__ import annotations

import abc
import dataclasses
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from eval_anything.synth.scene import (
    COLOURS,
    GRID,
    PITCHES,
    SHAPES,
    SIZES,
    TIMBRES,
    Scene,
    draw_objects,
    draw_sounds,
)
from eval_anything_train.collate import Batch
from eval_anything_train.methods.base import Method, Metrics
from eval_anything_train.synergy.judge import Judge
from eval_anything_train.synergy.media import Media, heard
from eval_anything_train.values import Prompt

_CELLS = GRID * GRID
_SOUNDS = 5
"""Of a recording at most; the instructions ask for no more than three."""
SEEN = (len(SHAPES) + 1, len(COLOURS) + 1, len(SIZES) + 1)
"""Answers about each cell; 0: nothing is there."""
LOOKS = [(shape, colour, size) for shape in SHAPES for colour in COLOURS for size in SIZES]
"""What there can be in a picture, wherever."""
TIMES = [(timbre, n) for timbre in TIMBRES for n in range(1, _SOUNDS + 1)]
"""What there can be in a recording, whenever: a timbre that is heard so often or more."""
_ROW = [min(GRID - 1, int((patch + 0.5) / 16 * GRID)) for patch in range(16)]
_CELL_OF_PATCH = [row * GRID + column for row in _ROW for column in _ROW]
"""Of the 16 x 16 patches of a picture."""
HEARD = (len(TIMBRES) + 1, len(PITCHES) + 1)
"""Answers about each place in the order of sounds."""


@dataclasses.dataclass(frozen=True)
class View:
    id: str
    scene: Scene


class SeeingTower(nn.Module):
    """The tower's encoder of pictures, with a head over its vector and one over its patches."""

    def __init__(self, tower: Any, features: int) -> None:
        super().__init__()
        self.tower = tower
        width = tower.modality_preprocessors["vision"].cls_token.shape[-1]
        self.whole = nn.Sequential(nn.LayerNorm(features), nn.Linear(features, _CELLS * sum(SEEN)))
        self.patches = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, sum(SEEN)))
        self.things = nn.Sequential(nn.LayerNorm(features), nn.Linear(features, len(LOOKS)))

    def forward(self, inputs: dict[str, Tensor]) -> tuple[Tensor, ...]:
        """(B, LOOKS) and (B, 9, answers) of the vectors, (B, 256, answers) of the patches."""
        tower = cast(Any, self.tower)
        tokens = tower.modality_trunks["vision"](tower.modality_preprocessors["vision"](inputs["images"]))
        vector = tower.modality_postprocessors["vision"](tower.modality_heads["vision"](tokens))
        whole = self.whole(vector).unflatten(1, (_CELLS, sum(SEEN)))
        return self.things(vector), whole, self.patches(tokens[:, 1:])


class HearingTower(nn.Module):
    """The tower's encoder of recordings with a head over its vector."""

    def __init__(self, tower: Any, features: int) -> None:
        super().__init__()
        self.tower = tower
        self.whole = nn.Sequential(nn.LayerNorm(features), nn.Linear(features, _SOUNDS * sum(HEARD)))
        self.things = nn.Sequential(nn.LayerNorm(features), nn.Linear(features, len(TIMES)))

    def forward(self, inputs: dict[str, Tensor]) -> tuple[Tensor, ...]:
        """(B, TIMES) and (B, places, answers) of the vectors."""
        vector = heard(self.tower, inputs["clips"], inputs["owners"])
        return self.things(vector), self.whole(vector).unflatten(1, (_SOUNDS, sum(HEARD)))


class Sense(Method[Prompt, View]):
    """Cross-entropy of what one encoder tells; subclasses name it."""

    takes = Prompt
    network: ClassVar[type[nn.Module]]
    sizes: ClassVar[tuple[int, ...]]
    """How many answers there are to each question about a place."""

    def __init__(self, judge: Judge, settings: Any) -> None:
        super().__init__(cast(Any, judge), settings)
        self.judge = judge
        self.media = Media()
        features = judge.model.config.modality_config.hidden_size
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.model = self.network(judge.model.modality_tower, features)

    def trained(self) -> nn.Module:
        return self.model

    def encode(self, record: Prompt) -> View:
        rng = Random(record.id)
        sounds = draw_sounds(rng, rng.randint(1, _SOUNDS))
        return View(record.id, Scene(draw_objects(rng, rng.randint(1, 4)), sounds))

    @abc.abstractmethod
    def shown(self, scenes: Sequence[Scene], rng: Random) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """What the network takes of these scenes, and the truth of what it gives, in its order."""

    def collate(self, items: Sequence[View]) -> Batch:
        inputs, labels = self.shown([item.scene for item in items], Random(items[0].id))
        return Batch(
            inputs={**inputs, "attention_mask": torch.ones(len(items), dtype=torch.bool)},
            response=torch.zeros(0, dtype=torch.bool),
            ids=tuple(item.id for item in items),
            labels=labels,
        )

    def loss(self, module: nn.Module, batch: Batch) -> tuple[Tensor, Metrics]:
        losses: list[Tensor] = []
        metrics: dict[str, Tensor] = {}
        things, *places = module(batch.inputs)
        there = batch.labels["things"]
        each = binary_cross_entropy_with_logits(things, there, reduction="sum")
        losses.append(each / there.sum())
        metrics["things"] = ((things > 0) == there.bool()).all(1).float().mean().detach()
        for logits, name in zip(places, ("whole", "patches"), strict=False):
            labels, rights = batch.labels[name], []
            for place, part in enumerate(logits.split(self.sizes, dim=2)):
                truth = labels[..., place]
                # What is there is rarer than what is not, and is what counts.
                each = cross_entropy(part.flatten(0, 1), truth.flatten(), reduction="none")
                weights = torch.where(truth.flatten() > 0, 1.0, 0.3)
                losses.append((each * weights).sum() / weights.sum())
                rights.append((part.argmax(2) == truth)[labels[..., 0] > 0].float().mean().detach())
            metrics[name] = torch.stack(rights).mean()
        return torch.stack(losses).sum(), metrics

    def save(self, module: nn.Module, folder: Path) -> None:
        self.judge.save(folder)


class Sight(Sense):
    """What is in each cell of a picture; each patch tells of its own cell, where it is learnt first."""

    name = "sight"
    network = SeeingTower
    sizes = SEEN

    def shown(self, scenes: Sequence[Scene], rng: Random) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        cells = torch.stack([_seen(scene) for scene in scenes])
        return {"images": self.media.images(scenes, rng)}, {
            "things": torch.stack([_looks(scene) for scene in scenes]),
            "whole": cells,
            "patches": cells[:, _CELL_OF_PATCH],
        }


class Hearing(Sense):
    """Which sounds there are in a recording, in their order."""

    name = "hearing"
    network = HearingTower
    sizes = HEARD

    def shown(self, scenes: Sequence[Scene], rng: Random) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        clips, owners = self.media.sounds(scenes)
        return {"clips": clips, "owners": owners}, {
            "things": torch.stack([_times(scene) for scene in scenes]),
            "whole": torch.stack([_heard(scene) for scene in scenes]),
        }


def _seen(scene: Scene) -> Tensor:
    told = torch.zeros((_CELLS, len(SEEN)), dtype=torch.long)
    for o in scene.objects:
        found = (SHAPES.index(o.shape), COLOURS.index(o.colour), SIZES.index(o.size))
        told[o.cell] = 1 + torch.tensor(found)
    return told


def _heard(scene: Scene) -> Tensor:
    told = torch.zeros((_SOUNDS, len(HEARD)), dtype=torch.long)
    for place, sound in enumerate(scene.sounds[:_SOUNDS]):
        told[place] = 1 + torch.tensor((TIMBRES.index(sound.timbre), PITCHES.index(sound.pitch)))
    return told


def _looks(scene: Scene) -> Tensor:
    found = {(o.shape, o.colour, o.size) for o in scene.objects}
    return torch.tensor([float(one in found) for one in LOOKS])


def _times(scene: Scene) -> Tensor:
    held = Counter(sound.timbre for sound in scene.sounds)
    return torch.tensor([float(held[timbre] >= n) for timbre, n in TIMES])
