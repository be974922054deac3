"""Sizes of an HPSv2 model: OpenCLIP's ViT-H-14, or what `open_clip_config.json` beside the weights says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from eval_anything.errors import UsageError
from eval_anything.judges.sizes import Depth, Width

NAME = "open_clip_config.json"


class VisionSize(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    image_size: Annotated[int, msgspec.Meta(ge=1, le=4096)] = 224
    """Pixels of the square that it sees."""
    layers: Depth = 32
    width: Width = 1280
    head_width: Width = 80
    patch_size: Annotated[int, msgspec.Meta(ge=1, le=4096)] = 14


class TextSize(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    context_length: Literal[77] = 77
    """Tokens of a prompt, the first and the last one included; what is longer is cut."""
    vocab_size: Literal[49408] = 49408
    """OpenCLIP's own vocabulary, which is part of its package."""
    width: Width = 1024
    heads: Depth = 16
    layers: Depth = 24


class CLIPConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """As OpenCLIP writes it; the defaults are those of ViT-H-14, which both published versions are."""

    embed_dim: Width = 1024
    vision_cfg: VisionSize = VisionSize()
    text_cfg: TextSize = TextSize()


class _File(msgspec.Struct, frozen=True):
    model_cfg: CLIPConfig


def read(folder: Path) -> CLIPConfig:
    """The sizes of the model in `folder`; ViT-H-14's where it holds no `open_clip_config.json`.

    Raises UsageError that names the field.
    """
    path = folder / NAME
    if not path.is_file():
        return CLIPConfig()
    try:
        config = msgspec.convert(json.loads(path.read_bytes()), _File).model_cfg
    except (ValueError, OSError) as fault:  # msgspec's and json's errors are ValueErrors
        raise UsageError(f"{path}: not the configuration of an OpenCLIP ViT: {fault}") from None
    vision, text = config.vision_cfg, config.text_cfg
    if vision.width % vision.head_width or text.width % text.heads:
        raise UsageError(f"{path}: a width does not divide by the heads")
    if vision.image_size < vision.patch_size:
        raise UsageError(f"{path}: vision_cfg: images of {vision.image_size} pixels hold no patch")
    return config
