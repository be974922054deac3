"""A tiny random checkpoint in the layout of the published AnyRewardModel, and what its names must be.

The names of ImageBind's tensors are written out here a second time, from the public code
(facebookresearch/ImageBind, `imagebind_model.py`), so that the judge's modules do not vouch for themselves.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from eval_anything.models.hf import load, omni_random

FEATURES, HIDDEN = 16, 32
VISION, AUDIO = (16, 2, 2), (12, 2, 3)  # width, depth, heads
SPECIAL = {"image_token": "<image>", "video_token": "<video>", "audio_token": "<audio>", "bos_token": "<s>"}
Shapes = dict[str, tuple[int, ...]]


def imagebind_shapes(vision: tuple[int, int], audio: tuple[int, int], features: int) -> Shapes:
    """Names and shapes of the vision and audio tensors of `imagebind_huge.pth`; `vision` and `audio` are
    width and depth."""
    v, a = vision[0], audio[0]
    shapes: Shapes = {
        "modality_preprocessors.vision.cls_token": (1, 1, v),
        "modality_preprocessors.vision.rgbt_stem.proj.1.weight": (v, 3, 2, 14, 14),
        "modality_preprocessors.vision.pos_embedding_helper.pos_embed": (1, 257, v),
        "modality_preprocessors.audio.cls_token": (1, 1, a),
        "modality_preprocessors.audio.rgbt_stem.proj.weight": (a, 1, 16, 16),
        "modality_preprocessors.audio.rgbt_stem.norm_layer.weight": (a,),
        "modality_preprocessors.audio.rgbt_stem.norm_layer.bias": (a,),
        "modality_preprocessors.audio.pos_embedding_helper.pos_embed": (1, 229, a),
        "modality_trunks.vision.pre_transformer_layer.0.weight": (v,),
        "modality_trunks.vision.pre_transformer_layer.0.bias": (v,),
        "modality_postprocessors.audio.1.log_logit_scale": (),
    }
    for name, (width, depth) in (("vision", vision), ("audio", audio)):
        for i in range(depth):
            block = f"modality_trunks.{name}.blocks.{i}"
            shapes |= {
                f"{block}.attn.in_proj_weight": (3 * width, width),
                f"{block}.attn.in_proj_bias": (3 * width,),
                f"{block}.attn.out_proj.weight": (width, width),
                f"{block}.attn.out_proj.bias": (width,),
                f"{block}.norm_1.weight": (width,),
                f"{block}.norm_1.bias": (width,),
                f"{block}.mlp.fc1.weight": (4 * width, width),
                f"{block}.mlp.fc1.bias": (4 * width,),
                f"{block}.mlp.fc2.weight": (width, 4 * width),
                f"{block}.mlp.fc2.bias": (width,),
                f"{block}.norm_2.weight": (width,),
                f"{block}.norm_2.bias": (width,),
            }
            if name == "audio":
                shapes |= {f"{block}.attn.bias_k": (1, 1, width), f"{block}.attn.bias_v": (1, 1, width)}
        shapes |= {
            f"modality_heads.{name}.0.weight": (width,),
            f"modality_heads.{name}.0.bias": (width,),
            f"modality_heads.{name}.2.weight": (features, width),
        }
    return shapes


def tokenizer() -> Any:
    """Byte-level, with a start token as Llama-3's, and the published special tokens."""
    load.libraries()
    from tokenizers.processors import TemplateProcessing

    made = omni_random.byte_tokenizer(["the", "image", "sound"], SPECIAL)
    start = made.convert_tokens_to_ids("<s>")
    made.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", start)]
    )
    return made


def config(made: Any) -> dict[str, Any]:
    return {
        "architectures": ["AnyRewardModel"],
        "auto_map": {"AutoModel": "any_model.AnyRewardModel", "AutoConfig": "any_model.AnyModelConfig"},
        "model_type": "any_model",
        "text_config": {
            "model_type": "llama",
            "vocab_size": len(made),
            "hidden_size": HIDDEN,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 512,
            "rope_theta": 500000.0,
        },
        "modality_config": {
            "hidden_size": FEATURES,
            "imagebind_ckpt_path": "imagebind",
            "imagebind": {
                name: dict(zip(("width", "depth", "heads"), size, strict=True))
                for name, size in (("vision", VISION), ("audio", AUDIO))
            },
        },
        "image_token_index": made.convert_tokens_to_ids("<image>"),
        "video_token_index": made.convert_tokens_to_ids("<video>"),
        "audio_token_index": made.convert_tokens_to_ids("<audio>"),
        "pad_token_id": made.pad_token_id,
        "projector_hidden_act": "gelu",
        "torch_dtype": "float32",
    }


def tensors(settings: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The main weights and ImageBind's, by published name; random, and large enough for scores to differ."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    generator = torch.Generator().manual_seed(7)

    def random(shape: tuple[int, ...], name: str) -> Any:
        near_one = "norm" in name and name.endswith("weight")
        drawn = 0.3 * torch.randn(shape, generator=generator)
        return drawn + 1 if near_one else drawn

    with torch.device("meta"):
        language = LlamaForCausalLM(LlamaConfig(**settings["text_config"])).state_dict()
    shapes = {f"model.language_model.{name}": tuple(t.shape) for name, t in language.items()}
    for modality in ("image", "video", "audio"):
        for layer, width in (("linear_1", FEATURES), ("linear_2", HIDDEN)):
            shapes[f"model.{modality}_projector.{layer}.weight"] = (HIDDEN, width)
            shapes[f"model.{modality}_projector.{layer}.bias"] = (HIDDEN,)
    shapes["score_head.weight"] = (1, HIDDEN)
    tower = imagebind_shapes(VISION[:2], AUDIO[:2], FEATURES) | {
        "modality_preprocessors.text.mask": (3, 3),
        "modality_trunks.imu.blocks.0.attn.bias_k": (1, 1, 4),
        "modality_postprocessors.depth.1.log_logit_scale": (),
    }
    main = {name: random(shape, name) for name, shape in shapes.items()}
    return main, {name: random(shape, name) for name, shape in tower.items()}


def build(
    folder: Path,
    form: str = "safetensors",
    change: Callable[[dict[str, Any], dict[str, Any]], object] | None = None,
    **settings: Any,
) -> Path:
    """Write the checkpoint into `folder`: as `safetensors`, or as `bin` with pickles, as it is published.

    `change` gets the main tensors and ImageBind's before they are written; `settings` replace fields of
    config.json.
    """
    import torch
    from safetensors.torch import save_file

    made = tokenizer()
    written = config(made) | settings
    main, tower = tensors(config(made))
    if change is not None:
        change(main, tower)
    (folder / "imagebind").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(written))
    made.save_pretrained(folder)
    if form == "safetensors":
        save_file(main, folder / "model.safetensors")
        save_file(tower, folder / "imagebind" / "imagebind_huge.safetensors")
    else:
        torch.save(main, folder / "pytorch_model.bin")
        torch.save(tower, folder / "imagebind" / "imagebind_huge.pth")
    return folder
