"""The judge before training: an AnyRewardModel of toy size with fresh weights, in the published layout."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from eval_anything.models.hf import omni_random
from eval_anything_train.synergy import preferences

_VOCABULARY = 900
_CORPUS = 3000
_FEATURES = 192
_SPECIAL = {"image_token": "<image>", "video_token": "<video>", "audio_token": "<audio>", "bos_token": "<s>"}
_LANGUAGE: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 192,
    "intermediate_size": 384,
    "num_hidden_layers": 4,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 1024,
    "rope_theta": 10000.0,
}
_GRIDS = {"vision": (16, 16), "audio": (12, 19)}
"""Patches of a picture; windows of a spectrogram (mel bins by frames)."""
_TOWER = {
    "vision": {"width": 96, "depth": 4, "heads": 3},
    "audio": {"width": 96, "depth": 3, "heads": 3},
}


def build(folder: Path, seed: int) -> None:
    """Write it into `folder`; the same bytes for the same seed."""
    import torch

    from eval_anything.judges.synergy import config as configs
    from eval_anything.judges.synergy.model import AnyRewardModel

    tokenizer = _tokenizer()
    tokenizer.save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps(_config(tokenizer), indent=2), encoding="utf-8")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AnyRewardModel(configs.read(folder))
        for name, grid in _GRIDS.items():
            preprocessor = model.modality_tower.modality_preprocessors[name]
            torch.nn.init.normal_(preprocessor.cls_token, std=0.02)
            own = preprocessor.pos_embedding_helper.pos_embed
            with torch.no_grad():
                own[0, 1:] = positions(*grid, own.shape[-1])
    save(model, folder, "float32")


def positions(rows: int, columns: int, width: int) -> Any:
    """(rows * columns, width): sines and cosines of both coordinates. Positions are learnt like all weights;
    begun so, what lies near is alike, and a patch finds its neighbours early."""
    import torch

    waves = torch.pi / 2 * torch.arange(1, width // 4 + 1) / 4
    parts = []
    for count in (rows, columns):
        at = torch.arange(count)[:, None] / count * waves
        parts.append(torch.cat([at.sin(), at.cos()], dim=1))
    down = parts[0][:, None].expand(rows, columns, -1)
    across = parts[1][None].expand(rows, columns, -1)
    return torch.cat([down, across], dim=2).flatten(0, 1) / 2


def save(model: Any, folder: Path, dtype: str) -> None:
    """Write the weights as the harness's judge reads them."""
    import torch
    from safetensors.torch import save_file

    held = {
        name: value.detach().to("cpu", getattr(torch, dtype)).contiguous()
        for name, value in model.state_dict().items()
    }
    save_file(held, folder / "model.safetensors", metadata={"format": "pt"})


def _config(tokenizer: Any) -> dict[str, Any]:
    def token(name: str) -> int:
        number: int = tokenizer.convert_tokens_to_ids(name)
        return number

    return {
        "model_type": "any_model",
        "text_config": {**_LANGUAGE, "vocab_size": len(tokenizer)},
        "modality_config": {"hidden_size": _FEATURES, "imagebind": _TOWER},
        "image_token_index": token("<image>"),
        "video_token_index": token("<video>"),
        "audio_token_index": token("<audio>"),
        "pad_token_id": tokenizer.pad_token_id,
        "projector_hidden_act": "gelu",
    }


def _tokenizer() -> Any:
    from tokenizers.processors import TemplateProcessing

    made = omni_random.with_special(omni_random.learnt(_texts(), _VOCABULARY), _SPECIAL)
    start = made.convert_tokens_to_ids("<s>")
    made.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", start)]
    )
    return made


def _texts() -> Iterator[str]:
    rng = Random("vocabulary")
    for number in range(_CORPUS):
        drawn = preferences.draw(rng, preferences.PAIRS[number % 2])
        yield from (f"USER: {drawn.prompt}\nASSISTANT:\n", drawn.better.text, drawn.worse.text)
