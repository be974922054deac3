"""From `ImageReward.pt` to a model that scores: every tensor under its published name, no open pickle."""

from __future__ import annotations

import re
from pathlib import Path

from eval_anything.judges import weights
from eval_anything.judges.image_reward.config import RewardConfig
from eval_anything.judges.image_reward.model import ImageReward

_LAYER = r"visual_encoder\.encoder\.layers\.(\d+)"
_PUBLISHED = (
    (r"visual_encoder\.embeddings\.class_embedding", "visual_encoder.cls_token"),
    (r"visual_encoder\.embeddings\.position_embedding", "visual_encoder.pos_embed"),
    (r"visual_encoder\.embeddings\.patch_embedding", "visual_encoder.patch_embed.proj"),
    (rf"{_LAYER}\.layer_norm([12])", r"visual_encoder.blocks.\1.norm\2"),
    (rf"{_LAYER}\.self_attn\.qkv", r"visual_encoder.blocks.\1.attn.qkv"),
    (rf"{_LAYER}\.self_attn\.projection", r"visual_encoder.blocks.\1.attn.proj"),
    (rf"{_LAYER}\.mlp", r"visual_encoder.blocks.\1.mlp"),
    (r"visual_encoder\.post_layernorm", "visual_encoder.norm"),
)
"""Beginnings of transformers' names, and of those in BLIP's public code, where they differ."""
_SPARE = (
    "blip.text_encoder.embeddings.position_ids",  # 0, 1, 2 ...: a buffer that BERT once saved
    # Projections for BLIP's contrastive loss, which a reward does not use.
    "blip.vision_proj.",
    "blip.text_proj.",
)


def load_model(file: Path, config: RewardConfig, device: str, dtype: str) -> ImageReward:
    """The model with all of its weights, ready to score; its head stays float32, as in the published code.

    Raises UsageError that names what is missing, unknown or of another shape.
    """

    def build() -> ImageReward:
        return ImageReward(config)

    expected = weights.shapes(build)
    with weights.opened([file]) as held:
        known = {published(name): shape for name, shape in expected.items()}
        weights.check(file, "an ImageReward model", held, known, _SPARE)
        stored = {name: held[published(name)] for name in expected}
        model = weights.filled(build, stored, device, dtype, exact=("mlp.",))
    model.restore_positions(device)
    return model


def published(name: str) -> str:
    """What the published checkpoint calls the tensor `name` of `ImageReward`."""
    if name.startswith("mlp."):
        return name
    for ours, theirs in _PUBLISHED:
        name = re.sub(rf"^{ours}(?=\.|$)", theirs, name)
    return f"blip.{name}"
