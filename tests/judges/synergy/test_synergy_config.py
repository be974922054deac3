from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tiny_synergy

from eval_anything.errors import UsageError
from eval_anything.judges.synergy import config as configs
from eval_anything.models.hf import load

load.libraries()


def _written(folder: Path, **changes: Any) -> Path:
    settings = tiny_synergy.config(tiny_synergy.tokenizer())
    for name, value in changes.items():
        group, _, field = name.partition("__")
        if field:
            settings[group] = settings[group] | {field: value}
        else:
            settings[name] = value
    (folder / "config.json").write_text(json.dumps(settings))
    return folder


def test_the_published_sizes_are_the_defaults(tmp_path: Path) -> None:
    """As published: sizes that are Llama's defaults are left out, token ids too."""
    published = {
        "model_type": "any_model",
        "auto_map": {"AutoModel": "any_model.AnyRewardModel"},
        "text_config": {"vocab_size": 128261, "intermediate_size": 14336, "num_key_value_heads": 8},
        "modality_config": {"hidden_size": 1024, "imagebind_ckpt_path": "imagebind"},
    }
    (tmp_path / "config.json").write_text(json.dumps(published))
    config = configs.read(tmp_path)
    assert (config.image_token_index, config.video_token_index, config.audio_token_index) == (
        128256,
        128257,
        128258,
    )
    assert config.pad_token_id == 128259
    assert config.modality_config.imagebind.vision == configs.TrunkSize(1280, 32, 16)
    assert config.modality_config.imagebind.audio == configs.TrunkSize(768, 12, 12)
    language = config.language()
    assert (language.hidden_size, language.num_hidden_layers, language.vocab_size) == (4096, 32, 128261)


def test_a_whole_configuration_is_read(tmp_path: Path) -> None:
    config = configs.read(_written(tmp_path))
    assert config.modality_config.hidden_size == tiny_synergy.FEATURES
    assert config.language().rope_parameters["rope_theta"] == 500000.0


def test_a_configuration_cannot_name_code_to_be_run(tmp_path: Path) -> None:
    text = {
        "_attn_implementation": "owner/kernel",
        "attn_implementation": "owner/kernel",
        "auto_map": {"a": "b"},
    }
    text |= {"quantization_config": {"quant_method": "evil"}, "_attn_implementation_internal": "owner/kernel"}
    language = configs.read(
        _written(tmp_path, **{f"text_config__{k}": v for k, v in text.items()})
    ).language()
    assert language._attn_implementation == "sdpa"
    assert not hasattr(language, "quantization_config")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model_type": "llava"}, r"Invalid enum value 'llava' - at `\$.model_type`"),
        ({"text_config": 3}, r"`\$.text_config`"),
        ({"text_config__model_type": "qwen2"}, "expected a llama"),
        ({"text_config__hidden_size": "big"}, "hidden_size"),
        ({"text_config__num_hidden_layers": 10**9}, r"<= 512 - at `\$.text_config.num_hidden_layers`"),
        ({"text_config__hidden_size": 33}, "text_config is no llama configuration"),
        ({"text_config__num_key_value_heads": 3}, "4 heads do not divide by 3"),
        ({"text_config__hidden_act": "os.system"}, "expected hidden_act silu"),
        ({"text_config__rope_scaling": {"rope_type": "dynamic", "factor": 2.0}}, "plain rotary embeddings"),
        ({"text_config__rope_scaling": 7}, "text_config"),
        ({"text_config__head_dim": 10**7}, "<= 65536"),
        ({"modality_config": {}}, "missing required field `hidden_size`"),
        ({"modality_config__hidden_size": 10**9}, "<= 65536"),
        ({"modality_config__imagebind": {"vision": {"width": 8, "depth": 1, "heads": 3}}}, "3 heads"),
        ({"modality_config__imagebind": {"depth": {}}}, "unknown field `depth`"),
        ({"image_token_index": 10**6}, "image_token_index 1000000 is outside of the vocabulary"),
        ({"image_token_index": -1}, "image_token_index -1 is outside"),
        ({"image_token_index": 7, "audio_token_index": 7}, "are the same token"),
        ({"projector_hidden_act": "relu"}, "Invalid enum value 'relu'"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    _written(tmp_path, **change)
    with pytest.raises(UsageError, match=said) as caught:
        configs.read(tmp_path)
    assert str(tmp_path / "config.json") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no config\.json"):
        configs.read(tmp_path)
