from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hf_lab import CPU, Lab, converse, request

from eval_anything.cli.main import main
from eval_anything.errors import StorageError, UnknownName
from eval_anything.models import embedded
from eval_anything.models.embedded import EmbeddedModel, ensure
from eval_anything.models.hf import checkpoint, load
from eval_anything.synth import audio, image
from eval_anything.synth.scene import Scene, scene
from eval_anything.values import Audio, Image, Reasoning


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


def scenes(count: int) -> list[Scene]:
    """Scenes that no training has seen."""
    return [
        scene(Random(f"test of the embedded model {number}"), objects=number % 3 + 1)
        for number in range(count)
    ]


def answered(lab: Lab, asked: list[Scene], question: str, **params: Any) -> list[str]:
    """What the trained model says to a question about the pictures and recordings of `asked`."""
    requests = [
        request(
            Image(lab.store.add_bytes(image.png(drawn), "image")),
            Audio(lab.store.add_bytes(audio.wav(drawn), "audio")),
            question,
            sample=str(number),
            **params,
        )
        for number, drawn in enumerate(asked)
    ]
    return [response.text for response in converse(EmbeddedModel("omni", CPU), lab.store, requests)]


def test_the_trained_one_sees_and_hears(lab: Lab) -> None:
    drawn = scenes(12)
    numbers = ("zero", "one", "two", "three", "four", "five", "six")
    told = answered(lab, drawn, "How many objects does the picture show?")
    right = [numbers[len(d.objects)] in text.lower() for d, text in zip(drawn, told, strict=True)]
    assert sum(right) >= 11
    told = answered(lab, drawn, "What is the last sound?")
    right = [d.sounds[-1].timbre in text.lower() for d, text in zip(drawn, told, strict=True)]
    assert sum(right) >= 10


def test_drawn_answers_differ(lab: Lab) -> None:
    same = scenes(1) * 8
    assert len(set(answered(lab, same, "Describe the picture.", temperature=1.0))) > 1
    assert len(set(answered(lab, same, "Describe the picture.", temperature=0.0))) == 1


def test_damaged_weights_are_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "omni"
    shutil.copytree(embedded.WEIGHTS, folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    monkeypatch.setattr(embedded, "WEIGHTS", folder)
    embedded._whole_weights.cache_clear()
    command = ["run", "--model", "embedded/omni", "--tasks", "amu", "--data", "synthetic:n=1"]
    assert main([*command, "--judge", "reference", "--out", str(tmp_path / "run")]) == 2
    assert "model.safetensors is damaged" in capsys.readouterr().err
    embedded._whole_weights.cache_clear()


def test_it_says_what_it_is() -> None:
    model = EmbeddedModel("omni", CPU)
    assert "toy" in model.notes()[0] and len(model.identity()["checkpoint"]) == 64
    assert sum(path.stat().st_size for path in embedded.WEIGHTS.iterdir()) < 12 * 2**20
