from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import tiny_synergy
import torch

from eval_anything.errors import UsageError
from eval_anything.judges.synergy import config as configs
from eval_anything.judges.synergy.load import load_model, load_tokenizer
from eval_anything.judges.synergy.model import AnyRewardModel

Tensors = dict[str, Any]


def _load(folder: Path, dtype: str = "float32") -> AnyRewardModel:
    return load_model(folder, configs.read(folder), "cpu", dtype)


def test_both_forms_hold_the_same_model(tmp_path: Path) -> None:
    safe = _load(tiny_synergy.build(tmp_path / "safe", "safetensors")).state_dict()
    pickled = _load(tiny_synergy.build(tmp_path / "pickled", "bin")).state_dict()
    assert safe.keys() == pickled.keys()
    assert all(torch.equal(safe[name], pickled[name]) for name in safe)
    assert not any(tensor.is_meta for tensor in safe.values())


def test_weights_are_cast_and_rotary_frequencies_are_not(tmp_path: Path) -> None:
    model = _load(tiny_synergy.build(tmp_path / "c"), "bfloat16")
    assert {tensor.dtype for tensor in model.state_dict().values()} == {torch.bfloat16}
    assert model.language_model.rotary_emb.inv_freq.dtype == torch.float32
    assert model.language_model.rotary_emb.inv_freq[1].item() == pytest.approx(500000.0 ** (-2 / 8))
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_imagebind_may_lie_in_the_main_weights_too(tmp_path: Path) -> None:
    def move(main: Tensors, tower: Tensors) -> None:
        main |= {f"model.modality_tower.{name}": tensor for name, tensor in tower.items()}
        tower.clear()

    apart = _load(tiny_synergy.build(tmp_path / "apart", "bin")).state_dict()
    within = _load(tiny_synergy.build(tmp_path / "within", "bin", move)).state_dict()
    assert all(torch.equal(apart[name], within[name]) for name in apart)


def test_names_without_the_outer_prefix_are_taken_as_well(tmp_path: Path) -> None:
    def strip(main: Tensors, tower: Tensors) -> None:
        for name in list(main):
            main[name.removeprefix("model.")] = main.pop(name)

    _load(tiny_synergy.build(tmp_path / "c", "safetensors", strip))


def test_weights_in_several_files_are_read(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = tiny_synergy.build(tmp_path / "c", "safetensors")
    whole = _load(folder).state_dict()
    main = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    places = {name: f"model-0000{1 + i % 2}-of-00002.safetensors" for i, name in enumerate(main)}
    for file in set(places.values()):
        save_file({name: main[name] for name in main if places[name] == file}, folder / file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    parts = _load(folder).state_dict()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def _drop(main: Tensors, tower: Tensors) -> None:
    del main["model.audio_projector.linear_2.bias"], tower["modality_heads.vision.2.weight"]


def _add(main: Tensors, tower: Tensors) -> None:
    for i in range(5):
        main[f"value_head.{i}"] = torch.zeros(1)


def _reshape(main: Tensors, tower: Tensors) -> None:
    main["score_head.weight"] = torch.zeros(2, tiny_synergy.HIDDEN)


def _twice(main: Tensors, tower: Tensors) -> None:
    main["model.score_head.weight"] = main["score_head.weight"].clone()


def _integers(main: Tensors, tower: Tensors) -> None:
    main["score_head.weight"] = torch.zeros(1, tiny_synergy.HIDDEN, dtype=torch.int8)


@pytest.mark.parametrize("form", ["safetensors", "bin"])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_drop, "2 missing: modality_tower.modality_heads.vision.2.weight, audio_projector.linear_2.bias$"),
        (_add, r"5 unexpected: value_head\.0, value_head\.1, value_head\.2 and 2 more$"),
        (_reshape, r"1 of the wrong shape: score_head.weight \(2x32 in place of 1x32\)$"),
        (_twice, "score_head.weight: this tensor is there under two names"),
        (_integers, "score_head.weight holds torch.int8, expected floating point numbers"),
    ],
)
def test_every_tensor_is_accounted_for(tmp_path: Path, form: str, change: Any, said: str) -> None:
    folder = tiny_synergy.build(tmp_path / "c", form, change)
    with pytest.raises(UsageError, match=said):
        _load(folder)


