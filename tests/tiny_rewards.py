"""Tiny random checkpoints in the layouts of the published ImageReward and HPSv2 models.

The names of the tensors are written out here a second time, from the public code (salesforce/BLIP, `vit.py`
and `med.py`; THUDM/ImageReward; mlfoundations/open_clip, `transformer.py`), so that the judges' modules do
not vouch for themselves.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Shapes = dict[str, tuple[int, ...]]
Tensors = dict[str, Any]

WORDS = ("a", "red", "green", "blue", "circle", "square", "the", "of", "fox", "##es", "and", ",", ".", "two")
VOCABULARY = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS)
MED: dict[str, Any] = {
    "architectures": ["BertModel"],
    "attention_probs_dropout_prob": 0.1,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": 24,
    "initializer_range": 0.02,
    "intermediate_size": 40,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 40,
    "model_type": "bert",
    "num_attention_heads": 3,
    "num_hidden_layers": 2,
    "pad_token_id": 0,
    "type_vocab_size": 2,
    "vocab_size": len(VOCABULARY) + 2,
    "encoder_width": 24,
    "add_cross_attention": True,
    "vision": {"width": 32, "depth": 2, "heads": 2, "side": 32, "patch": 8},
}
CLIP: dict[str, Any] = {
    "embed_dim": 12,
    "vision_cfg": {"image_size": 28, "layers": 2, "width": 32, "head_width": 16, "patch_size": 7},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2},
}


def blip_shapes(med: dict[str, Any]) -> Shapes:
    """Names and shapes of the tensors of `ImageReward.pt`."""
    vision = med["vision"]
    shapes = _vit_shapes(vision["width"], vision["depth"], vision["side"], vision["patch"])
    shapes |= _bert_shapes(med, vision["width"])
    shapes |= _linear("blip.vision_proj", 256, vision["width"]) | _linear(
        "blip.text_proj", 256, med["hidden_size"]
    )
    widths = (med["hidden_size"], 1024, 128, 64, 16, 1)
    for index, size in zip((0, 2, 4, 6, 7), zip(widths[1:], widths[:-1], strict=True), strict=True):
        shapes |= _linear(f"mlp.layers.{index}", *size)
    return shapes


def _vit_shapes(width: int, depth: int, side: int, patch: int) -> Shapes:
    name = "blip.visual_encoder"
    shapes: Shapes = {
        f"{name}.cls_token": (1, 1, width),
        f"{name}.pos_embed": (1, (side // patch) ** 2 + 1, width),
        f"{name}.patch_embed.proj.weight": (width, 3, patch, patch),
        f"{name}.patch_embed.proj.bias": (width,),
        **_norm(f"{name}.norm", width),
    }
    for i in range(depth):
        block = f"{name}.blocks.{i}"
        shapes |= _norm(f"{block}.norm1", width) | _norm(f"{block}.norm2", width)
        shapes |= _linear(f"{block}.attn.qkv", 3 * width, width) | _linear(f"{block}.attn.proj", width, width)
        shapes |= _linear(f"{block}.mlp.fc1", 4 * width, width) | _linear(
            f"{block}.mlp.fc2", width, 4 * width
        )
    return shapes


def _bert_shapes(med: dict[str, Any], seen: int) -> Shapes:
    """`seen`: the width of what the cross attention looks at."""
    name, width, inner = "blip.text_encoder", med["hidden_size"], med["intermediate_size"]
    shapes: Shapes = {
        f"{name}.embeddings.position_ids": (1, med["max_position_embeddings"]),
        f"{name}.embeddings.word_embeddings.weight": (med["vocab_size"], width),
        f"{name}.embeddings.position_embeddings.weight": (med["max_position_embeddings"], width),
        **_norm(f"{name}.embeddings.LayerNorm", width),
    }
    for i in range(med["num_hidden_layers"]):
        layer = f"{name}.encoder.layer.{i}"
        for attention, looked_at in (("attention", width), ("crossattention", seen)):
            shapes |= _linear(f"{layer}.{attention}.self.query", width, width)
            shapes |= _linear(f"{layer}.{attention}.self.key", width, looked_at)
            shapes |= _linear(f"{layer}.{attention}.self.value", width, looked_at)
            shapes |= _linear(f"{layer}.{attention}.output.dense", width, width)
            shapes |= _norm(f"{layer}.{attention}.output.LayerNorm", width)
        shapes |= _linear(f"{layer}.intermediate.dense", inner, width)
        shapes |= _linear(f"{layer}.output.dense", width, inner) | _norm(f"{layer}.output.LayerNorm", width)
    return shapes


def clip_shapes(clip: dict[str, Any]) -> Shapes:
    """Names and shapes of the tensors of `HPS_v2_compressed.pt`, those of an OpenCLIP ViT."""
    vision, text, features = clip["vision_cfg"], clip["text_cfg"], clip["embed_dim"]
    width, patch = vision["width"], vision["patch_size"]
    shapes: Shapes = {
        "positional_embedding": (text["context_length"], text["width"]),
        "text_projection": (text["width"], features),
        "logit_scale": (),
        "visual.class_embedding": (width,),
        "visual.positional_embedding": ((vision["image_size"] // patch) ** 2 + 1, width),
        "visual.proj": (width, features),
        "visual.conv1.weight": (width, 3, patch, patch),
        **_norm("visual.ln_pre", width),
        **_blocks("visual.transformer", width, vision["layers"]),
        **_norm("visual.ln_post", width),
        **_blocks("transformer", text["width"], text["layers"]),
        "token_embedding.weight": (text["vocab_size"], text["width"]),
        **_norm("ln_final", text["width"]),
    }
    return shapes


def _blocks(name: str, width: int, depth: int) -> Shapes:
    shapes: Shapes = {}
    for i in range(depth):
        block = f"{name}.resblocks.{i}"
        shapes |= _norm(f"{block}.ln_1", width) | _norm(f"{block}.ln_2", width)
        shapes |= {
            f"{block}.attn.in_proj_weight": (3 * width, width),
            f"{block}.attn.in_proj_bias": (3 * width,),
        }
        shapes |= _linear(f"{block}.attn.out_proj", width, width)
        shapes |= _linear(f"{block}.mlp.c_fc", 4 * width, width)
        shapes |= _linear(f"{block}.mlp.c_proj", width, 4 * width)
    return shapes


def _linear(name: str, out: int, into: int) -> Shapes:
    return {f"{name}.weight": (out, into), f"{name}.bias": (out,)}


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def tensors(shapes: Shapes, seed: int = 7) -> Tensors:
    """Random, and large enough for scores to differ; weights of norms are near one."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    made: Tensors = {}
    for name, shape in shapes.items():
        if name.endswith("position_ids"):
            made[name] = torch.arange(shape[1])[None]
            continue
        parent = name.rpartition(".")[0].rpartition(".")[2].lower()
        near_one = name.endswith("weight") and ("norm" in parent or parent.startswith("ln_"))
        scale = 0.3 if len(shape) < 2 else 0.9 * shape[-1] ** -0.5
        made[name] = scale * torch.randn(shape, generator=generator) + float(near_one)
    return made


