"""What a checkpoint's files say: what vLLM will take, with the real files of transformers' classes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny_models
from vllm_lab import checkpoint

from eval_anything import options
from eval_anything.errors import UsageError
from eval_anything.models.vllm import served
from eval_anything.models.vllm.options import VLLMOptions
from eval_anything.models.vllm.provider import VLLMModel
from eval_anything.values import Capabilities

REAL: list[tuple[Callable[[Path], Path], str]] = [
    (tiny_models.tiny_llama, "text"),
    (tiny_models.tiny_llava, "text image"),
    (tiny_models.tiny_qwen2_vl, "text image video"),
    (tiny_models.tiny_qwen2_audio, "text audio"),
]


@pytest.mark.parametrize(("build", "takes"), REAL, ids=lambda value: getattr(value, "__name__", value))
def test_checkpoints_of_real_classes(build: Callable[[Path], Path], takes: str, tmp_path: Path) -> None:
    folder = build(tmp_path / "m")
    assert served.modalities(folder) == tuple(takes.split())
    assert served.has_chat_template(folder)


def capabilities(folder: Path, **given: str) -> Capabilities:
    parsed = options.parse(VLLMOptions, given, "-M")
    return VLLMModel(str(folder), parsed).capabilities()


def test_options_narrow_and_replace_what_the_files_say(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "m")
    found = capabilities(folder)
    assert found.inputs == ("text", "image", "video")
    assert found.outputs == ("text",)
    assert found.chat and found.plain and found.likelihood == "plain" and not found.tools
    limited = capabilities(folder, limit="video=0,image=2")
    assert limited.inputs == ("text", "image")
    assert limited.max_images == 2
    assert capabilities(folder, inputs="audio,text").inputs == ("text", "audio")
    assert capabilities(folder, tool_parser="hermes").tools


def test_a_thinker_and_a_base_model(tmp_path: Path) -> None:
    omni = {"model_type": "qwen2_5_omni", "thinker_config": {"audio_config": {}, "vision_config": {}}}
    folder = checkpoint(tmp_path / "m", omni)
    (folder / "chat_template.jinja").unlink()
    assert capabilities(folder).inputs == ("text", "image", "audio")
    assert not capabilities(folder).chat
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{{ messages }}"}))
    assert capabilities(folder).chat


def test_what_is_no_checkpoint_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"vllm/.*no such folder"):
        capabilities(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"not a checkpoint: no config\.json"):
        capabilities(tmp_path / "empty")
    folder = checkpoint(tmp_path / "m")
    (folder / "processor_config.json").write_text("[1]")
    with pytest.raises(UsageError, match=r"processor_config\.json: not readable as a JSON object"):
        capabilities(folder)
