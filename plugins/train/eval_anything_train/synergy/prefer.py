"""The later stages: Bradley-Terry on preferences, the projectors alone first, then the language model too.

Align Anything (arXiv 2412.15838), appendix 12.2.4: the encoders are never trained here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from eval_anything_train.collate import Batch
from eval_anything_train.methods.base import Method, Metrics
from eval_anything_train.synergy import preferences
from eval_anything_train.synergy.judge import PAIR_OF, Judge, Shown, padded
from eval_anything_train.synergy.media import Media, heard
from eval_anything_train.values import Prompt


@dataclasses.dataclass(frozen=True)
class Item:
    id: str
    better: Shown
    worse: Shown


class Prefer(Method[Prompt, Item]):
    """The better answer is to have the higher score at its last token."""

    takes = Prompt
    language: ClassVar[bool]
    """Whether the language model is trained as well."""

    def __init__(self, judge: Judge, settings: Any) -> None:
        super().__init__(cast(Any, judge), settings)
        self.judge = judge
        self.media = Media()
        model = judge.model
        model.modality_tower.requires_grad_(False)
        model.language_model.requires_grad_(self.language)
        model.score_head.requires_grad_(True)

    def trained(self) -> nn.Module:
        model: nn.Module = self.judge.model
        return model

    def encode(self, record: Prompt) -> Item:
        rng = Random(record.id)
        pair = rng.choice(preferences.PAIRS)
        drawn = preferences.draw(rng, pair)
        better, worse = (
            self.judge.shown(drawn.prompt, a, PAIR_OF[pair]) for a in (drawn.better, drawn.worse)
        )
        return Item(record.id, better, worse)

    def collate(self, items: Sequence[Item]) -> Batch:
        rows = [item.better for item in items] + [item.worse for item in items]
        inputs, _ = padded(rows, self.judge.pad)
        inputs |= self.media.inputs([one for row in rows for one in row.media], Random(items[0].id))
        response = torch.zeros(0, dtype=torch.bool)  # no words are learnt here
        return Batch(inputs=inputs, response=response, ids=tuple(item.id for item in items))

    def loss(self, module: nn.Module, batch: Batch) -> tuple[Tensor, Metrics]:
        _, scores = read(module, batch)
        better, worse = scores.chunk(2)
        return -logsigmoid(better - worse).mean(), {
            "accuracy": (better > worse).float().mean().detach(),
            "margin": (better - worse).mean().detach(),
        }

    def save(self, module: nn.Module, folder: Path) -> None:
        self.judge.save(folder)


class Projectors(Prefer):
    name = "projectors"
    language = False


class Everything(Prefer):
    name = "everything"
    language = True


def read(module: Any, batch: Batch) -> tuple[Tensor, Tensor]:
    """The last layer's states, (B, L, width), and the scores at the last tokens, (B,)."""
    inputs = batch.inputs
    images = inputs["is_image"]
    media = torch.zeros((len(images), module.language_model.config.hidden_size), device=images.device)
    with torch.no_grad():
        tower, features = module.modality_tower, {}
        if "images" in inputs:
            features["image"] = tower.images(inputs["images"])
        if "clips" in inputs:
            features["audio"] = heard(tower, inputs["clips"], inputs["owners"])
    for medium, places in (("image", images), ("audio", ~images)):
        if medium in features:
            projector = module.image_projector if medium == "image" else module.audio_projector
            each = projector(features[medium])[inputs["which"][places]]
            media = media.masked_scatter(places[:, None], each)
    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    config = module.config
    there = (ids == config.image_token_index) | (ids == config.audio_token_index)
    embedded = module.language_model.embed_tokens(ids).masked_scatter(there[..., None], media)
    states = module.language_model(
        inputs_embeds=embedded, attention_mask=mask, use_cache=False
    ).last_hidden_state
    scores = module.score_head(states).squeeze(-1).float()
    return states, scores.gather(1, (mask.sum(1) - 1)[:, None]).squeeze(1)
