"""The launcher's configurations, as the launcher reads them; and DeepSpeed, where it is installed."""

from __future__ import annotations

import argparse
import importlib.util
import shutil
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import tiny_models
import torch
from accelerate import DeepSpeedPlugin, FullyShardedDataParallelPlugin
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils.launch import prepare_multi_gpu_env
from safetensors.torch import load_file
from servers.media_files import png
from tiny_training import Job, demonstrations, run_tiny, settings_of
from train_kit import FAMILIES, MAKERS
from two_processes import alike, column, in_two, same_curve

from eval_anything.errors import UsageError
from eval_anything_train.divide import blocks, divided
from eval_anything_train.place import division
from eval_anything_train.policy import open_policy
from eval_anything_train.settings import Lora

deepspeed = pytest.mark.skipif(
    importlib.util.find_spec("deepspeed") is None, reason="deepspeed is not installed"
)
ZERO3 = {"ACCELERATE_USE_DEEPSPEED": "true", "ACCELERATE_DEEPSPEED_ZERO_STAGE": "3"}
CONFIGS = Path(str(files("eval_anything_train") / "accelerate"))


def launched(name: str) -> argparse.Namespace:
    """What `accelerate launch --config_file NAME -m eval_anything_train sft` makes of it."""
    line = ["--config_file", str(CONFIGS / name), "-m", "eval_anything_train", "sft"]
    found: argparse.Namespace = _validate_launch_command(launch_command_parser().parse_args(line))[0]
    return found


@pytest.mark.parametrize("name", sorted(path.name for path in CONFIGS.glob("*.yaml")))
def test_every_configuration_is_one_of_accelerates(name: str) -> None:
    config: Any = load_config_from_file(str(CONFIGS / name))
    assert (config.num_processes, config.mixed_precision) == (8, "no")
    assert launched(name).num_processes == 8


def test_there_is_one_for_each_way() -> None:
    kinds = {load_config_from_file(str(path)).distributed_type.value for path in CONFIGS.glob("*.yaml")}
    assert kinds == {"MULTI_GPU", "FSDP", "DEEPSPEED"}


def test_fsdp_reaches_our_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = launched("fsdp.yaml")
    assert arguments.use_fsdp
    for variable, value in prepare_multi_gpu_env(arguments).items():
        monkeypatch.setenv(variable, value)
    assert division() == "fsdp"
    plugin = FullyShardedDataParallelPlugin()
    assert plugin.fsdp_version == 2 and plugin.reshard_after_forward is True
    assert not plugin.cpu_ram_efficient_loading


def test_the_first_fsdp_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FSDP_VERSION", "1")
    with pytest.raises(UsageError, match="fsdp_version must be 2, not 1"):
        divided(torch.nn.Linear(2, 2), torch.device("cpu"), torch.float32)


def test_deepspeed_gets_stage_3(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = launched("deepspeed_zero3.yaml")
    assert arguments.use_deepspeed and arguments.zero_stage == 3 and not arguments.zero3_init_flag
    monkeypatch.setenv("ACCELERATE_DEEPSPEED_ZERO_STAGE", str(arguments.zero_stage))
    zero = DeepSpeedPlugin().deepspeed_config["zero_optimization"]
    assert zero["stage"] == 3 and zero["offload_param"]["device"] == "none"


@pytest.mark.parametrize("family", FAMILIES)
def test_the_language_models_blocks_are_found(tmp_path: Path, family: str) -> None:
    for lora in (None, Lora(rank=1)):
        model = open_policy(str(MAKERS[family](tmp_path)), {"max_length": 9}, device="cpu", lora=lora).model
        found = blocks(model)
        assert len(found) == model.config.get_text_config().num_hidden_layers
        assert {type(block).__name__[-12:] for block in found} == {"DecoderLayer"}
    with pytest.raises(UsageError, match="no language model"):
        blocks(torch.nn.Linear(2, 2))


@deepspeed
def test_deepspeed_is_given_the_same_media_everywhere(tmp_path: Path) -> None:
    model = tiny_models.tiny_qwen2_vl(tmp_path / "model")
    (tmp_path / "a.png").write_bytes(png())
    settings = settings_of(model, tmp_path / "out", batch_size=1)
    done = in_two(Job(settings=settings, records=8, image=str(tmp_path / "a.png")), **ZERO3)
    said = [line for line in done.stderr.splitlines() if line.startswith("DataError")]
    assert len(said) == 2 and "different kinds of media" in said[0]


@deepspeed
@pytest.mark.parametrize("lora", [None, Lora(rank=2)], ids=["weights", "adapters"])
def test_deepspeed_trains_and_goes_on_as_one_process_does(tmp_path: Path, lora: Lora | None) -> None:
    model = tiny_models.tiny_llama(tmp_path / "model")
    one = settings_of(model, tmp_path / "one", epochs=1, lora=lora, lr=1e-4)
    run_tiny(one, demonstrations(8))
    more = {"batch_size": 1, "save_every": 2, "keep": 9}
    two = settings_of(model, tmp_path / "two", epochs=1, lora=lora, lr=1e-4, **more)
    done = in_two(Job(settings=two, records=8), **ZERO3)
    assert done.returncode == 0, done.stderr
    same_curve(two, one)
    weights, losses = alike(tmp_path / "two", tmp_path / "one"), column(two, "loss")
    shutil.rmtree(tmp_path / "two" / "final")
    shutil.rmtree(tmp_path / "two" / "checkpoints" / "step-00000004")
    done = in_two(Job(settings=two, records=8), **ZERO3)
    assert done.returncode == 0, done.stderr
    assert column(two, "loss") == losses
    again = load_file(tmp_path / "two" / "final" / "model.safetensors")
    assert all(torch.equal(again[name], weights[name]) for name in weights)
