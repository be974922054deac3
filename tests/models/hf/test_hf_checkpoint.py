from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval_anything.errors import UsageError
from eval_anything.models.hf import checkpoint


def safetensors(values: bytes, name: str = "w") -> bytes:
    entry = {name: {"dtype": "U8", "shape": [len(values)], "data_offsets": [0, len(values)]}}
    header = json.dumps(entry).encode()
    return struct.pack("<Q", len(header)) + header + values


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    (tmp_path / "model.safetensors").write_bytes(safetensors(bytes(range(100))))
    return tmp_path


def test_whole_checkpoint(folder: Path) -> None:
    assert checkpoint.find(str(folder), None, True) == (folder, "")
    assert checkpoint.read_config(folder) == {"model_type": "llama"}
    assert checkpoint.weight_files(folder) == [folder / "model.safetensors"]


@pytest.mark.parametrize(
    "name", ["./nowhere", "/no/such/folder", "~/no-such-folder-here", "a/b/c", "a b", ""]
)
def test_name_that_is_neither_folder_nor_hub_id(name: str) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        checkpoint.find(name or "..//x", None, True)


def test_file_in_place_of_a_folder(folder: Path) -> None:
    with pytest.raises(UsageError, match="found a file"):
        checkpoint.find(str(folder / "config.json"), None, True)


def test_no_config(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(UsageError, match=r"no config.json \(the folder holds adapter_config.json\)"):
        checkpoint.read_config(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '"x"', "\xff"])
def test_config_that_is_no_object(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text, encoding="latin-1")
    with pytest.raises(UsageError, match=r"config\.json: "):
        checkpoint.read_config(folder)


def test_pickled_weights_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(UsageError, match=r"only pickled weights \(pytorch_model.bin\)"):
        checkpoint.weight_files(folder)


def test_no_weights_at_all(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(UsageError, match=r"no model\.safetensors"):
        checkpoint.weight_files(folder)


def test_missing_shard_is_named(folder: Path) -> None:
    weight_map = {"w": "model-00001-of-00002.safetensors", "v": "model-00002-of-00002.safetensors"}
    (folder / "model.safetensors").rename(folder / weight_map["w"])
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(UsageError, match=r"no model-00002-of-00002\.safetensors"):
        checkpoint.weight_files(folder)
    (folder / weight_map["v"]).write_bytes(safetensors(b"x", "v"))
    assert [p.name for p in checkpoint.weight_files(folder)] == sorted(weight_map.values())


def test_index_cannot_lead_out_of_the_folder(folder: Path) -> None:
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"w": "../../model.safetensors"}}')
    assert checkpoint.weight_files(folder) == [folder / "model.safetensors"]


def test_every_truncation_and_extension_is_found(folder: Path) -> None:
    file = folder / "model.safetensors"
    whole = file.read_bytes()
    checkpoint.check_safetensors(file)
    for damaged in [*(whole[:n] for n in range(len(whole))), whole + b"x"]:
        file.write_bytes(damaged)
        with pytest.raises(UsageError, match=r"model\.safetensors: damaged"):
            checkpoint.check_safetensors(file)


@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda b: struct.pack("<Q", len(b)) + b))
def test_noise_is_never_a_weight_file(tmp_path_factory: pytest.TempPathFactory, noise: bytes) -> None:
    file = tmp_path_factory.mktemp("noise") / "model.safetensors"
    file.write_bytes(noise)
    try:
        checkpoint.check_safetensors(file)
    except UsageError as fault:
        assert "damaged" in str(fault)
    else:
        assert json.loads(noise[8:]) == {}


def test_digest_follows_content_not_place(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    before = checkpoint.digest(folder)
    assert before[1]
    assert checkpoint.digest(folder) == before
    copy = tmp_path_factory.mktemp("copy")
    for file in folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    assert checkpoint.digest(copy) == before
    (folder / "README.md").write_text("not part of the model")
    assert checkpoint.digest(folder) == before
    (folder / "config.json").write_text('{"model_type": "qwen2"}')
    assert checkpoint.digest(folder)[0] != before[0]


def test_one_changed_weight_changes_the_digest(folder: Path) -> None:
    before = checkpoint.digest(folder)[0]
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\x00")
    os.utime(file, ns=(1, 1))
    assert checkpoint.digest(folder)[0] != before


def test_large_checkpoints_are_sampled(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = checkpoint.digest(folder)
    monkeypatch.setattr(checkpoint, "_FULL_HASH_LIMIT", 10)
    sampled = checkpoint.digest(folder)
    assert not sampled[1] and sampled[0] != full[0]
    file = folder / "model.safetensors"
    file.write_bytes(safetensors(bytes(range(1, 101))))
    os.utime(file, ns=(1, 1))
    assert checkpoint.digest(folder)[0] != sampled[0]


def test_sample_reaches_the_whole_length() -> None:
    size = 10**10
    offsets = list(checkpoint._offsets(size))
    assert offsets[0] == 0 and 64 <= len(offsets) <= 65
    assert size - offsets[-1] <= size // 64
    assert list(checkpoint._offsets(100)) == [0]


def test_hub_that_cannot_be_reached_is_one_line(tmp_path: Path) -> None:
    code = (
        "from eval_anything.models.hf import checkpoint\n"
        "try:\n    checkpoint.find('owner/name', None, True)\n"
        "except Exception as fault:\n    print(type(fault).__name__, str(fault))\n"
    )
    environment = {**os.environ, "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment, timeout=60
    )
    assert done.stdout.startswith("UsageError hf/owner/name: ")
    assert done.stdout.count("\n") == 1
