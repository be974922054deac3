from __future__ import annotations

import hashlib
import math

import pytest
import tiny_synergy
import torch

from eval_anything.judges.synergy.config import ImageBindSize, TrunkSize
from eval_anything.judges.synergy.imagebind import ImageBind


def _table(size: ImageBindSize, features: int) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return {name: tuple(t.shape) for name, t in ImageBind(size, features).state_dict().items()}


def test_names_and_shapes_are_those_of_the_public_checkpoint() -> None:
    """Against a list written from the public code; `strict` loading would fail on any other."""
    table = _table(ImageBindSize(), 1024)
    assert table == tiny_synergy.imagebind_shapes((1280, 32), (768, 12), 1024)
    lines = "".join(f"{name} {shape}\n" for name, shape in sorted(table.items()))
    assert hashlib.sha256(lines.encode()).hexdigest()[:16] == "85c832d338c220a1"


def test_sizes_are_those_of_the_published_models() -> None:
    """ImageBind-huge sees with OpenCLIP's ViT-H/14 (632.08 million parameters, with its projection to 1024);
    its patches are two frames deep, so that the first layer has twice the weights."""
    table = _table(ImageBindSize(), 1024)
    vision = sum(math.prod(shape) for name, shape in table.items() if ".vision." in name)
    assert vision == 632_076_800 + 1280 * 3 * 14 * 14


@pytest.fixture(scope="module")
def tiny() -> ImageBind:
    torch.manual_seed(0)
    made = ImageBind(ImageBindSize(TrunkSize(16, 2, 2), TrunkSize(12, 2, 3)), 8).eval().requires_grad_(False)
    for parameter in made.parameters():
        parameter.copy_(0.3 * torch.randn(parameter.shape))
    return made


def test_images_have_unit_length_and_differ(tiny: ImageBind) -> None:
    seen = tiny.images(torch.randn(3, 3, 224, 224))
    assert seen.shape == (3, 8)
    assert seen.norm(dim=1).tolist() == pytest.approx([1.0] * 3, abs=1e-5)
    assert (seen[0] - seen[1]).abs().max() > 1e-3


def test_a_sound_is_the_mean_of_its_clips(tiny: ImageBind) -> None:
    clips = torch.randn(2, 3, 1, 128, 204)
    heard = tiny.audio(clips)
    assert heard.shape == (2, 8)
    alone = torch.stack([tiny.audio(clips[:, i : i + 1]) for i in range(3)])
    assert (alone.norm(dim=2) - 20.0).abs().max() < 1e-4
    assert (heard - alone.mean(dim=0)).abs().max() < 1e-4


def test_the_scale_is_at_most_one_hundred(tiny: ImageBind) -> None:
    scale = tiny.modality_postprocessors["audio"][1]
    before = scale.log_logit_scale.clone()
    scale.log_logit_scale.fill_(10.0)
    assert tiny.audio(torch.randn(1, 1, 1, 128, 204)).norm().item() == pytest.approx(100.0, rel=1e-5)
    scale.log_logit_scale.copy_(before)


def test_the_biases_that_are_added_to_keys_and_values_count(tiny: ImageBind) -> None:
    clips = torch.randn(1, 1, 1, 128, 204)
    before = tiny.audio(clips)
    tiny.modality_trunks["audio"].blocks[0].attn.bias_v += 1
    assert (tiny.audio(clips) - before).abs().max() > 1e-4
    tiny.modality_trunks["audio"].blocks[0].attn.bias_v -= 1
