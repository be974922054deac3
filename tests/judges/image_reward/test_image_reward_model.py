"""The whole model against a straight-line forward pass that shares nothing with it but the weights."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import tiny_rewards
import torch
from torch import Tensor

from eval_anything.judges.image_reward.scorer import ImageRewardScorer

W = dict[str, Tensor]
PROMPTS = ("a red circle", "Two FOXES, and the square of a fox.", "", "x\u00e9 \ud800 [SEP]", "fox " * 60)
IDS = (
    "[CLS] a red circle [SEP]",
    "[CLS] two fox ##es , and the square of a fox . [SEP]",
    "[CLS] [SEP]",
    "[CLS] [UNK] [UNK] [SEP] [SEP]",
    "[CLS]" + 33 * " fox" + " [SEP]",
)
"""The prompts in pieces of the vocabulary, by hand; special tokens are read as such, as published."""


def _layer_norm(x: Tensor, w: W, name: str, eps: float) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    normed = centred / (centred.pow(2).mean(-1, keepdim=True) + eps).sqrt()
    return normed * w[f"{name}.weight"] + w[f"{name}.bias"]


def _linear(x: Tensor, w: W, name: str) -> Tensor:
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def _gelu(x: Tensor) -> Tensor:
    return x * 0.5 * (1 + torch.erf(x / 2**0.5))


def _attend(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """(length, width) each; one head after the other."""
    size = q.shape[1] // heads
    mixed = []
    for h in range(heads):
        part = slice(h * size, (h + 1) * size)
        mixed.append((q[:, part] @ k[:, part].T / size**0.5).softmax(dim=1) @ v[:, part])
    return torch.cat(mixed, dim=1)


def _see(pixels: Tensor, w: W) -> Tensor:
    """(3, 32, 32) normalised pixels to (17, 32) features."""
    vision = tiny_rewards.MED["vision"]
    name, patch = "blip.visual_encoder", vision["patch"]
    kernel = w[f"{name}.patch_embed.proj.weight"]
    patches = [
        (kernel * pixels[:, row : row + patch, column : column + patch]).sum(dim=(1, 2, 3))
        for row in range(0, vision["side"], patch)
        for column in range(0, vision["side"], patch)
    ]
    x = torch.stack(patches) + w[f"{name}.patch_embed.proj.bias"]
    x = torch.cat([w[f"{name}.cls_token"][0], x]) + w[f"{name}.pos_embed"][0]
    for i in range(vision["depth"]):
        block = f"{name}.blocks.{i}"
        q, k, v = _linear(_layer_norm(x, w, f"{block}.norm1", 1e-6), w, f"{block}.attn.qkv").chunk(3, dim=1)
        x = x + _linear(_attend(q, k, v, vision["heads"]), w, f"{block}.attn.proj")
        inner = _gelu(_linear(_layer_norm(x, w, f"{block}.norm2", 1e-6), w, f"{block}.mlp.fc1"))
        x = x + _linear(inner, w, f"{block}.mlp.fc2")
    return _layer_norm(x, w, f"{name}.norm", 1e-6)


def _read(ids: list[int], seen: Tensor, w: W) -> Tensor:
    """The features of `[CLS]` after reading the prompt while looking at the image. No padding here."""
    name, heads = "blip.text_encoder", tiny_rewards.MED["num_attention_heads"]
    x = w[f"{name}.embeddings.word_embeddings.weight"][ids]
    x = x + w[f"{name}.embeddings.position_embeddings.weight"][: len(ids)]
    x = _layer_norm(x, w, f"{name}.embeddings.LayerNorm", 1e-12)
    for i in range(tiny_rewards.MED["num_hidden_layers"]):
        layer = f"{name}.encoder.layer.{i}"
        for attention in ("attention", "crossattention"):
            other = x if attention == "attention" else seen
            q = _linear(x, w, f"{layer}.{attention}.self.query")
            k, v = (_linear(other, w, f"{layer}.{attention}.self.{part}") for part in ("key", "value"))
            mixed = _linear(_attend(q, k, v, heads), w, f"{layer}.{attention}.output.dense")
            x = _layer_norm(mixed + x, w, f"{layer}.{attention}.output.LayerNorm", 1e-12)
        inner = _linear(_gelu(_linear(x, w, f"{layer}.intermediate.dense")), w, f"{layer}.output.dense")
        x = _layer_norm(inner + x, w, f"{layer}.output.LayerNorm", 1e-12)
    return x[0]


def _reference(ids: list[int], pixels: np.ndarray) -> float:
    w = tiny_rewards.tensors(tiny_rewards.blip_shapes(tiny_rewards.MED))
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073])
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711])
    seen = _see(((torch.tensor(pixels) / 255 - mean) / std).permute(2, 0, 1), w)
    x = _read(ids, seen, w)
    for layer in (0, 2, 4, 6, 7):
        x = w[f"mlp.layers.{layer}.weight"] @ x + w[f"mlp.layers.{layer}.bias"]
    return (x.item() - 0.16717362830052426) / 1.0333394966054072


def _image(seed: int) -> PIL.Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    return PIL.Image.fromarray(noise).resize((70, 45))


@pytest.fixture(scope="module", params=["pt", "safetensors"])
def scorer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ImageRewardScorer:
    folder = tiny_rewards.image_reward(tmp_path_factory.mktemp("image_reward"), request.param)
    return ImageRewardScorer.load(folder / f"ImageReward.{request.param}")


def test_equals_a_straight_line_forward_pass(scorer: ImageRewardScorer) -> None:
    images = [_image(seed) for seed in range(len(PROMPTS))]
    found = scorer.score(PROMPTS, images)
    for prompt, pieces, image, reward in zip(PROMPTS, IDS, images, found, strict=True):
        ids = [tiny_rewards.VOCABULARY.index(piece) for piece in pieces.split()]
        with torch.inference_mode():
            expected = _reference(ids, scorer.pixels(image))
        assert reward == pytest.approx(expected, abs=1e-5), prompt


def test_a_batch_scores_as_its_pairs_do_one_by_one(scorer: ImageRewardScorer) -> None:
    images = [_image(seed) for seed in range(7)]
    prompts = [PROMPTS[seed % len(PROMPTS)] for seed in range(7)]
    together = scorer.score(prompts, images, batch_size=7)
    for size in (1, 3):
        assert scorer.score(prompts, images, batch_size=size) == pytest.approx(together, abs=1e-5)


def test_prompt_and_image_both_count(scorer: ImageRewardScorer) -> None:
    one, other_prompt, other_image = scorer.score(
        ["a red circle", "a blue square", "a red circle"], [_image(1), _image(1), _image(2)]
    )
    assert abs(one - other_prompt) > 1e-3
    assert abs(one - other_image) > 1e-3


def test_halves_are_near_and_the_head_stays_exact(tmp_path: Path) -> None:
    file = tiny_rewards.image_reward(tmp_path) / "ImageReward.pt"
    full = ImageRewardScorer.load(file).score("a red circle", [_image(1), _image(2)])
    for dtype in ("bfloat16", "float16"):
        half = ImageRewardScorer.load(file, dtype=dtype)
        assert half._model.mlp.layers[0].weight.dtype == torch.float32
        found = half.score("a red circle", [_image(1), _image(2)])
        assert found == pytest.approx(full, abs=0.05)
        assert found != full


def test_norms_have_the_published_epsilons(scorer: ImageRewardScorer) -> None:
    """Too small to show in a score of the tiny model, and not in the tensors."""
    found: dict[str, set[float]] = {"visual_encoder": set(), "text_encoder": set(), "mlp": set()}
    for name, module in scorer._model.named_modules():
        if isinstance(module, torch.nn.LayerNorm):
            found[name.partition(".")[0]].add(module.eps)
    assert found == {"visual_encoder": {1e-6}, "text_encoder": {1e-12}, "mlp": set()}


def test_the_published_model_has_as_many_weights_as_its_parts() -> None:
    """ViT-L/16 without its classifier (303.3 million), BERT-base with cross attention and two more words."""
    from eval_anything.judges import weights
    from eval_anything.judges.image_reward.config import RewardConfig
    from eval_anything.judges.image_reward.load import published
    from eval_anything.judges.image_reward.model import ImageReward
    from eval_anything.models.hf import load

    load.libraries()
    vision = {"width": 1024, "depth": 24, "heads": 16, "side": 224, "patch": 16}
    sizes = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "vocab_size": 30524}
    med = tiny_rewards.MED | sizes | {"max_position_embeddings": 512, "vision": vision}
    table = tiny_rewards.blip_shapes(med)
    ours = weights.shapes(lambda: ImageReward(RewardConfig()))
    spare = {name for name in table if re.match(r"blip\.(vision_proj|text_proj|.*position_ids)", name)}
    assert {published(name): shape for name, shape in ours.items()} == {
        name: shape for name, shape in table.items() if name not in spare
    }
    count = dict.fromkeys(("visual_encoder", "text_encoder", "mlp"), 0)
    for name, shape in ours.items():
        count[name.partition(".")[0]] += math.prod(shape)
    assert count["visual_encoder"] == 303_301_632
    bert, token_types, pooler, cross = 109_482_240, 2 * 768, 768 * 769, 12 * (4 * 768 * 768 + 2 * 768 * 256)
    cross += 12 * (4 * 768 + 2 * 768)
    assert count["text_encoder"] == bert - token_types - pooler + 2 * 768 + cross
    assert count["mlp"] == 768 * 1024 + 1024 + 1024 * 128 + 128 + 128 * 64 + 64 + 64 * 16 + 16 + 16 + 1