def image_reward(
    folder: Path, form: str = "pt", change: Callable[[Tensors], object] | None = None, **settings: Any
) -> Path:
    """Write `ImageReward.pt` (or `.safetensors`), `med_config.json` and `vocab.txt` into `folder`.

    `change` gets the tensors before they are written; `settings` replace fields of the configuration.
    """
    folder.mkdir(parents=True, exist_ok=True)
    med = MED | settings
    (folder / "med_config.json").write_text(json.dumps(med))
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in VOCABULARY))
    held = tensors(blip_shapes(med))
    if change is not None:
        change(held)
    _save(held, folder / f"ImageReward.{form}", {})
    return folder


def hpsv2(
    folder: Path,
    form: str = "pt",
    change: Callable[[Tensors], object] | None = None,
    version: str = "2",
    **settings: Any,
) -> Path:
    """Write `HPS_v2_compressed.pt` (`version`: "2" or "2.1"; or `.safetensors`) and its configuration."""
    folder.mkdir(parents=True, exist_ok=True)
    clip = CLIP | settings
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": clip}))
    held = tensors(clip_shapes(clip), seed=11 if version == "2" else 12)
    if change is not None:
        change(held)
    _save(held, folder / f"HPS_v{version}_compressed.{form}", {"epoch": 1, "name": "hps"})
    return folder


def _save(held: Tensors, file: Path, around: dict[str, Any]) -> None:
    """As pickles are published: with what else a training run saves `around` them, where there is any."""
    import torch
    from safetensors.torch import save_file

    if file.suffix == ".safetensors":
        save_file(held, file)
    else:
        torch.save({**around, "state_dict": held} if around else held, file)
