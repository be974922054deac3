"""LLF whole, with tiny models in process: a feedback model is trained, and the model on its own pairs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from llf_kit import advising, pairs_of, records_of
from servers.openai_server import OpenAIServer, in_thread

import eval_anything_train
from eval_anything.cli.main import main
from eval_anything.errors import RunConflict, UsageError
from eval_anything.stores.journal import read_rows
from eval_anything.values import File
from eval_anything_train.data import source
from eval_anything_train.llf.manifest import LLFOutcome
from eval_anything_train.llf.settings import LLFSettings
from eval_anything_train.llf.trainings import chosen, row_of
from eval_anything_train.values import Critiqued

DATA = "synthetic:ti2t,n=4"
SHORT = {"max_tokens": 10}
QUICK = {"epochs": 1, "batch_size": 2, "lr": 1e-4, "max_length": 4096}
TINY: dict[str, Any] = {
    "data": DATA,
    "respond": SHORT,
    "critique": SHORT,
    "refine": SHORT,
    "keep_truncated": True,
    "feedback": QUICK,
    "dpo": QUICK,
    "device": "cpu",
}
"""Models with random weights never end an answer by themselves."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.tiny_qwen2_vl(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One directory: tests in the order of this file do one thing after another in it."""
    return tmp_path_factory.mktemp("runs") / "llf"


def train(model: Path, out: Path, **more: Any) -> LLFOutcome:
    outcome = eval_anything_train.train("llf", model=model, out=out, **{**TINY, **more})
    assert isinstance(outcome, LLFOutcome)
    return outcome


WORDS = [
    *("--data", DATA, "--keep-truncated", "--device", "cpu", "--compare", "reference"),
    *("--respond.max-tokens", "10", "--critique.max-tokens", "10", "--refine.max-tokens", "10"),
    *("--feedback", "epochs=1", "batch_size=2", "lr=1e-4", "max_length=4096"),
    *("--dpo", "epochs=1", "batch_size=2", "lr=1e-4", "max_length=4096"),
]


def test_one_command_does_it_all(model: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "llf", "--model", str(model), "--out", str(out), *WORDS]) == 0
    told = capsys.readouterr()
    stages = ["feedback", "respond", "critique", "refine", "compare", "pairs", "train"]
    lines = [line for line in told.err.splitlines() if line.startswith("stage ") and ":" not in line]
    assert lines == [f"stage {stage}" for stage in stages]
    assert "synthetic data" in told.err
    assert f"trained model: {out}/dpo/final\n" in told.out
    assert "feedback: 8 critiques, 4 rows; " in told.out and "win_rate" in told.out
    manifest = json.loads((out / "manifest.json").read_text())
    assert list(manifest["stages"]) == [*stages[:-1], "dpo"]
    assert manifest["stages"]["dpo"]["counts"] == {"steps": 2}
    assert (out / "dpo" / "final" / "model.safetensors").is_file()
    assert len(pairs_of(out)) == 4
    asked = {row.sample.id: row for row in read_rows(out / "critique" / "journal.jsonl")}  # type: ignore[union-attr]
    assert set(asked) == {pair.id for pair in pairs_of(out)}


def test_the_feedback_model_is_another_than_the_one_that_it_gives_feedback_to(out: Path) -> None:
    facts = json.loads((out / "manifest.json").read_text())["stages"]
    assert facts["critique"]["facts"]["model"] == f"hf/{out.resolve()}/feedback/final"
    assert facts["respond"]["facts"] == facts["refine"]["facts"]
    learnt = json.loads((out / "feedback" / "manifest.json").read_text())
    assert (learnt["method"], learnt["records"]) == ("feedback", 8)
    trained = (out / "feedback" / "final" / "model.safetensors").read_bytes()
    assert trained != (out / "dpo" / "final" / "model.safetensors").read_bytes()


def test_the_pairs_are_what_dpo_was_trained_on_with_their_pictures(out: Path) -> None:
    manifest = json.loads((out / "dpo" / "manifest.json").read_text())
    assert manifest["settings"]["data"] == str(out.resolve() / "pairs" / "pairs.jsonl")
    assert (manifest["records"], manifest["settings"]["too_long"]) == (4, "skip")
    for pair in pairs_of(out):
        picture = pair.messages[0].parts[0]
        assert isinstance(picture, File) and Path(picture.path).is_file()


