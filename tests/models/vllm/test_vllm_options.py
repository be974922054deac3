"""Options of vllm/ and the command line that they become."""

import json
from pathlib import Path
from typing import Any

import pytest
from vllm_lab import checkpoint

from eval_anything import options
from eval_anything.errors import UnknownName, UsageError
from eval_anything.models.vllm.command import command, surroundings
from eval_anything.models.vllm.options import VLLMOptions, adapters, further, limits
from eval_anything.models.vllm.provider import VLLMModel


def parsed(**given: Any) -> VLLMOptions:
    return options.parse(VLLMOptions, given, "-M, options of vllm/m")


def words(**given: Any) -> list[str]:
    chosen = parsed(**given)
    where = "vllm/m"
    return command(
        "/env/bin/python",
        "/ckpt",
        "m",
        chosen,
        limits(chosen, where),
        adapters(chosen, where),
        further(chosen, where),
    )


def adapter(folder: Path, rank: Any = 12) -> Path:
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"r": rank}))
    (folder / "adapter_model.safetensors").write_bytes(b"\2\0\0\0\0\0\0\0{}")
    return folder


def test_as_it_is_without_options() -> None:
    expected = (
        "/env/bin/python -m vllm.entrypoints.cli.main serve /ckpt --served-model-name m --host 127.0.0.1"
    )
    assert words() == [*expected.split(), "--dtype", "auto", "--disable-uvicorn-access-log"]


def test_every_option_has_its_argument(tmp_path: Path) -> None:
    given = words(
        revision="abc",
        dtype="float32",
        max_model_len="4096",
        gpu_memory="0.8",
        tensor_parallel="4",
        pipeline_parallel="2",
        data_parallel="3",
        limit="image=4,video=1,audio=0",
        chat_template="t.jinja",
        tool_parser="hermes",
        lora=f"a={adapter(tmp_path / 'a')},b={adapter(tmp_path / 'b', 20)}",
        omni="true",
        args="--enforce-eager --max-num-seqs=8 --hf-overrides '{\"a\": 1}'",
    )
    line = " ".join(given)
    for part in (
        "-m vllm_omni.entrypoints.cli.main serve",
        "--revision abc",
        "--dtype float32",
        "--max-model-len 4096",
        "--gpu-memory-utilization 0.8",
        "--tensor-parallel-size 4",
        "--pipeline-parallel-size 2",
        "--data-parallel-size 3",
        '--limit-mm-per-prompt {"image":4,"video":1,"audio":0}',
        f"--chat-template {Path.cwd() / 't.jinja'}",
        "--enable-auto-tool-choice --tool-call-parser hermes",
        f"--enable-lora --max-lora-rank 32 --lora-modules a={tmp_path / 'a'} b={tmp_path / 'b'} --omni",
    ):
        assert part in line
    assert given[-4:] == ["--enforce-eager", "--max-num-seqs=8", "--hf-overrides", '{"a": 1}']


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({"tensor_parallel": "0"}, UsageError, "tensor_parallel"),
        ({"gpu_memory": "1.5"}, UsageError, "gpu_memory"),
        ({"tensor_paralel": "2"}, UnknownName, "did you mean 'tensor_parallel'"),
        ({"limit": "images=4"}, UnknownName, "did you mean 'image'"),
        ({"limit": "image"}, UsageError, "expected image=4,video=1"),
        ({"limit": "image=many"}, UsageError, "expected a number of media"),
        ({"lora": "a=/nowhere"}, UsageError, r"no adapter there \(no adapter_config.json\)"),
        ({"adapter": "b"}, UnknownName, "adapter"),
        ({"args": "'open"}, UsageError, "No closing quotation"),
        ({"args": "--api-key sk-secret"}, UsageError, "process list: name a variable with api_key_env"),
        ({"args": "--api_key=sk-secret"}, UsageError, "process list"),
        ({"args": "--port=9"}, UsageError, "use -M port=N"),
    ],
)
def test_what_cannot_be_meant_is_refused(given: dict[str, str], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message) as caught:
        words(**given)
    assert "sk-secret" not in str(caught.value)


def test_an_adapters_rank_must_fit(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="r is 1000: expected a rank up to 512"):
        words(lora=f"a={adapter(tmp_path / 'a', 1000)}")


def test_media_are_given_by_omni_models_alone() -> None:
    with pytest.raises(UsageError, match="omni=true"):
        VLLMModel("m", parsed(outputs="text,audio"))


def test_the_server_sees_its_own_key_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-judge")
    monkeypatch.setenv("PYTHONPATH", "/ours")
    given = surroundings("/env/bin/python", own=False, key="k")
    assert given["VLLM_API_KEY"] == "k"
    assert "sk-of-the-judge" not in given.values()
    assert "PYTHONPATH" not in given
    assert given["PATH"].startswith("/env/bin:")
    assert surroundings("/env/bin/python", own=True, key="k")["PYTHONPATH"] == "/ours"


def test_identity_is_of_checkpoint_and_options_not_of_place_and_speed(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "m")

    def identity(**given: Any) -> dict[str, Any]:
        return VLLMModel(str(folder), parsed(**given)).identity()

    first = identity()
    assert set(first) == {"checkpoint"}
    assert identity(port="9000", tensor_parallel="2", keep_server="true") == first
    fast = {
        "python",
        "port",
        "tensor_parallel",
        "pipeline_parallel",
        "data_parallel",
        "gpu_memory",
        "start_s",
    }
    assert fast <= set(VLLMModel.transport_options)
    assert not {"dtype", "max_model_len", "limit", "args", "lora"} & set(VLLMModel.transport_options)
    (tmp_path / "t.jinja").write_text("{{ messages }}")
    assert "chat_template" in identity(chat_template=str(tmp_path / "t.jinja"))
    adapted = identity(lora=f"a={adapter(tmp_path / 'a')}")
    assert set(adapted["adapters"]) == {"a"}
    (folder / "model.safetensors").write_bytes(b"\2\0\0\0\0\0\0\0{} ")
    assert identity() != first


def test_a_key_that_is_not_there_is_said_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="the environment variable MY_KEY is not set"):
        VLLMModel("m", parsed(api_key_env="MY_KEY")).secrets()
    monkeypatch.setenv("MY_KEY", "sk-mine-alone")
    assert VLLMModel("m", parsed(api_key_env="MY_KEY")).secrets() == ("sk-mine-alone",)
    own = VLLMModel("m", parsed()).secrets()
    assert len(own[0]) > 20
    assert VLLMModel("n", parsed()).secrets() == own
