"""Which folders of a training run are checkpoints that can be scored."""

import json
from pathlib import Path

import pytest
from training_folder import aged, checkpoint, weights

from eval_anything.errors import UsageError
from eval_anything.watch.checkpoints import find


def names(folder: Path, settle: float = 5) -> list[str]:
    return [found.name for found in find(folder, settle).whole]


def test_whole_ones_by_step(tmp_path: Path) -> None:
    for name in (
        "checkpoint-1000",
        "checkpoint-200",
        "step-30",
        "checkpoint-final",
        "tmp-checkpoint-5",
        "run-1",
    ):
        checkpoint(tmp_path, name)
    (tmp_path / "checkpoint-7").write_text("a file")
    assert names(tmp_path) == ["step-30", "checkpoint-200", "checkpoint-1000"]


def test_partial_ones_are_ignored_and_told(tmp_path: Path) -> None:
    lacking = checkpoint(tmp_path, "checkpoint-1")
    (lacking / "model.safetensors").unlink()
    cut = checkpoint(tmp_path, "checkpoint-2")
    (cut / "model.safetensors").write_bytes(weights()[:-3])
    bare = checkpoint(tmp_path, "checkpoint-3")
    (bare / "config.json").unlink()
    half = checkpoint(tmp_path, "checkpoint-4")
    (half / "config.json").write_text('{"model_type": ')
    for path in (lacking, cut, bare, half):
        aged(path, 60)
    found = find(tmp_path, 5)
    assert found.whole == ()
    assert "no model.safetensors" in found.partial["checkpoint-1"]
    assert "damaged" in found.partial["checkpoint-2"]
    assert "no config.json" in found.partial["checkpoint-3"]
    assert "not readable as JSON" in found.partial["checkpoint-4"]
    assert found.settled_in == 0


def test_shards_must_all_be_there(tmp_path: Path) -> None:
    path = checkpoint(tmp_path, "checkpoint-1")
    (path / "model.safetensors").rename(path / "model-00001-of-00002.safetensors")
    shards = {"w": "model-00001-of-00002.safetensors", "v": "model-00002-of-00002.safetensors"}
    (path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    aged(path, 60)
    assert "model-00002-of-00002" in find(tmp_path, 5).partial["checkpoint-1"]
    (path / shards["v"]).write_bytes(weights())
    aged(path, 60)
    assert names(tmp_path) == ["checkpoint-1"]


def test_one_that_is_being_written_waits(tmp_path: Path) -> None:
    path = checkpoint(tmp_path, "checkpoint-1", age_s=2)
    found = find(tmp_path, 5)
    assert found.whole == ()
    assert 2 < found.settled_in <= 3
    assert names(tmp_path, settle=1) == ["checkpoint-1"]
    aged(path, -3600)  # a clock that is ahead keeps nothing waiting
    assert names(tmp_path) == ["checkpoint-1"]


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        find(tmp_path / "none", 5)
