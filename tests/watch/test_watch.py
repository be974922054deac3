"""A training run watched through the command line: once each, in order, over kills, with a gate."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from servers.openai_server import OpenAIServer, error, in_thread
from training_folder import SAMPLES, checkpoint

from eval_anything.cli.main import main
from eval_anything.stores.journal import read_rows
from eval_anything.stores.rows import ResponseRow
from eval_anything.watch.history import History, read_history

TEMPLATE = "replay/{path}/answers.jsonl"


@pytest.fixture
def words(text_task: str, tmp_path: Path) -> list[str]:
    """`watch` on tmp_path/training, as far as all tests share it."""
    (tmp_path / "training").mkdir()
    return [
        *("watch", str(tmp_path / "training"), "--include", text_task, "--tasks", "text_task"),
        *("--data", f"synthetic:n={SAMPLES}", "--judge", "reference", "--settle", "0", "-q"),
    ]


def lines(tmp_path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tmp_path / "training/evals/history.jsonl").read_text().splitlines()]


def test_each_checkpoint_once_in_the_order_of_steps(words: list[str], tmp_path: Path) -> None:
    once = [*words, "--model-template", TEMPLATE, "--once"]
    for name, right in (("checkpoint-100", 6), ("checkpoint-20", 3)):
        checkpoint(tmp_path / "training", name, right)
    assert main(once) == 0
    first = lines(tmp_path)
    assert [line["step"] for line in first] == [20, 100]
    scores = [line["tasks"]["text_task"][0] for line in first]
    assert scores[0]["value"] < scores[1]["value"]
    assert scores[1]["low"] < scores[1]["value"] < scores[1]["high"]
    assert [line["run"] for line in first] == ["checkpoint-20", "checkpoint-100"]
    assert (tmp_path / "training/evals/checkpoint-20/results.json").is_file()
    checkpoint(tmp_path / "training", "checkpoint-200", SAMPLES)
    assert main(once) == 0
    assert lines(tmp_path)[:2] == first
    assert lines(tmp_path)[2]["tasks"]["text_task"][0]["value"] == 10
    assert main(once) == 0
    assert len(lines(tmp_path)) == 3


def test_the_exit_code_is_that_of_the_last_gate(words: list[str], tmp_path: Path) -> None:
    training = tmp_path / "training"
    policy = tmp_path / "gate.toml"
    policy.write_text("[defaults]\nallow_no_calls = true\n")
    base = [*words, "--model-template", TEMPLATE, "--once"]
    checkpoint(training, "checkpoint-1")
    assert main([*base, "--out", str(tmp_path / "base")]) == 0
    gated = [*base, "--gate", str(policy), "--baseline", str(tmp_path / "base/checkpoint-1")]
    assert main(gated) == 0
    checkpoint(training, "checkpoint-2", right=0)
    assert main(gated) == 1
    assert main(gated) == 1  # nothing new: what was said stands
    found = lines(tmp_path)
    assert [line["gate"]["outcome"] for line in found] == ["pass", "regression"]
    assert "dropped" in found[1]["gate"]["reasons"]["text_task"][0]
    checkpoint(training, "checkpoint-3")
    assert main(gated) == 0


def test_no_checkpoint_is_no_pass(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "training/checkpoint-5").mkdir()
    assert main([*(word for word in words if word != "-q"), "--once"]) == 3
    said = capsys.readouterr().err
    assert "checkpoint-5: not whole yet" in said
    assert "no whole checkpoint" in said


def test_configurations_are_not_mixed(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    once = [*words, "--model-template", TEMPLATE, "--once"]
    checkpoint(tmp_path / "training", "checkpoint-1")
    assert main(once) == 0
    checkpoint(tmp_path / "training", "checkpoint-2")
    for other, shown in (
        (["--repeats", "2"], "repeats: 1 -> 2"),
        (["-T", "pad=3"], "task.options.pad: 0 -> 3"),
        (["--judge", "fake/rater"], "judge.name: 'reference' -> 'rubric'"),
        (["--limit", "3"], f"planned: {SAMPLES} -> 3"),
        (["--model-template", "replay/{path}/../checkpoint-2/answers.jsonl"], "template: "),
    ):
        assert main([*once, *other]) == 2
        assert shown in capsys.readouterr().err
    assert len(lines(tmp_path)) == 1
    assert not (tmp_path / "training/evals/checkpoint-2").exists()
    assert main(once) == 0
    assert len(lines(tmp_path)) == 2


def test_a_first_try_with_a_wrong_option_binds_to_nothing(words: list[str], tmp_path: Path) -> None:
    checkpoint(tmp_path / "training", "checkpoint-1")
    assert main([*words, "--model-template", "replay/{path}/answer.jsonl", "--once"]) == 2
    assert main([*words, "--model-template", TEMPLATE, "--once"]) == 0


def test_killed_and_started_again_nothing_is_scored_twice(
    words: list[str], tmp_path: Path, text_task: str
) -> None:
    for step in (1, 2, 3):
        checkpoint(tmp_path / "training", f"step-{step}")
    with in_thread(OpenAIServer("4", latency="0.15")) as server:
        options = ["--model-template", "openai/{path}", "-M", f"base_url={server.url}", "--once"]
        command = [sys.executable, "-m", "eval_anything", *words, *options, "--concurrency", "2"]
        history = tmp_path / "training/evals/history.jsonl"
        process = subprocess.Popen(command, env={**os.environ, "OPENAI_API_KEY": "sk-1"})
        deadline = time.monotonic() + 60
        while not (history.is_file() and history.read_bytes()) or server.count < SAMPLES + 4:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert len(read_history(history)) == 1
        with history.open("ab") as file:
            file.write(b'{"step": 2, "half')
        done = subprocess.run(command, env={**os.environ, "OPENAI_API_KEY": "sk-1"}, check=False)
        asked = server.count
    assert done.returncode == 0
    assert [entry.step for entry in read_history(history)] == [1, 2, 3]
    assert 3 * SAMPLES <= asked <= 3 * SAMPLES + 2  # what was in flight when it was killed
    rows = list(read_rows(tmp_path / "training/evals/step-2/journal.jsonl"))
    assert set(Counter(row.id for row in rows if isinstance(row, ResponseRow)).values()) == {1}


def test_watching_goes_on_until_it_is_stopped(words: list[str], tmp_path: Path) -> None:
    """A checkpoint that appears while it watches is scored; one that cannot be used keeps it from nothing."""
    training, history = tmp_path / "training", tmp_path / "training/evals/history.jsonl"
    loud = [word for word in words if word != "-q"]
    command = [
        sys.executable,
        "-m",
        "eval_anything",
        *loud,
        "--model-template",
        TEMPLATE,
        "--interval",
        "0.05",
    ]
    checkpoint(training, "checkpoint-1")
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        _wait(history, 1)
        broken = checkpoint(tmp_path, "checkpoint-2")
        (broken / "answers.jsonl").write_text("not JSON")
        broken.rename(training / "checkpoint-2")
        checkpoint(tmp_path, "checkpoint-3").rename(training / "checkpoint-3")
        _wait(history, 2)
        assert main([*words, "--model-template", TEMPLATE, "--once"]) == 2  # one watcher at a time
    finally:
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=30)[1]
    assert process.returncode == 130
    assert [entry.step for entry in read_history(history)] == [1, 3]
    assert said.count("checkpoint-2: set aside: ") == 1
    assert "checkpoint-3: text_task 10" in said


def _wait(history: Path, entries: int) -> None:
    deadline = time.monotonic() + 60
    while not history.is_file() or len(read_history(history)) < entries:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_run_that_ends_early_is_tried_again(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    checkpoint(tmp_path / "training", "checkpoint-1")
    fault = ["--model-template", "openai/{path}", "-M", "retries=0", "--once"]
    with in_thread(OpenAIServer(error(500, "down"))) as server:
        assert main([*words, *fault, "-M", f"base_url={server.url}"]) == 3
    assert lines(tmp_path) == []
    with in_thread(OpenAIServer("4")) as server:
        assert main([*words, *fault, "-M", f"base_url={server.url}"]) == 0
    assert len(lines(tmp_path)) == 1


def test_a_checkpoint_of_transformers_is_scored_as_it_is(words: list[str], tmp_path: Path) -> None:
    from tiny_models import tiny_llama

    tiny_llama(tmp_path / "training" / "checkpoint-10")
    assert main([*words, "--once", "--limit", "2", "-M", "max_tokens=4"]) == 0
    assert lines(tmp_path)[0]["model"] == f"hf/{tmp_path}/training/checkpoint-10"
    assert lines(tmp_path)[0]["tasks"]["text_task"][0]["n"] == 2


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    from eval_anything.errors import DataError

    (tmp_path / "history.jsonl").write_text('{"step": "x"}\n')
    for _ in range(2):  # and the lock is given back
        with pytest.raises(DataError, match="line 1: damaged"):
            History(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model-template", "fake/echo", "--once"], "it has no {path}"),
        (["--gate", "gate.toml", "--once"], "--gate needs a --baseline"),
        (["--baseline", "none.json", "--once"], "none.json"),
        (["--json"], "--once"),
        (["--interval", "-1"], "--interval"),
        (["--model", "fake/echo", "--once"], "unknown option '--model'"),
    ],
)
def test_wrong_usage(
    words: list[str], arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main([*words, *arguments])
    except SystemExit as stop:
        code = int(stop.code or 0)
    assert code == 2
    assert message in capsys.readouterr().err
