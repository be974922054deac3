"""The later stages: the language model learns to answer, while the encoders stay as they are."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from eval_anything_train.collate import Batch
from eval_anything_train.methods.base import Method, Metrics
from eval_anything_train.policy import Policy
from eval_anything_train.scenes import attention, rows, world
from eval_anything_train.scenes.packing import Packed, Packer
from eval_anything_train.scenes.settings import Course
from eval_anything_train.values import Prompt


class Study(Method[Prompt, Packed]):
    """Cross-entropy on the answers of a course; tokens count by one over the root of the answer's length."""

    name = "study"
    takes = Prompt

    def __init__(self, policy: Policy, settings: Any, course: Course) -> None:
        super().__init__(policy, settings)
        self.course = course
        world.weights(course.more)  # a question that there is not is refused before training
        attention.use(policy.model)
        inner = policy.model.model
        for encoder in (inner.visual, inner.audio_tower):
            encoder.requires_grad_(False)
        self.packer = Packer(policy.opened, policy.model)

    def identity(self) -> dict[str, Any]:
        return {"course": self.course}

    def encode(self, record: Prompt) -> Packed:
        rng = Random(record.id)
        return self.packer.pack(rows.draw(rng, self.course), rng, self.course, record.id)

    def collate(self, items: Sequence[Packed]) -> Batch:
        return self.packer.collate(items)

    def weight(self, batch: Batch) -> float:
        return float(batch.labels["weight"].sum())

    def loss(self, module: nn.Module, batch: Batch) -> tuple[Tensor, Metrics]:
        logits, targets, weights = answers(module, batch)
        losses = cross_entropy(logits, targets, reduction="none")
        loss = (losses * weights).sum() / weights.sum()
        right = (logits.argmax(1) == targets).float().mean()
        return loss, {"tokens_right": right.detach()}


def answers(module: Any, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """What the model says of each token of the answers, (N, V); the tokens, (N,); their weights, (N,)."""
    inputs = batch.inputs
    states = module.model.language_model(
        inputs_embeds=embedded(module, inputs),
        attention_mask={"full_attention": visible(inputs["lesson"])},
        position_ids=inputs["position_ids"],
        use_cache=False,
    ).last_hidden_state
    said = batch.response[:, 1:]
    logits = module.lm_head(states[:, :-1][said])
    return logits, inputs["input_ids"][:, 1:][said], batch.labels["weight"][:, 1:][said]


def visible(lesson: Tensor) -> Tensor:
    """(B, L), the lesson of each token, to (B, 1, L, L): a token sees what is shared and its own lesson, no
    further than itself."""
    own = lesson[:, :, None] == lesson[:, None, :]
    return (own | (lesson == 0)[:, None, :]).tril()[:, None]


def embedded(module: Any, inputs: dict[str, Tensor]) -> Tensor:
    """(B, L, width): words as vectors, and the encoders' tokens where media are."""
    inner, config = module.model, module.config
    ids = inputs["input_ids"]
    vectors: Tensor = inner.get_input_embeddings()(ids)
    with torch.no_grad():
        found = {}
        for kind, token in (("image", config.image_token_id), ("video", config.video_token_id)):
            if f"{kind}_pixels" in inputs:
                grid = inputs[f"{kind}_grid"]
                found[token] = inner.visual(inputs[f"{kind}_pixels"], grid_thw=grid).pooler_output
        if "mels" in inputs:
            held = inputs["mel_mask"].bool()
            mels = inputs["mels"].permute(0, 2, 1)[held].T
            heard = inner.audio_tower(mels, feature_lens=held.sum(1))
            found[config.audio_token_id] = heard.last_hidden_state
    for token, values in found.items():
        vectors = vectors.masked_scatter((ids == token)[..., None], values)
    return vectors