def test_a_finished_run_loads_no_weights_and_asks_nothing(
    model: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path: path.stat() for path in out.rglob("*") if path.is_file() and path.name != "manifest.json"}

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("weights were loaded")

    monkeypatch.setattr("eval_anything.models.hf.load.load_weights", never)
    outcome = train(model, out, compare="reference")
    assert outcome.folder == out / "dpo" / "final"
    assert {path: path.stat() for path in before} == before


def test_ppo_on_the_same_pairs_in_the_same_directory(model: Path, out: Path) -> None:
    ppo = {**QUICK, "max_new_tokens": 4}
    outcome = train(model, out, then="ppo", reward=QUICK, ppo=ppo, compare="reference")
    assert outcome.folder == out / "ppo" / "final"
    assert list(outcome.manifest.stages)[-2:] == ["dpo", "ppo"]
    rewarded = json.loads((out / "reward" / "manifest.json").read_text())
    policy = json.loads((out / "ppo" / "manifest.json").read_text())
    assert rewarded["settings"]["data"] == str(out.resolve() / "pairs" / "pairs.jsonl")
    assert policy["settings"]["reward"] == str(out.resolve() / "reward" / "final")
    assert (policy["settings"]["data"], policy["records"]) == (DATA, 4)
    assert (outcome.folder / "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"feedback": {**QUICK, "lr": 1e-3}}, "settings.lr: 0.0001 -> 0.001"),
        ({"feedback_share": 0.5}, "holds other feedback"),
        ({"limit": 2}, "holds other feedback"),
        ({"data": "synthetic:ti2t,n=4,seed=1"}, "holds other feedback"),
        ({"dpo": {**QUICK, "beta": 0.2}}, "settings.beta: 0.1 -> 0.2"),
        ({"lora": {"rank": 2}}, "settings.lora: None -> "),
        ({"feedback_model": "none"}, "respond.task.alone: None -> "),
    ],
)
def test_what_was_trained_with_other_settings_is_refused_with_the_difference(
    more: dict[str, Any], told: str, model: Path, out: Path
) -> None:
    with pytest.raises(RunConflict) as fault:
        train(model, out, **more)
    assert told in str(fault.value)


def test_the_initial_model_of_another_run_is_refused(out: Path, tmp_path: Path, model: Path) -> None:
    other = tiny_models.tiny_llava(tmp_path)
    with pytest.raises(RunConflict, match="parent: "):
        train(other, out)


def test_a_share_of_the_feedback_is_nested_in_a_larger_one() -> None:
    def rows(share: float, **more: Any) -> set[str]:
        values = {"model": "m", "data": "synthetic:ti2t,n=20", "out": "o", "feedback_share": share}
        return {row_of(record) for record in chosen(LLFSettings(**{**values, **more}))}

    quarter, half, most, whole = (rows(share) for share in (0.25, 0.5, 0.75, 1.0))
    assert [len(found) for found in (quarter, half, most, whole)] == [5, 10, 15, 20]
    assert quarter < half < most < whole
    assert rows(0.5, seed=1) != half
    assert len(rows(0.5, limit=10)) == 5
    assert len(rows(0.01)) == 1


def test_both_answers_of_a_chosen_row_teach_feedback() -> None:
    settings = LLFSettings(model="m", data="synthetic:ti2t,n=20", out="o", feedback_share=0.25)
    assert len(chosen(settings)) == 10
    assert row_of(Critiqued(id="a/b", messages=(), answer=(), feedback=None)) == "a/b"  # type: ignore[arg-type]


