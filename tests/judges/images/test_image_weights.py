"""Checkpoints of both reward models as they come from anywhere: lacking, damaged, hostile."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
import tiny_rewards
import torch

from eval_anything.errors import UsageError
from eval_anything.judges.hpsv2.scorer import HPSv2Scorer
from eval_anything.judges.image_reward.scorer import ImageRewardScorer
from eval_anything.judges.images.scorer import ImageScorer

Tensors = dict[str, Any]
IMAGE = PIL.Image.effect_mandelbrot((40, 30), (-2, -1, 1, 1), 100).convert("RGB")


class Kind:
    """One of the two models."""

    def __init__(
        self, name: str, load: Callable[[Path], ImageScorer], file: str, config: str, head: str
    ) -> None:
        self.name, self.load, self.file, self.config, self.head = name, load, file, config, head

    def build(self, folder: Path, form: str = "pt", change: Any = None) -> Path:
        builder = getattr(tiny_rewards, self.name)
        return builder(folder, form, change) / f"{self.file}.{form}"


KINDS = [
    Kind("image_reward", ImageRewardScorer.load, "ImageReward", "med_config.json", "mlp.layers.7.weight"),
    Kind("hpsv2", HPSv2Scorer.load, "HPS_v2_compressed", "open_clip_config.json", "visual.proj"),
]


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    return request.param


def test_both_forms_hold_the_same_model(kind: Kind, tmp_path: Path) -> None:
    pickled = kind.load(kind.build(tmp_path / "pickled")).score("a red circle", [IMAGE])
    assert pickled == kind.load(kind.build(tmp_path / "safe", "safetensors")).score("a red circle", [IMAGE])


def test_tensors_are_found_bare_and_in_what_a_training_run_saves(tmp_path: Path) -> None:
    file = tiny_rewards.hpsv2(tmp_path) / "HPS_v2_compressed.pt"
    saved = HPSv2Scorer.load(file).score("a cat", [IMAGE])
    held = torch.load(file, weights_only=True)
    assert set(held) == {"epoch", "name", "state_dict"}
    torch.save(held | {"optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}}}, file)
    assert HPSv2Scorer.load(file).score("a cat", [IMAGE]) == saved
    torch.save(held["state_dict"], file)
    assert HPSv2Scorer.load(file).score("a cat", [IMAGE]) == saved


def test_halves_on_disk_are_read(kind: Kind, tmp_path: Path) -> None:
    def halve(held: Tensors) -> None:
        for name, tensor in held.items():
            if tensor.is_floating_point():
                held[name] = tensor.half()

    whole = kind.load(kind.build(tmp_path / "whole")).score("a red circle", [IMAGE])
    assert kind.load(kind.build(tmp_path / "halves", "pt", halve)).score(
        "a red circle", [IMAGE]
    ) == pytest.approx(whole, abs=0.1)


@pytest.mark.parametrize("form", ["pt", "safetensors"])
def test_a_missing_tensor_is_named(kind: Kind, tmp_path: Path, form: str) -> None:
    file = kind.build(tmp_path, form, lambda held: held.pop(kind.head))
    with pytest.raises(
        UsageError, match=rf"{file.name}: not the tensors of an .* model: 1 missing: {kind.head}$"
    ):
        kind.load(file)


@pytest.mark.parametrize("form", ["pt", "safetensors"])
def test_unknown_tensors_are_named(kind: Kind, tmp_path: Path, form: str) -> None:
    def add(held: Tensors) -> None:
        held |= {f"value_head.{i}": torch.zeros(1) for i in range(5)}

    with pytest.raises(
        UsageError, match=r"5 unexpected: value_head\.0, value_head\.1, value_head\.2 and 2 more$"
    ):
        kind.load(kind.build(tmp_path, form, add))


def test_a_tensor_of_another_shape_is_named(kind: Kind, tmp_path: Path) -> None:
    def grow(held: Tensors) -> None:
        held[kind.head] = torch.zeros(3, 5)

    with pytest.raises(UsageError, match=rf"1 of the wrong shape: {kind.head} \(3x5 in place of \d+x\d+\)$"):
        kind.load(kind.build(tmp_path, "pt", grow))


def test_integers_are_no_weights(kind: Kind, tmp_path: Path) -> None:
    def count(held: Tensors) -> None:
        held[kind.head] = torch.zeros(held[kind.head].shape, dtype=torch.int8)

    with pytest.raises(UsageError, match=f"{kind.head} holds torch.int8, expected floating point numbers"):
        kind.load(kind.build(tmp_path, "pt", count))


def test_what_a_score_does_not_need_is_named_and_may_be_absent(tmp_path: Path) -> None:
    def strip(held: Tensors) -> None:
        spare = re.compile(r"blip\.(vision_proj|text_proj|.*position_ids)")
        for name in [name for name in held if spare.match(name)]:
            del held[name]

    full = tiny_rewards.tensors(tiny_rewards.blip_shapes(tiny_rewards.MED))
    file = tiny_rewards.image_reward(tmp_path, "pt", strip) / "ImageReward.pt"
    assert len(torch.load(file, weights_only=True)) == len(full) - 5
    ImageRewardScorer.load(file)


class _Bomb:
    """Unpickled, it makes a folder."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("inside", [True, False])
