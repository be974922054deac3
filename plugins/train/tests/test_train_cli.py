"""`eval-anything train` as a user meets it: whole runs, what they print, what is refused beforehand."""

import json
import os
import shlex
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny_models

import eval_anything_train
from eval_anything.cli.main import Parser, main
from eval_anything.errors import StorageError, UsageError
from eval_anything.registry import Plugins
from eval_anything_train import cli
from eval_anything_train.config import METHODS
from eval_anything_train.examples import EXAMPLES
from eval_anything_train.methods.registry import names
from eval_anything_train.metrics import read_metrics
from eval_anything_train.ppo.settings import PPOSettings
from eval_anything_train.session import Session
from eval_anything_train.settings import Settings
from eval_anything_train.training import check_space

DATA = "synthetic:ti2t,n=4"
QUICK = ["--epochs", "1", "--batch-size", "2", "--device", "cpu", "--max-length", "4096"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def _own_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVAL_ANYTHING_HOME", str(home))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.tiny_qwen2_vl(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def done(model: Path, home: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Three whole runs by three processes, one after the other: what each printed, and where it is."""
    found: dict[str, Any] = {"folder": tmp_path_factory.mktemp("runs")}
    for method in ("sft", "reward", "dpo"):
        words = [
            method,
            "--model",
            str(model),
            "--data",
            DATA,
            "--out",
            str(found["folder"] / method),
            *QUICK,
        ]
        found[method] = command("train", *words, home=home)
    return found


def command(*words: str, home: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "EVAL_ANYTHING_HOME": str(home), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", "eval_anything", *words], capture_output=True, text=True, check=False, env=env
    )


@pytest.mark.parametrize("method", ["sft", "reward", "dpo"])
def test_a_run_ends_with_a_checkpoint_metrics_and_a_manifest(method: str, done: dict[str, Any]) -> None:
    assert done[method].returncode == 0, done[method].stderr
    out = done["folder"] / method
    assert done[method].stdout.startswith(f"trained model: {out}/final\n")
    assert "step 2/2" in done[method].stderr
    assert "synthetic data" in done[method].stderr
    lines = read_metrics(out / "metrics.jsonl")
    assert [line["step"] for line in lines] == [1, 2]
    assert all(line["loss"] > 0 for line in lines)
    manifest = json.loads((out / "manifest.json").read_text())
    assert (manifest["method"], manifest["records"], manifest["steps"]) == (method, 4, 2)
    assert manifest["settings"]["data"] == DATA
    assert manifest["finished"]
    assert (out / "final" / "model.safetensors").is_file()


@pytest.mark.parametrize("method", ["sft", "dpo"])
def test_the_harness_scores_what_was_trained(method: str, done: dict[str, Any], home: Path) -> None:
    """With the very words that the run printed, on a benchmark of pictures."""
    said = done[method].stdout.splitlines()[1]
    words = shlex.split(said.partition("eval-anything ")[2])
    assert words[:2] == ["run", "--model"]
    folder = done["folder"] / f"scored-{method}"
    more = ["--data", "synthetic:n=4", "--judge", "reference", "-M", "max_tokens=8", "--out", str(folder)]
    scored = command(*words[:3], "--tasks", "llava_bench_coco", *more, "--json", home=home)
    assert scored.returncode == 0, scored.stderr
    task = json.loads(scored.stdout)["tasks"][0]
    assert task["name"] == "llava_bench_coco"
    assert {row["n"] for row in task["metrics"] if row["name"] == task["metrics"][0]["name"]} == {4}


def test_what_a_reward_model_is_for_is_said(done: dict[str, Any]) -> None:
    said = done["reward"].stdout.splitlines()[1]
    assert f"eval-anything train ppo --reward {done['folder']}/reward/final" in said
    assert (done["folder"] / "reward" / "final" / "reward_head.safetensors").is_file()


def test_a_finished_run_is_not_done_again_and_json_is_its_manifest(
    done: dict[str, Any], model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = done["folder"] / "dpo"
    before = (out / "final" / "model.safetensors").stat()
    words = ["train", "dpo", "--model", str(model), "--data", DATA, "--out", str(out), *QUICK]
    assert main([*words, "--json", "--quiet"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == json.loads((out / "manifest.json").read_text())
    assert "step" not in captured.err
    assert (out / "final" / "model.safetensors").stat() == before


def test_a_finished_run_asks_for_no_room(
    done: dict[str, Any], model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    full = shutil.disk_usage("/")._replace(free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    words = ["train", "sft", "--model", str(model), "--data", DATA, *QUICK, "--quiet", "--out"]
    assert main([*words, str(done["folder"] / "sft")]) == 0
    assert main([*words, str(done["folder"] / "new")]) != 0
    assert "0.0 GB are free" in capsys.readouterr().err


def test_another_configuration_is_refused_with_the_difference(
    done: dict[str, Any], model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--model", str(model), "--data", DATA, "--out", str(done["folder"] / "dpo"), *QUICK]
    assert main(["train", "dpo", *words, "--lr", "1e-4", "--quiet"]) == 2
    assert "settings.lr: 1e-06 -> 0.0001" in capsys.readouterr().err


def test_from_python_the_same_settings_by_the_same_names(model: Path, tmp_path: Path) -> None:
    outcome = eval_anything_train.train(
        "sft", model=model, data=DATA, out=tmp_path / "sft", epochs=1, lora={"rank": 2}, device="cpu"
    )
    assert outcome.folder == tmp_path / "sft" / "final"
    assert outcome.manifest.settings["lora"]["rank"] == 2
    assert (outcome.folder / "adapter").is_dir()
    with pytest.raises(UsageError, match=r"train\('sft'\): unknown setting 'epoch'; did you mean 'epochs'"):
        eval_anything_train.train("sft", model=model, data=DATA, out=tmp_path / "other", epoch=1)
    assert not (tmp_path / "other").exists()


def test_several_processes_make_one_run_and_one_of_them_speaks(
    model: Path, home: Path, tmp_path: Path
) -> None:
    words = [
        "--model",
        str(model),
        "--data",
        DATA,
        "--out",
        str(tmp_path / "out"),
        *QUICK,
        "--batch-size",
        "1",
    ]
    launcher = ["-m", "torch.distributed.run", "--nproc_per_node", "2", "-m", "eval_anything_train"]
    env = {**os.environ, "EVAL_ANYTHING_HOME": str(home), "OMP_NUM_THREADS": "1"}
    made = subprocess.run(
        [sys.executable, *launcher, "dpo", *words], capture_output=True, text=True, check=False, env=env
    )
    assert made.returncode == 0, made.stderr
    assert made.stdout.count("trained model: ") == made.stderr.count("synthetic data") == 1
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["identity"]["processes"] == 2
    assert [line["records"] for line in read_metrics(tmp_path / "out" / "metrics.jsonl")] == [2, 2]


ROW = {"prompt": "What is it?", "chosen": "A circle.", "rejected": "A dog."}


@pytest.mark.parametrize(
    ("rows", "more", "message"),
    [
        ([{**ROW, "audio": "a.wav"}], [], "its prompts hold audio; {model} takes text, image, video"),
        ([{**ROW, "image": "missing.png"}], [], "missing.png"),
        ([{"prompt": "What?", "chosen": "A circle."}], [], "pairs.jsonl"),
        ([{**ROW, "chosen": ""}], [], "nothing to train on"),
        ([], [], "pairs.jsonl"),
        ([ROW], ["--model", "no/such"], "hf/no/such"),
        ([ROW], ["--data", "missing.jsonl"], "missing.jsonl"),
        ([ROW], ["--data", "synthetc:ti2t"], "synthetc"),
        ([ROW], ["--data", "synthetic:ti2x"], "did you mean 'ti2t'"),
        ([ROW], ["--out", "taken"], "taken exists and is no training run: choose another --out"),
        ([ROW], ["--out", "pairs.jsonl"], "pairs.jsonl exists and is no training run"),
        (
            [ROW] * 3 + [{**ROW, "chosen": "A circle. " * 99}],
            ["--max-length", "200"],
            "3': 28 tokens of prompt and 991 of chosen answer",
        ),
        (
            [ROW] * 2 + [{**ROW, "prompt": "What is it? " * 99}],
            ["--max-length", "200", "--too-long", "cut"],
            "pairs-2': ",
        ),
        ([ROW], ["--device", "cuda:7"], "cuda:7"),
    ],
)
def test_what_cannot_work_is_one_line_and_leaves_nothing(
    rows: list[dict[str, str]],
    more: list[str],
    message: str,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.txt").write_text("precious")
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "a.wav").write_bytes(_silence())
    words = ["--model", str(model), "--data", "pairs.jsonl", "--out", "out", *QUICK, *more, "--quiet"]
    assert main(["train", "dpo", *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    faults = [line for line in captured.err.splitlines() if line.startswith("eval-anything: ")]
    assert len(faults) == 1, captured.err
    assert message.format(model=model) in faults[0]
    assert not (tmp_path / "out").exists()
    assert (tmp_path / "taken" / "thesis.txt").read_text() == "precious"


def test_demonstrations_beside_that_are_too_long_are_said_before_training(
    model: Path, done: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "prompts.jsonl").write_text(json.dumps(ROW) + "\n")
    (tmp_path / "long.jsonl").write_text(json.dumps({**ROW, "chosen": "A circle. " * 99}) + "\n")
    words = ["--model", str(model), "--data", str(tmp_path / "prompts.jsonl"), "--out", str(tmp_path / "out")]
    beside = ["--reward", f"{done['folder']}/reward/final", "--ptx-data", str(tmp_path / "long.jsonl")]
    more = [*QUICK, "--max-length", "200", "--max-new-tokens", "8", "--quiet"]
    assert main(["train", "ppo", *words, *beside, *more]) == 2
    assert "record 'long-0': 28 tokens of prompt and 991 of answer" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("reward", "message"),
    [([], "reward: expected the folder of a reward model"), (["--reward", "{model}"], "not a reward model")],
)
def test_a_reward_that_is_none_is_said_before_data_and_weights_are_read(
    reward: list[str], message: str, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--model", str(tmp_path / "nowhere"), "--data", "nothing.jsonl", "--out", str(tmp_path / "out")]
    assert main(["train", "ppo", *words, *(word.format(model=model) for word in reward), "--quiet"]) == 2
    assert message in capsys.readouterr().err


def _silence() -> bytes:
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", 1636, b"WAVE", b"fmt ", 16, 1, 1, 8000, 16000, 2, 16, b"data", 1600
    )
    return head + bytes(1600)


def test_a_disk_without_room_for_checkpoints_is_said_before_training(tmp_path: Path) -> None:
    header = json.dumps({"w": {"dtype": "F16", "shape": [1 << 42], "data_offsets": [0, 1 << 43]}}).encode()
    with (tmp_path / "model.safetensors").open("wb") as file:  # eight terabytes of nothing
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + (1 << 43))
    values = {"model": str(tmp_path), "data": "d", "out": str(tmp_path / "new" / "out"), "device": "cpu"}
    settings = Settings(**values, epochs=10, batch_size=1, save_every=5, keep=2)
    with pytest.raises(StorageError, match=r"17592\.2 GB are needed for the final model and 0 checkpoints"):
        check_space(tmp_path, 1, Settings(**values, save_every=0), Session(settings))
    with pytest.raises(StorageError, match=r"158329\.7 GB are needed for the final model and 2 checkpoints"):
        check_space(tmp_path, 1, settings, Session(settings))
    with pytest.raises(StorageError, match=r"263882\.8 GB are needed for the final model and 2 checkpoints"):
        check_space(
            tmp_path, 1, PPOSettings(**values, epochs=10, batch_size=1, save_every=5), Session(settings)
        )


@pytest.mark.parametrize("method", METHODS)
def test_examples_in_help_are_commands_that_would_run(method: str) -> None:
    tasks = Plugins(()).tasks.names()
    for line in EXAMPLES[method].replace("\\\n", " ").splitlines():
        words = shlex.split(line)
        if words[:2] == ["eval-anything", "train"]:
            parser = Parser(allow_abbrev=False)
            cli.add_arguments(parser)
            assert cli.settings_of(parser.parse(words[2:])).out.startswith("runs/")
        elif words[:2] == ["eval-anything", "run"]:
            assert words[-1] in tasks
        else:
            assert words[:2] == ["accelerate", "launch"]


def test_the_command_line_knows_every_method_there_is() -> None:
    assert set(names()) <= set(METHODS) == set(EXAMPLES)


def test_help_imports_no_heavy_library() -> None:
    code = (
        "import sys; from eval_anything.cli.main import main\n"
        "try: main(['train', 'ppo', '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = ('torch', 'transformers', 'accelerate', 'peft', 'numpy', 'PIL', 'av', 'pyarrow', 'rich')\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines()[-1] == "[]"
