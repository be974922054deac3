"""LLF is killed in each of its stages, and ends as if it had not been."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import tiny_models
from llf_kit import advising, pairs_of, run, settings_of
from servers.openai_server import OpenAIServer, in_thread

from eval_anything_train.llf.manifest import read_llf
from eval_anything_train.values import Pair

SHORT = ("--respond.max-tokens", "24", "--critique.max-tokens", "24", "--refine.max-tokens", "24")
WORDS = [
    *("--data", "synthetic:ti2t,n=10,seed=3", "--keep-truncated", "--device", "cpu", "--save-every", "2"),
    *(*SHORT, "--generator-options", "batch_size=1", "--feedback-options", "batch_size=1"),
    *("--concurrency", "2", "--feedback", "epochs=2", "batch_size=2", "lr=1e-4", "max_length=4096"),
    *("--dpo", "epochs=3", "batch_size=2", "lr=1e-4", "max_length=4096"),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.tiny_qwen2_vl(tmp_path_factory.mktemp("tiny"))


def command(model: Path, out: Path) -> list[str]:
    words = ["train", "llf", "--model", str(model), "--out", str(out), *WORDS, "--quiet"]
    return [sys.executable, "-m", "eval_anything", *words]


def killed(words: list[str], file: Path, lines: int) -> int:
    """Run `words` until `file` has so many lines, kill it, and say how many there were then."""
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=env) as running:
        while not file.exists() or file.read_bytes().count(b"\n") < lines:
            time.sleep(0.002)
            if running.poll() is not None:
                assert running.stderr is not None
                raise AssertionError(f"ended before it could be killed: {running.stderr.read().decode()}")
        running.send_signal(signal.SIGKILL)
    return file.read_bytes().count(b"\n")


def told(out: Path) -> list[Pair]:
    """The pairs, without where the feedback model lies."""
    return [
        msgspec.structs.replace(pair, metadata={**pair.metadata, "feedback_model": ""})
        for pair in pairs_of(out)
    ]


@pytest.mark.timeout(600)
def test_kill_9_in_each_stage_ends_with_the_same_texts_and_the_same_weights(
    model: Path, tmp_path: Path
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command(model, whole), check=True, env=env, capture_output=True)
    again = command(model, cut)
    for stage, file, lines, all_of_them in (
        ("feedback", "feedback/metrics.jsonl", 3, 20),
        ("respond", "respond/journal.jsonl", 3, 10),
        ("critique", "critique/journal.jsonl", 3, 10),
        ("refine", "refine/journal.jsonl", 3, 10),
        ("dpo", "dpo/metrics.jsonl", 3, 15),
    ):
        assert lines <= killed(again, cut / file, lines) < all_of_them
        known = read_llf(cut)
        assert known is not None and stage not in known.stages
    (cut / ".partial-pairs").mkdir()  # as if it had been killed between the pairs' lines, too
    subprocess.run(again, check=True, env=env, capture_output=True)
    assert told(cut) == told(whole) and len(told(cut)) > 5
    for name in ("feedback", "dpo"):
        weights = f"{name}/final/model.safetensors"
        assert (cut / weights).read_bytes() == (whole / weights).read_bytes()
    for stage in ("respond", "critique", "refine"):
        journals = [out / stage / "journal.jsonl" for out in (whole, cut)]
        assert len({journal.read_bytes().count(b"\n") for journal in journals}) == 1


@pytest.fixture
def slow() -> Iterator[tuple[OpenAIServer, OpenAIServer]]:
    first = OpenAIServer(lambda call: f"Answer {len(call.body['messages'])}", latency="0.05")
    with in_thread(first) as one, in_thread(OpenAIServer(advising, latency="0.05")) as two:
        yield one, two


SCRIPT = """
import sys
from pathlib import Path
from llf_kit import run, settings_of
folder, one, two = sys.argv[1:]
run(settings_of(Path(folder), one, two, data="synthetic:t2t,n=40", concurrency=4))
"""


@pytest.mark.parametrize("stage", ["respond", "critique", "refine"])
def test_kill_9_costs_servers_only_what_was_in_flight(
    stage: str, tmp_path: Path, slow: tuple[OpenAIServer, OpenAIServer]
) -> None:
    one, two = slow
    here = Path(__file__).parent
    paths = os.pathsep.join([str(here), str(here.parents[2] / "tests")])
    words = [sys.executable, "-c", SCRIPT, str(tmp_path), one.url, two.url]
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", paths)
        killed(words, tmp_path / "llf" / stage / "journal.jsonl", 10)
    time.sleep(0.2)
    asked = one.count + two.count
    run(settings_of(tmp_path, one.url, two.url, data="synthetic:t2t,n=40", concurrency=4))
    assert one.count + two.count <= 3 * 40 + 4
    assert asked < 3 * 40
    assert len(pairs_of(tmp_path / "llf")) == 40
