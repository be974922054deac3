"""The whole model against a straight-line forward pass that shares nothing with it but the weights."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import tiny_rewards
import torch
from torch import Tensor

from eval_anything.judges.hpsv2.scorer import HPSv2Scorer

W = dict[str, Tensor]
START, END = 49406, 49407
# "a", "photo", "of", "red", "circle" and so on in CLIP's vocabulary, as published with it.
TOKENS = {
    "a photo of a cat": [START, 320, 1125, 539, 320, 2368, END],
    "A photo   of a DOG, running.": [START, 320, 1125, 539, 320, 1929, 267, 2761, 269, END],
    "": [START, END],
}


def _layer_norm(x: Tensor, w: W, name: str) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    normed = centred / (centred.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt()
    return normed * w[f"{name}.weight"] + w[f"{name}.bias"]


def _linear(x: Tensor, w: W, name: str) -> Tensor:
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def _blocks(x: Tensor, w: W, name: str, heads: int, mask: Tensor) -> Tensor:
    """(length, width); `mask` is added to the scores of each attention."""
    size = x.shape[1] // heads
    for i in range(2):
        block = f"{name}.resblocks.{i}"
        normed = _layer_norm(x, w, f"{block}.ln_1")
        q, k, v = (normed @ w[f"{block}.attn.in_proj_weight"].T + w[f"{block}.attn.in_proj_bias"]).chunk(3, 1)
        mixed = []
        for h in range(heads):
            part = slice(h * size, (h + 1) * size)
            mixed.append((q[:, part] @ k[:, part].T / size**0.5 + mask).softmax(dim=1) @ v[:, part])
        x = x + _linear(torch.cat(mixed, dim=1), w, f"{block}.attn.out_proj")
        inner = _linear(_layer_norm(x, w, f"{block}.ln_2"), w, f"{block}.mlp.c_fc")
        inner = inner * 0.5 * (1 + torch.erf(inner / 2**0.5))
        x = x + _linear(inner, w, f"{block}.mlp.c_proj")
    return x


def _see(pixels: Tensor, w: W) -> Tensor:
    """(3, 28, 28) normalised pixels to (12,) features of unit length."""
    vision = tiny_rewards.CLIP["vision_cfg"]
    patch = vision["patch_size"]
    patches = [
        (w["visual.conv1.weight"] * pixels[:, row : row + patch, column : column + patch]).sum(dim=(1, 2, 3))
        for row in range(0, vision["image_size"], patch)
        for column in range(0, vision["image_size"], patch)
    ]
    x = torch.stack([w["visual.class_embedding"], *patches]) + w["visual.positional_embedding"]
    x = _layer_norm(x, w, "visual.ln_pre")
    heads = vision["width"] // vision["head_width"]
    x = _blocks(x, w, "visual.transformer", heads, torch.zeros(()))
    features = _layer_norm(x[0], w, "visual.ln_post") @ w["visual.proj"]
    return features / features.norm()


def _read(ids: list[int], w: W) -> Tensor:
    """The features of the last token, which has seen all before it. No padding here."""
    x = w["token_embedding.weight"][ids] + w["positional_embedding"][: len(ids)]
    ahead = torch.full((len(ids), len(ids)), float("-inf")).triu(1)
    x = _blocks(x, w, "transformer", tiny_rewards.CLIP["text_cfg"]["heads"], ahead)
    features = _layer_norm(x[-1], w, "ln_final") @ w["text_projection"]
    return features / features.norm()


def _reference(ids: list[int], pixels: np.ndarray) -> float:
    w = tiny_rewards.tensors(tiny_rewards.clip_shapes(tiny_rewards.CLIP), seed=11)
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073])
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711])
    seen = _see(((torch.tensor(pixels) - mean) / std).permute(2, 0, 1), w)
    return 100 * (seen @ _read(ids, w)).item()


def _image(seed: int) -> PIL.Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    return PIL.Image.fromarray(noise).resize((70, 45))


@pytest.fixture(scope="module", params=["pt", "safetensors"])
def scorer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> HPSv2Scorer:
    folder = tiny_rewards.hpsv2(tmp_path_factory.mktemp("hpsv2"), request.param)
    return HPSv2Scorer.load(folder / f"HPS_v2_compressed.{request.param}")


def test_equals_a_straight_line_forward_pass(scorer: HPSv2Scorer) -> None:
    images = [_image(seed) for seed in range(len(TOKENS))]
    found = scorer.score(list(TOKENS), images)
    for ids, image, score in zip(TOKENS.values(), images, found, strict=True):
        with torch.inference_mode():
            expected = _reference(ids, scorer.pixels(image))
        assert score / 100 == pytest.approx(expected / 100, abs=1e-5)
        assert abs(score) <= 100


def test_a_batch_scores_as_its_pairs_do_one_by_one(scorer: HPSv2Scorer) -> None:
    images = [_image(seed) for seed in range(7)]
    prompts = [list(TOKENS)[seed % 2] for seed in range(7)]  # prompts that come again are read once
    together = scorer.score(prompts, images, batch_size=7)
    for size in (1, 3):
        assert scorer.score(prompts, images, batch_size=size) == pytest.approx(together, abs=1e-3)


def test_prompt_and_image_both_count(scorer: HPSv2Scorer) -> None:
    one, other_prompt, other_image = scorer.score(
        ["a photo of a cat", "two dogs", "a photo of a cat"], [_image(1), _image(1), _image(2)]
    )
    assert abs(one - other_prompt) > 0.1
    assert abs(one - other_image) > 0.1


def test_a_long_prompt_is_cut_and_any_text_can_be_read(scorer: HPSv2Scorer) -> None:
    long, longer = (" ".join(["cat"] * n) for n in (75, 300))
    first, second, odd = scorer.score([long, longer, "\ud800 \x00 \U0001f600"], [_image(1)] * 3)
    assert first == pytest.approx(second, abs=1e-3)
    assert math.isfinite(odd)


def test_halves_are_near(tmp_path: Path) -> None:
    file = tiny_rewards.hpsv2(tmp_path) / "HPS_v2_compressed.pt"
    full = HPSv2Scorer.load(file).score("a red circle", [_image(1), _image(2)])
    for dtype in ("bfloat16", "float16"):
        found = HPSv2Scorer.load(file, dtype=dtype).score("a red circle", [_image(1), _image(2)])
        assert found == pytest.approx(full, abs=3)
        assert found != full


def test_norms_have_the_published_epsilon(scorer: HPSv2Scorer) -> None:
    norms = [m for m in scorer._model.modules() if isinstance(m, torch.nn.LayerNorm)]
    assert {norm.eps for norm in norms} == {1e-5}
    assert len(norms) == 3 + 2 * (2 + 2)


def test_the_published_model_is_vit_h_14() -> None:
    """OpenCLIP's model card: 986 million parameters."""
    import msgspec

    from eval_anything.judges.hpsv2.config import CLIPConfig
    from eval_anything.models.hf import load

    load.libraries()
    import open_clip

    published = open_clip.get_model_config("ViT-H-14")
    assert msgspec.to_builtins(CLIPConfig()) == published
    table = tiny_rewards.clip_shapes(published)
    with torch.device("meta"):
        model = open_clip.CLIP(**published)
    assert {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()} == table
    assert sum(math.prod(shape) for shape in table.values()) == 986_109_441
