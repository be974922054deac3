"""Text to image, whole: trained on the twin, and the checkpoint scored by the harness as any generator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from tiny_discrete import TOKENS, tiny_chameleon, tiny_janus
from tiny_rewards import image_reward

from eval_anything.cli.main import main
from eval_anything_train.metrics import read_metrics

QUICK = ["--epochs", "1", "--batch-size", "2", "--device", "cpu", "--dtype", "float32", "--quiet"]


@pytest.fixture(scope="module")
def janus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_janus(tmp_path_factory.mktemp("models") / "janus")


@pytest.fixture(scope="module")
def chameleon(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_chameleon(tmp_path_factory.mktemp("models") / "chameleon")


def trained(method: str, model: Path, data: str, out: Path, *more: str) -> list[dict[str, Any]]:
    words = ["train", method, "--model", str(model), "--data", data, "--out", str(out)]
    assert main([*words, *more, *QUICK]) == 0
    return read_metrics(out / "metrics.jsonl")


def test_a_trained_janus_is_scored_by_image_reward(
    janus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "dpo"
    lines = trained("dpo", janus, "synthetic:t2i,n=4", out, "--preset", "t2i", "--accumulate", "1")
    assert [line["step"] for line in lines] == [1, 2]
    said = capsys.readouterr().out.splitlines()
    final = out / "final"
    assert said[-1] == f"its images:    eval-anything run --model hf_media/{final} --tasks image_reward"
    judge = image_reward(tmp_path / "judge")
    words = said[-1].partition("eval-anything ")[2].split()
    offline = ["--data", "synthetic:n=3", "--out", str(tmp_path / "scored"), "--json", "--quiet"]
    options = [
        "--judge",
        "image_reward",
        "-J",
        f"model={judge / 'ImageReward.pt'}",
        "-J",
        "device=cpu",
        "-M",
        "device=cpu",
    ]
    assert main([*words, *offline, *options]) == 0
    (task,) = json.loads(capsys.readouterr().out)["tasks"]
    assert task["name"] == "image_reward"
    (metric,) = [row for row in task["metrics"] if row["name"] == "ImageReward" and not row.get("group")]
    assert (metric["n"], metric["n_scored"]) == (3, 3)


def test_ppo_with_image_reward_as_the_reward(
    janus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The judge by its name, as a user says it; only where its checkpoint lies is put in."""
    from eval_anything_train.ppo import rewards

    judge = image_reward(tmp_path / "judge")
    found = rewards.images.reward

    def near(name: str, **options: Any) -> Any:
        return found(name, model=str(judge / "ImageReward.pt"), **options)

    monkeypatch.setattr(rewards.images, "reward", near)
    more = ["--answers", "image", "--max-new-tokens", str(TOKENS), "--reward", "image_reward"]
    lines = trained("ppo", janus, "synthetic:t2i,n=4", tmp_path / "ppo", *more)
    assert [line["length"] for line in lines] == [TOKENS] * 2
    assert all(-9 < line["reward"] < 9 and line["reward"] for line in lines)


@pytest.mark.parametrize("method", ["sft", "feedback", "reward", "dpo"])
@pytest.mark.parametrize("subtask", ["t2i", "ti2ti"])
def test_presets_of_images_run_on_chameleon(
    method: str, subtask: str, chameleon: Path, tmp_path: Path
) -> None:
    more = ["--preset", subtask, "--accumulate", "1"]
    lines = trained(method, chameleon, f"synthetic:{subtask},n=4", tmp_path / "out", *more)
    assert [line["records"] for line in lines] == [2] * len(lines)
    assert all(line["loss"] > 0 for line in lines)


def test_models_of_text_are_refused_before_they_are_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tiny_models.tiny_qwen2_vl(tmp_path / "qwen")
    (model / "model.safetensors").write_bytes(b"no weights")
    words = [
        "train",
        "dpo",
        "--model",
        str(model),
        "--data",
        "synthetic:t2i,n=4",
        "--out",
        str(tmp_path / "o"),
    ]
    assert main([*words, "--out", str(tmp_path / "o"), *QUICK]) != 0
    said = capsys.readouterr().err
    assert f"synthetic:t2i,n=4: its answers hold image; {model} makes text" in said
    assert not (tmp_path / "o").exists()
