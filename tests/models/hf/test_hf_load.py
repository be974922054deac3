from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hf_lab import Lab

from eval_anything.errors import UsageError
from eval_anything.models.hf import load


@pytest.fixture
def copy(lab: Lab, tmp_path: Path) -> Any:
    """A tiny checkpoint of one's own, to be damaged."""

    def make(builder: str) -> Path:
        return Path(shutil.copytree(lab.folder(builder), tmp_path / builder))

    return make


def _edit(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def _load(folder: Path) -> Any:
    return load.load_weights(load.open_checkpoint(folder, None), "cpu", "float32", None)


def test_unknown_architecture(copy: Any) -> None:
    folder = copy("tiny_llama")
    _edit(folder / "config.json", model_type="brand_new", auto_map={"AutoConfig": "configuration.Brand"})
    with pytest.raises(UsageError, match=r"model_type 'brand_new' is unknown to transformers \d"):
        load.open_checkpoint(folder, None)


def test_model_that_does_not_generate(copy: Any) -> None:
    folder = copy("tiny_llama")
    (folder / "config.json").write_text('{"model_type": "vit"}')
    with pytest.raises(UsageError, match="'vit' does not generate text"):
        load.open_checkpoint(folder, None)


def test_config_that_does_not_fit_its_type(copy: Any) -> None:
    folder = copy("tiny_llama")
    _edit(folder / "config.json", num_hidden_layers="many")
    with pytest.raises(UsageError, match=r"config.json: not a valid llama configuration"):
        load.open_checkpoint(folder, None)


def test_no_tokenizer(copy: Any) -> None:
    folder = copy("tiny_llama")
    for file in folder.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(UsageError, match=r"tokenizer\.json"):
        load.open_checkpoint(folder, None)


def test_no_processor(copy: Any) -> None:
    folder = copy("tiny_qwen2_vl")
    (folder / "processor_config.json").unlink()
    with pytest.raises(UsageError, match="no usable processor"):
        load.open_checkpoint(folder, None)


def test_no_chat_template_and_one_given(copy: Any, tmp_path: Path) -> None:
    folder = copy("tiny_llama")
    assert load.open_checkpoint(folder, None).capabilities.chat
    (folder / "chat_template.jinja").unlink()
    base = load.open_checkpoint(folder, None).capabilities
    assert (base.chat, base.plain, base.inputs) == (False, True, ("text",))
    given = tmp_path / "mine.jinja"
    with pytest.raises(UsageError, match=r"mine\.jinja"):
        load.open_checkpoint(folder, given)
    given.write_text("{{ messages[0]['content'] }}")
    assert load.open_checkpoint(folder, given).chat_template == given.read_text()


def test_modality_that_the_template_drops_is_no_input(copy: Any, tmp_path: Path) -> None:
    given = tmp_path / "blind.jinja"
    given.write_text("{% for p in messages[0]['content'] %}{{ p['text'] }}{% endfor %}")
    assert load.open_checkpoint(copy("tiny_llava"), given).capabilities.inputs == ("text",)


def test_truncated_weights_are_named(copy: Any) -> None:
    folder = copy("tiny_llama")
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(UsageError, match=r"model\.safetensors: damaged"):
        _load(folder)


def test_pickled_weights_are_refused(copy: Any) -> None:
    folder = copy("tiny_llama")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(UsageError, match="only pickled weights"):
        _load(folder)


def test_absent_weight_is_not_filled_with_noise(copy: Any) -> None:
    from safetensors.torch import load_file, save_file

    folder = copy("tiny_llama")
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UsageError, match=r"lacks 1 of the model's weights.*model\.layers\.1\.mlp\.up_proj"):
        _load(folder)


def test_weight_of_another_shape(copy: Any) -> None:
    folder = copy("tiny_llama")
    _edit(folder / "config.json", intermediate_size=96)
    with pytest.raises(UsageError, match="weights"):
        _load(folder)


def test_thinker_of_a_whole_omni_checkpoint(copy: Any) -> None:
    from safetensors.torch import load_file, save_file
    from transformers import Qwen2_5OmniConfig

    folder = copy("tiny_omni")
    alone = _load(folder)
    thinker = json.loads((folder / "config.json").read_text())
    Qwen2_5OmniConfig(thinker_config=thinker).save_pretrained(folder)
    tensors = {f"thinker.{k}": v for k, v in load_file(folder / "model.safetensors").items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    whole = _load(folder)
    assert type(whole) is type(alone)
    expected = alone.state_dict()
    assert all(value.equal(expected[name]) for name, value in whole.state_dict().items())


def test_device_and_dtype() -> None:
    assert load.resolve_dtype("auto", "cuda:0") == "bfloat16"
    assert load.resolve_dtype("auto", "cpu") == "float32"
    assert load.resolve_dtype("float16", "cpu") == "float16"
    assert load.resolve_device("cpu") == "cpu"
    with pytest.raises(UsageError, match="'gpu'"):
        load.resolve_device("gpu")