def test_a_checkpoint_without_imagebind_says_so(tmp_path: Path) -> None:
    folder = tiny_synergy.build(tmp_path / "c", "bin")
    (folder / "imagebind" / "imagebind_huge.pth").unlink()
    with pytest.raises(
        UsageError, match=r"ImageBind's weights are missing: expected imagebind/imagebind_huge\.pth"
    ):
        _load(folder)


def test_a_checkpoint_without_weights_says_so(tmp_path: Path) -> None:
    folder = tiny_synergy.build(tmp_path / "c", "bin")
    (folder / "pytorch_model.bin").unlink()
    with pytest.raises(UsageError, match=r"weights are missing: no model\.safetensors"):
        _load(folder)


class _Bomb:
    """Unpickled, it makes a folder."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("file", ["pytorch_model.bin", "imagebind/imagebind_huge.pth"])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path, file: str, zipped: bool) -> None:
    folder = tiny_synergy.build(tmp_path / "c", "bin")
    held = {"score_head.weight": _Bomb(tmp_path / "ran")}
    torch.save(held, folder / file, _use_new_zipfile_serialization=zipped)
    with pytest.raises(
        UsageError, match=f"{file}: refused: it holds more than tensors.*could run code.*mkdir"
    ):
        _load(folder)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "held", [[1, 2], {"a": 1}, {1: torch.zeros(1)}, {"a": torch.zeros(2, 2).to_sparse()}]
)
def test_a_pickle_of_anything_but_tensors_is_refused(tmp_path: Path, held: Any) -> None:
    folder = tiny_synergy.build(tmp_path / "c", "bin")
    torch.save(held, folder / "pytorch_model.bin")
    with pytest.raises(
        UsageError, match=r"pytorch_model.bin: (expected a mapping|'[a1]' is not a plain tensor)"
    ):
        _load(folder)


@pytest.mark.parametrize("form", ["safetensors", "bin"])
@pytest.mark.parametrize("part", ["main", "tower"])
@pytest.mark.parametrize("damage", ["cut", "noise", "empty"])
def test_damaged_files_are_named(tmp_path: Path, form: str, part: str, damage: str) -> None:
    folder = tiny_synergy.build(tmp_path / "c", form)
    names = {
        ("safetensors", "main"): "model.safetensors",
        ("safetensors", "tower"): "imagebind/imagebind_huge.safetensors",
        ("bin", "main"): "pytorch_model.bin",
        ("bin", "tower"): "imagebind/imagebind_huge.pth",
    }
    file = folder / names[form, part]
    whole = file.read_bytes()
    file.write_bytes({"cut": whole[: len(whole) // 2], "noise": bytes(range(256)) * 40, "empty": b""}[damage])
    with pytest.raises(UsageError, match=file.name):
        _load(folder)


def test_files_saved_before_zip_archives_are_read(tmp_path: Path) -> None:
    folder = tiny_synergy.build(tmp_path / "c", "bin")
    before = _load(folder).state_dict()
    for file in (folder / "pytorch_model.bin", folder / "imagebind" / "imagebind_huge.pth"):
        held = torch.load(file, weights_only=True)
        torch.save(held, file, _use_new_zipfile_serialization=False)
    after = _load(folder).state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path) -> None:
    folder = tiny_synergy.build(tmp_path / "c")
    settings = json.loads((folder / "config.json").read_text())
    settings["audio_token_index"] = 5
    (folder / "config.json").write_text(json.dumps(settings))
    with pytest.raises(UsageError, match=r"<audio> is token \d+, config.json says 5"):
        load_tokenizer(folder, configs.read(folder))


def test_a_checkpoint_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    folder = tiny_synergy.build(tmp_path / "c")
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()
    with pytest.raises(UsageError, match="no usable tokenizer"):
        load_tokenizer(folder, configs.read(folder))