def test_answers_and_feedback_may_come_from_servers(model: Path, tmp_path: Path) -> None:
    """Only the training needs the checkpoint here."""
    initial = OpenAIServer(lambda call: f"Answer {len(call.raw)}")
    with in_thread(initial) as one, in_thread(OpenAIServer(advising)) as two:
        train(
            model,
            tmp_path / "llf",
            generator="openai/served",
            generator_options={"base_url": one.url},
            feedback_model="openai/adviser",
            feedback_options={"base_url": two.url},
        )
        assert (one.count, two.count) == (8, 4)
    assert not (tmp_path / "llf" / "feedback").exists()
    assert (tmp_path / "llf" / "dpo" / "final" / "model.safetensors").is_file()


def test_a_checkpoint_that_was_trained_before_may_give_the_feedback(
    model: Path, out: Path, tmp_path: Path
) -> None:
    stages = ["respond", "critique", "refine", "pairs"]
    outcome = train(model, tmp_path / "llf", feedback_model=str(out / "feedback" / "final"), stages=stages)
    facts = outcome.manifest.stages["critique"].facts
    assert facts["model"] == f"hf/{out}/feedback/final"
    # The same answers were criticised by the same model, asked in the same way.
    assert [p.metadata["critique"] for p in pairs_of(tmp_path / "llf")] == [
        p.metadata["critique"] for p in pairs_of(out)
    ]


@pytest.mark.parametrize(
    ("maker", "short"),
    [
        (tiny_models.tiny_llama, "t2t"),
        (tiny_models.tiny_qwen2_vl, "tv2t"),
        (tiny_models.tiny_qwen2_audio, "ta2t"),
    ],
)
def test_text_video_and_audio_prompts(maker: Any, short: str, tmp_path: Path) -> None:
    checkpoint = maker(tmp_path / "tiny")
    outcome = train(checkpoint, tmp_path / "llf", data=f"synthetic:{short},n=2", max_frames=2)
    assert outcome.manifest.stages["pairs"].counts == {"pairs": 2}
    assert outcome.folder.parent.name == "dpo"


def test_data_without_feedback_cannot_teach_a_feedback_model(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text(json.dumps({"prompt": "What?", "chosen": "A circle.", "rejected": "A dog."}) + "\n")
    with pytest.raises(UsageError, match="no language feedback"):
        train(model, tmp_path / "llf", data=str(path))


def test_preset_and_settings_of_each_training(model: Path, tmp_path: Path) -> None:
    """The paper's tables for all of them, and what is given wins."""
    outcome = eval_anything_train.train(
        "llf",
        preset="ti2t",
        model=model,
        out=tmp_path / "llf",
        **{**TINY, "dpo": {"lr": 1e-3}, "feedback": {"epochs": 1}, "dtype": "float32"},
    )
    assert isinstance(outcome, LLFOutcome)
    dpo = json.loads((tmp_path / "llf" / "dpo" / "manifest.json").read_text())["settings"]
    feedback = json.loads((tmp_path / "llf" / "feedback" / "manifest.json").read_text())["settings"]
    assert (dpo["epochs"], dpo["lr"], dpo["beta"], dpo["max_length"]) == (2, 1e-3, 0.1, 2048)
    assert (feedback["epochs"], feedback["lr"], feedback["max_length"]) == (1, 1e-6, 4096)
    assert dpo["dtype"] == feedback["dtype"] == "float32"


def test_what_the_feedback_model_learns_from_is_kept(out: Path) -> None:
    kept = records_of(out / "feedback-data" / "critiqued.jsonl")
    assert kept == list(source.load(DATA, Critiqued).records)


def test_several_processes_train_and_one_alone_asks(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["llf", "--model", str(model), "--out", str(tmp_path / "llf"), *WORDS[:5], *WORDS[-5:]]
    words += ["--generator", "fake/echo", "--feedback-model", "none"]
    stages = ["--stages", "respond,refine,pairs", "--quiet"]
    with monkeypatch.context() as patched:
        patched.setenv("WORLD_SIZE", "2")
        assert main(["train", *words, *stages]) == 2
    assert main(["train", *words, *stages]) == 0
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [*launcher, "-m", "eval_anything_train", *words, "--stages", "train"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("trained model: ") == 1
    manifest = json.loads((tmp_path / "llf" / "dpo" / "manifest.json").read_text())
    assert manifest["identity"]["processes"] == 2
