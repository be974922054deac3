"""`train scenes` as a user runs it, by a recipe of a few steps: whole, killed and gone on with, refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from safetensors.torch import load_file
from tiny_training import environment

from eval_anything.cli.main import main
from eval_anything.errors import UsageError
from eval_anything_train.chain import Numbers, read_recipe
from eval_anything_train.scenes import world
from eval_anything_train.scenes.exam import Report
from eval_anything_train.scenes.settings import RECIPE, Stage

TINY = """
stages:
  - {name: perceive, method: perceive, rows: 24, batch_size: 4, lr: 1.0e-3}
  - {name: lookups, method: study, rows: 8, batch_size: 4, lr: 1.0e-3, optimizer: muon,
     course: {objects: 2, lookups: true, terse: true, questions: 3}}
  - {name: lessons, method: study, rows: 8, batch_size: 4, lr: 1.0e-3, course: {questions: 3}}
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "recipe.yaml").write_text(TINY)
    return tmp_path / "recipe.yaml"


def command(recipe: Path, out: Path, *more: str) -> list[str]:
    return ["train", "scenes", "--recipe", str(recipe), "--out", str(out), "--exam", "0", "-q", *more]


def test_a_model_comes_out_that_answers(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main([*command(recipe, out), "--exam", "1"]) == 0
    told = capsys.readouterr().out
    assert f"trained model: {out / 'final'}" in told and "| cross-modal, no sound |" in told
    report = msgspec.json.decode((out / "exam-0-1" / "report.json").read_bytes(), type=Report)
    assert report.groups["places"].of == 2 and 0 <= report.sampled_right.share <= 1
    scored = ["run", "--model", f"hf/{out / 'final'}", "--tasks", "amu", "--data", "synthetic:n=2"]
    assert (
        main([*scored, "--judge", "reference", "-M", "max_tokens=8", "--out", str(tmp_path / "run"), "-q"])
        == 0
    )
    # The encoders are trained in the first stage alone.
    stages = [load_file(out / name / "final" / "model.safetensors") for name in ("01-perceive", "03-lessons")]
    same = {name: bool((value == stages[1][name]).all()) for name, value in stages[0].items()}
    assert all(same[name] for name in same if "visual" in name or "audio_tower" in name)
    assert not same["model.layers.0.mlp.up_proj.weight"]
    # What is finished is not done again.
    began = time.monotonic()
    assert main(command(recipe, out)) == 0
    assert time.monotonic() - began < 10


def test_killed_it_goes_on_and_ends_the_same(recipe: Path, tmp_path: Path) -> None:
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    assert main(command(recipe, straight, "--save-every", "1")) == 0
    program = [sys.executable, "-m", "eval_anything", *command(recipe, killed, "--save-every", "1")]
    with subprocess.Popen(program, env=environment(), start_new_session=True) as process:
        checkpoints = killed / "01-perceive" / "checkpoints"
        limit = time.monotonic() + 120
        while not (checkpoints.is_dir() and any(p.name.startswith("step-") for p in checkpoints.iterdir())):
            assert time.monotonic() < limit and process.poll() is None
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
    assert not (killed / "final").exists()
    (killed / ".partial-final" / "half").mkdir(parents=True)  # as a kill at the very end would leave it
    assert main(command(recipe, killed, "--save-every", "1")) == 0
    one, other = (load_file(folder / "final" / "model.safetensors") for folder in (straight, killed))
    assert all(bool((value == other[name]).all()) for name, value in one.items())


def test_another_recipe_or_seed_is_refused(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    (out / "00-carrier").mkdir(parents=True)
    assert main(command(recipe, out)) == 2
    assert "exists and is no work of this command" in capsys.readouterr().err
    recipe.write_text(TINY.replace("perceive, rows: 24", "perceive, rows: 0"))
    assert main(command(recipe, tmp_path / "new")) == 2
    assert "not a recipe" in capsys.readouterr().err and not (tmp_path / "new").exists()


def test_a_recipe_with_a_typo(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(TINY.replace("batch_size", "batchsize"))
    with pytest.raises(UsageError, match="batchsize"):
        read_recipe(path, Stage)
    with pytest.raises(UsageError, match="none"):
        read_recipe(tmp_path / "none.yaml", Stage)


def test_our_recipe_is_one() -> None:
    recipe = read_recipe(RECIPE, Stage)
    assert [stage.method for stage in recipe.stages] == ["perceive", *["study"] * 5]
    for stage in recipe.stages:
        world.weights(stage.course.more)


def test_records_that_are_numbers() -> None:
    records = Numbers("7/x", 3)
    assert [record.id for record in records] == ["7/x/0", "7/x/1", "7/x/2"]
    assert [record.id for record in records[1:]] == ["7/x/1", "7/x/2"] and records[-1].id == "7/x/2"
    with pytest.raises(IndexError):
        records[3]
