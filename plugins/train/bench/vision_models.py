"""Qwen2-VL checkpoints of any size with random weights, and pairs about pictures: what the benches train."""

from __future__ import annotations

import dataclasses
import json
import random
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(REPOSITORY / "tests"))

import tiny_models  # noqa: E402

from eval_anything.values import File, Message, Text  # noqa: E402
from eval_anything_train.values import Pair  # noqa: E402

WORDS = ("red", "blue", "image", "sound", "what", "the", "yes", "no", "circle", "square", "left", "two")


@dataclasses.dataclass(frozen=True)
class Size:
    """Of a checkpoint."""

    hidden: int
    layers: int
    heads: int
    """Of `hidden / heads`, a multiple of 8; a quarter of them, or two, are key and value heads."""
    feed: int
    vocabulary: int
    vision_width: int = 128
    vision_layers: int = 4
    edge: int = 224
    """Of pictures, in pixels: (edge / 28)^2 tokens."""


SMALL = Size(hidden=320, layers=5, heads=8, feed=896, vocabulary=3072, edge=112)
"""8 million parameters: a step of four pairs takes about half a second on two cores. The head over the
vocabulary is a sixth of the blocks, as in Qwen2-VL-2B: how it is computed is where trainers differ."""
MIDDLE = Size(hidden=1024, layers=8, heads=16, feed=2816, vocabulary=16384, edge=112)
"""130 million: the weights are more than all else."""
HALF_BILLION = Size(
    hidden=896,
    layers=24,
    heads=14,
    feed=4864,
    vocabulary=151936,
    vision_width=640,
    vision_layers=12,
    edge=448,
)
"""As Qwen2-0.5B, 0.7 billion with its two heads, and a picture is 256 tokens."""


def build(folder: Path, size: Size) -> Path:
    """Write the checkpoint. Its tokenizer is a tiny one: ids of the upper vocabulary are never seen."""
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText

    tiny_models.tiny_qwen2_vl(folder)
    config = AutoConfig.from_pretrained(folder)
    quarter = size.hidden // size.heads // 8
    rope = {**config.text_config.rope_parameters, "mrope_section": [2 * quarter, quarter, quarter]}
    for name, value in {
        "hidden_size": size.hidden,
        "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads,
        "num_key_value_heads": max(1, size.heads // 4) if size.heads % 4 == 0 else 2,
        "intermediate_size": size.feed,
        "vocab_size": size.vocabulary,
        "max_position_embeddings": 32768,
        "initializer_range": 0.02,
        "layer_types": ["full_attention"] * size.layers,
        "rope_parameters": rope,
    }.items():
        setattr(config.text_config, name, value)
    vision = config.vision_config
    vision.embed_dim, vision.depth, vision.num_heads = size.vision_width, size.vision_layers, 4
    vision.hidden_size = size.hidden
    torch.manual_seed(0)
    generation = (folder / "generation_config.json").read_text()
    AutoModelForImageTextToText.from_config(config).save_pretrained(folder)
    (folder / "generation_config.json").write_text(generation)
    _set_pixels(folder, size.edge**2)
    return folder


def _set_pixels(folder: Path, pixels: int) -> None:
    path = folder / "processor_config.json"
    found = json.loads(path.read_text())
    for name in ("image_processor", "video_processor"):
        found[name]["size"] = {"shortest_edge": 56 * 56, "longest_edge": pixels}
    path.write_text(json.dumps(found))


def pairs(folder: Path, size: Size, count: int, prompt: int, answer: int) -> list[Pair]:
    """`count` pairs with a picture; `prompt` and `answer` are words, an answer has from half of them on."""
    import numpy as np
    from PIL import Image

    draw = random.Random(0)
    found = []
    for number in range(count):
        path = folder / f"{number}.png"
        noise = np.random.default_rng(number).integers(0, 255, (size.edge, size.edge, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path)
        asked = (File(str(path), "image"), Text(_words(draw, prompt)))
        sides = [(Text(_words(draw, draw.randint(answer // 2, answer))),) for _ in range(2)]
        found.append(
            Pair(id=f"p{number}", messages=(Message("user", asked),), chosen=sides[0], rejected=sides[1])
        )
    return found


def _words(draw: random.Random, count: int) -> str:
    return " ".join(draw.choice(WORDS) for _ in range(count))
