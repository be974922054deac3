"""Sizes of an ImageReward model: what `med_config.json` beside the weights says, read strictly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from eval_anything.errors import UsageError
from eval_anything.judges.sizes import Depth, Vocabulary, Width

NAME = "med_config.json"


class VisionSize(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """BLIP's image encoder; the defaults are those of the published model, ViT-L/16 at 224 pixels."""

    width: Width = 1024
    depth: Depth = 24
    heads: Depth = 16
    side: Annotated[int, msgspec.Meta(ge=1, le=4096)] = 224
    """Pixels of the square that it sees."""
    patch: Annotated[int, msgspec.Meta(ge=1, le=4096)] = 16


class RewardConfig(msgspec.Struct, frozen=True):
    """The fields of `med_config.json` that decide a score; the defaults are the published ones.

    Its `encoder_width` is not read: the published code puts the width of the image encoder in its place.
    """

    hidden_size: Width = 768
    intermediate_size: Width = 3072
    num_attention_heads: Depth = 12
    num_hidden_layers: Depth = 12
    max_position_embeddings: Annotated[int, msgspec.Meta(ge=35, le=65536)] = 512
    vocab_size: Vocabulary = 30524
    layer_norm_eps: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 1e-12
    hidden_act: Literal["gelu"] = "gelu"
    pad_token_id: Literal[0] = 0
    add_cross_attention: Literal[True] = True
    vision: VisionSize = VisionSize()
    """Not in the published file: there is one published model."""


def read(folder: Path) -> RewardConfig:
    """The sizes of the model in `folder`; the published ones where it holds no `med_config.json`.

    Raises UsageError that names the field.
    """
    path = folder / NAME
    if not path.is_file():
        return RewardConfig()
    try:
        config = msgspec.convert(json.loads(path.read_bytes()), RewardConfig)
    except (ValueError, OSError) as fault:  # msgspec's and json's errors are ValueErrors
        raise UsageError(f"{path}: not the configuration of an ImageReward model: {fault}") from None
    towers = {"text": (config.hidden_size, config.num_attention_heads)}
    towers["vision"] = (config.vision.width, config.vision.heads)
    for name, (width, heads) in towers.items():
        if width % heads:
            raise UsageError(f"{path}: {name}: width {width} does not divide by {heads} heads")
    if config.vision.side % config.vision.patch:
        raise UsageError(f"{path}: vision: side {config.vision.side} is not a whole number of patches")
    return config
