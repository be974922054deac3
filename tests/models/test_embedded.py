from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from hf_lab import CPU, Lab, converse, request

from eval_anything.errors import StorageError, UnknownName
from eval_anything.models.embedded import EmbeddedModel, ensure
from eval_anything.models.hf import checkpoint, load
from eval_anything.values import Reasoning


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(tmp_path_factory.mktemp("embedded"))


@pytest.fixture(autouse=True)
def own_home(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVAL_ANYTHING_HOME", str(lab.root / "home"))


def test_takes_everything_and_says_that_it_knows_nothing(lab: Lab) -> None:
    model = EmbeddedModel("omni-random", CPU)
    assert model.capabilities().inputs == ("text", "image", "audio", "video")
    assert "random weights" in model.notes()[0]
    identity = model.identity()
    assert identity["weights"] == "random" and len(identity["checkpoint"]) == 64


def test_answers_quickly(lab: Lab) -> None:
    parts = [lab.image(1), lab.audio(1), lab.video(1), "what is there?"]
    asked = [request(*parts, sample=str(i), temperature=1.0, max_tokens=32) for i in range(8)]
    model = EmbeddedModel("omni-random", CPU)
    converse(model, lab.store, asked[:1])
    start = time.monotonic()
    responses = converse(model, lab.store, asked)
    assert time.monotonic() - start < 8.0  # below a second for each sample, loading included
    assert len({r.text for r in responses}) == 8
    assert not any(isinstance(p, Reasoning) for r in responses for p in r.parts)


def test_unknown_name() -> None:
    with pytest.raises(UnknownName, match="omni-random"):
        EmbeddedModel("omni-randon", CPU)


def test_same_bytes_each_time_and_reused(tmp_path: Path) -> None:
    load.libraries()
    start = time.monotonic()
    one = ensure(tmp_path / "one")
    assert time.monotonic() - start < 5.0
    made = (one / "model.safetensors").stat().st_mtime_ns
    assert ensure(one) == one
    assert (one / "model.safetensors").stat().st_mtime_ns == made
    assert checkpoint.digest(ensure(tmp_path / "two")) == checkpoint.digest(one)


def test_damaged_checkpoint_is_built_anew(tmp_path: Path) -> None:
    folder = ensure(tmp_path / "m")
    whole = checkpoint.digest(folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    assert checkpoint.digest(ensure(folder)) == whole
    (folder / "tokenizer.json").unlink()
    assert checkpoint.digest(ensure(folder)) == whole
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m", "m.lock"]


def test_two_processes_at_once(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom eval_anything.models import embedded\n"
        "print(embedded._whole(embedded.ensure(Path(sys.argv[1]))))\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "m")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate(timeout=90)[0].strip() for process in running] == ["True", "True"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m", "m.lock"]


def test_home_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        ensure(tmp_path / "file" / "m")