def test_a_pickle_that_would_run_code_is_refused(
    kind: Kind, tmp_path: Path, zipped: bool, inside: bool
) -> None:
    file = kind.build(tmp_path)
    bomb = {"weight": _Bomb(tmp_path / "ran")}
    torch.save({"state_dict": bomb} if inside else bomb, file, _use_new_zipfile_serialization=zipped)
    with pytest.raises(
        UsageError, match=f"{file.name}: refused: it holds more than tensors.*could run code.*mkdir"
    ):
        kind.load(file)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("form", ["pt", "safetensors"])
@pytest.mark.parametrize("damage", ["cut", "noise", "empty"])
def test_damaged_files_are_named(kind: Kind, tmp_path: Path, form: str, damage: str) -> None:
    file = kind.build(tmp_path, form)
    whole = file.read_bytes()
    file.write_bytes({"cut": whole[: len(whole) // 2], "noise": bytes(range(256)) * 40, "empty": b""}[damage])
    with pytest.raises(UsageError, match=file.name):
        kind.load(file)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"hidden_size": 0}, r"Expected `int` >= 1 - at `\$\.hidden_size`"),
        ({"hidden_act": "relu"}, r"Invalid enum value 'relu' - at `\$\.hidden_act`"),
        ({"num_attention_heads": 5}, "text: width 24 does not divide by 5 heads"),
        ({"vision": {"width": 32, "hands": 2}}, "unknown field `hands`"),
        ({"vision": {"side": 30, "patch": 8}}, "side 30 is not a whole number of patches"),
        ({"vision": {"depth": 10**9}}, r"Expected `int` <= 512 - at `\$\.vision\.depth`"),
        ({"max_position_embeddings": 20}, "Expected `int` >= 35"),
    ],
)
def test_a_configuration_of_image_reward_is_read_strictly(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    folder = tiny_rewards.image_reward(tmp_path)
    (folder / "med_config.json").write_text(json.dumps(tiny_rewards.MED | change))
    with pytest.raises(UsageError, match=f"med_config.json: .*{said}"):
        ImageRewardScorer.load(folder / "ImageReward.pt")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"embed_dim": "many"}, r"Expected `int`, got `str` - at `\$\.model_cfg\.embed_dim`"),
        ({"quick_gelu": True}, "unknown field `quick_gelu`"),
        ({"text_cfg": {"vocab_size": 5}}, "Invalid enum value 5"),
        ({"text_cfg": {"width": 16, "heads": 3}}, "does not divide by the heads"),
        ({"vision_cfg": {"image_size": 5, "patch_size": 7}}, "images of 5 pixels hold no patch"),
    ],
)
def test_a_configuration_of_hpsv2_is_read_strictly(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    folder = tiny_rewards.hpsv2(tmp_path)
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": tiny_rewards.CLIP | change}))
    with pytest.raises(UsageError, match=f"open_clip_config.json: .*{said}"):
        HPSv2Scorer.load(folder / "HPS_v2_compressed.pt")


def test_without_a_configuration_the_model_is_the_published_one(kind: Kind, tmp_path: Path) -> None:
    file = kind.build(tmp_path)
    (tmp_path / kind.config).unlink()
    words = [*tiny_rewards.VOCABULARY, *(f"w{i}" for i in range(30522 - len(tiny_rewards.VOCABULARY)))]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    with pytest.raises(UsageError, match=r"\d\d+ missing: .*; \d\d+ of the wrong shape: "):
        kind.load(file)


@pytest.mark.parametrize(
    "words", ["[PAD]\n[UNK]\n[CLS]\n[SEP]\n", "", "[UNK]\n" + "\n".join(tiny_rewards.VOCABULARY[1:])]
)
def test_a_vocabulary_of_another_model_is_refused(tmp_path: Path, words: str) -> None:
    folder = tiny_rewards.image_reward(tmp_path)
    (folder / "vocab.txt").write_text(words)
    with pytest.raises(UsageError, match=r"vocab\.txt: \d+ words, .* not the vocabulary of a model with 21"):
        ImageRewardScorer.load(folder / "ImageReward.pt")
    (folder / "vocab.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match=r"vocab\.txt: not readable as a vocabulary"):
        ImageRewardScorer.load(folder / "ImageReward.pt")
