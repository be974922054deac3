"""What a run says about itself, and its checkpoints in the harness."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import msgspec
import pytest
import tiny_models
from servers.media_files import png
from tiny_training import demonstrations, run_tiny, settings_of

from eval_anything.cli.main import main
from eval_anything.errors import DataError
from eval_anything.models.hf import checkpoint
from eval_anything.values import File, Message, Text
from eval_anything_train.data.dataset import fingerprint
from eval_anything_train.manifest import code_version, read_manifest
from eval_anything_train.settings import Lora
from eval_anything_train.values import Demonstration


def test_a_manifest_says_what_was_done(tmp_path: Path) -> None:
    model = tiny_models.tiny_llama(tmp_path / "model")
    settings = settings_of(model, tmp_path / "out", lora=Lora(rank=2))
    records = demonstrations(5)
    outcome = run_tiny(settings, records)
    found = read_manifest(tmp_path / "out")
    assert found == outcome.manifest
    assert (found.method, found.records, found.steps) == ("imitate", 5, 6)
    assert found.data == fingerprint(records)
    assert found.parent.digest == checkpoint.digest(model)[0] and found.parent.whole
    assert found.settings["lora"] == {"rank": 2, "alpha": 16.0, "dropout": 0.0, "targets": []}
    assert found.versions.keys() >= {"python", "torch", "transformers", "peft", "eval-anything-train"}
    assert found.environment == {
        "processes": 1,
        "weights": "whole",
        "device": "cpu",
        "dtype": "float32",
        "threads": 1,
    }
    assert found.started <= (found.finished or "") and found.metrics["step"] == 6
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["format"] == 1


def test_the_code_version_is_that_of_this_checkout() -> None:
    found = code_version()
    assert found is None or (len(found["commit"]) == 40 and isinstance(found["changed"], bool))


def one(path: Path, words: str = "What?") -> Demonstration:
    question = Message("user", (File(str(path), "image"), Text(words)))
    return Demonstration(id="a", messages=(question,), answer=(Text("red"),))


def test_a_fingerprint_is_of_records_and_of_names_and_sizes_of_media(tmp_path: Path) -> None:
    image = tmp_path / "image.png"
    image.write_bytes(png())
    known = fingerprint([one(image)])
    (tmp_path / "elsewhere").mkdir()
    moved = Path(shutil.copy(image, tmp_path / "elsewhere"))
    assert fingerprint([one(moved)]) == known
    assert fingerprint([one(image, "Which?")]) != known
    assert fingerprint([one(image), one(image)]) != known
    moved.write_bytes(png() + b"\0")
    assert fingerprint([one(moved)]) != known
    other = msgspec.structs.replace(one(image), answer=(Text("red"), File(str(image), "image")))
    assert fingerprint([other]) != known
    moved.unlink()
    with pytest.raises(DataError, match=r"record 'a': .*elsewhere/image\.png: No such file"):
        fingerprint([one(moved)])


def test_something_else_is_no_manifest(tmp_path: Path) -> None:
    assert read_manifest(tmp_path) is None
    (tmp_path / "manifest.json").write_text('{"tasks": []}')
    with pytest.raises(DataError, match="not a manifest of a training run"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("lora", [None, Lora(rank=2)], ids=["weights", "adapters"])
def test_the_harness_scores_checkpoints(tmp_path: Path, lora: Lora | None) -> None:
    model = tiny_models.tiny_qwen2_vl(tmp_path / "model")
    (tmp_path / "a.png").write_bytes(png())
    settings = settings_of(model, tmp_path / "out", save_every=2, epochs=1, lora=lora)
    outcome = run_tiny(settings, demonstrations(4, tmp_path / "a.png"))
    for number, folder in enumerate((tmp_path / "out" / "checkpoints" / "step-00000002", outcome.folder)):
        arguments = ["run", "--model", f"hf/{folder}", "--tasks", "amu", "--data", "synthetic:n=2", "-q"]
        arguments += ["--judge", "reference", "-M", "max_tokens=4", "--out", str(tmp_path / f"run-{number}")]
        assert main(arguments) == 0
        counts = json.loads((tmp_path / f"run-{number}" / "results.json").read_text())["tasks"][0]["counts"]
        assert counts["scored"] == 2
