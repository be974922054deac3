"""Killed while saving, or out of disk: the checkpoints before it stay whole, and the run goes on."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import tiny_models
import torch
from tiny_training import Imitate, Job, demonstrations, environment, run_tiny, settings_of

from eval_anything.errors import StorageError
from eval_anything.models.hf.checkpoint import check_safetensors
from eval_anything_train.checkpoint import checkpoints
from eval_anything_train.metrics import read_metrics
from eval_anything_train.settings import Settings

SCRIPT = Path(__file__).parent / "tiny_training.py"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.tiny_llama(tmp_path_factory.mktemp("model"))


def job(settings: Settings) -> str:
    path = Path(settings.out).with_suffix(".json")
    path.write_bytes(msgspec.json.encode(Job(settings=settings, records=12)))
    return str(path)


def check_whole(out: Path) -> list[int]:
    """The steps of the checkpoints, each of which has all of its files."""
    found = checkpoints(out / "checkpoints")
    for _, folder in found:
        for name in ("model.safetensors", "trainer/weights.safetensors", "trainer/optimizer.safetensors"):
            check_safetensors(folder / name)
        for name in ("config.json", "tokenizer.json", "chat_template.jinja", "trainer/state.json"):
            assert (folder / name).stat().st_size > 0
    return [step for step, _ in found]


def goes_on(settings: Settings) -> None:
    outcome = run_tiny(settings, demonstrations(12))
    lines = read_metrics(Path(settings.out) / "metrics.jsonl")
    assert [line["step"] for line in lines] == list(range(1, outcome.manifest.steps + 1))
    left = {path.name for path in (Path(settings.out) / "checkpoints").iterdir()}
    assert not any(name.startswith(".partial") for name in left)


def test_kill_9_in_the_middle_of_saving(model: Path, tmp_path: Path) -> None:
    settings = settings_of(model, tmp_path / "out", save_every=1, keep=3, epochs=30)
    folder = tmp_path / "out" / "checkpoints"
    process = subprocess.Popen([sys.executable, str(SCRIPT), job(settings)], env=environment())
    try:
        limit = time.monotonic() + 120
        # A partial folder is there for a part of each step: it is seen sooner or later.
        while not (len(checkpoints(folder)) >= 2 and list(folder.glob(".partial-step-*"))):
            assert process.poll() is None and time.monotonic() < limit
            time.sleep(0.0002)
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    steps = check_whole(tmp_path / "out")
    assert 2 <= len(steps) <= 4
    run = msgspec.structs.replace(settings, save_every=50)
    goes_on(run)


KILLED = """
import os, signal, sys
import tiny_training
from eval_anything_train import state

write = state.write_state

def killed(folder, position, gathered):
    if position.step == 4:
        folder.mkdir()
        (folder / state.WEIGHTS).write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)
    write(folder, position, gathered)

state.write_state = killed
tiny_training.main(sys.argv[1])
"""


def test_killed_between_the_model_and_the_trainers_state(model: Path, tmp_path: Path) -> None:
    settings = settings_of(model, tmp_path / "out", save_every=2)
    done = subprocess.run([sys.executable, "-c", KILLED, job(settings)], env=environment(), check=False)
    assert done.returncode == -signal.SIGKILL
    folder = tmp_path / "out" / "checkpoints"
    assert (folder / ".partial-step-00000004" / "model.safetensors").is_file()
    assert check_whole(tmp_path / "out") == [2]
    goes_on(settings)
    assert check_whole(tmp_path / "out") == [10, 12]


@contextlib.contextmanager
def disk_of(size: int) -> Iterator[None]:
    """Files longer than `size` bytes cannot be written."""
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, usual[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
        signal.signal(signal.SIGXFSZ, handler)


class FullAt(Imitate):
    """The disk is full in the middle of writing a checkpoint."""

    name_at, size = "", 0
    held = contextlib.ExitStack()

    def save(self, module: torch.nn.Module, folder: Path) -> None:
        if folder.name == f".partial-{self.name_at}":
            self.held.enter_context(disk_of(self.size))
        super().save(module, folder)


@pytest.mark.parametrize(
    ("name", "size"),
    [("step-00000004", 1_000), ("step-00000004", 500_000), ("final", 100_000)],
    ids=["at the model", "at the optimiser", "at the end"],
)
def test_a_full_disk_is_one_clear_error(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, size: int
) -> None:
    weights = (model / "model.safetensors").stat().st_size
    assert 100_000 < weights < 500_000 < 2 * weights  # the second limit is met by the optimiser's averages
    settings = settings_of(model, tmp_path / "out", save_every=2)
    monkeypatch.setattr(FullAt, "name_at", name)
    monkeypatch.setattr(FullAt, "size", size)
    with FullAt.held, pytest.raises(StorageError, match=f"{name}: cannot be written"):
        run_tiny(settings, demonstrations(12), FullAt)
    assert check_whole(tmp_path / "out") == ([10, 12] if name == "final" else [2])
    place = tmp_path / "out" if name == "final" else tmp_path / "out" / "checkpoints"
    assert not list(place.glob(".partial-*")) and not (tmp_path / "out" / "final").exists()
    goes_on(settings)


class FullSoon(Imitate):
    """The disk is full when training has begun."""

    held = contextlib.ExitStack()

    def trained(self) -> torch.nn.Module:
        self.held.enter_context(disk_of(4_000))
        return super().trained()


def test_a_full_disk_under_the_metrics(model: Path, tmp_path: Path) -> None:
    settings = settings_of(model, tmp_path / "out", epochs=20)
    with (
        FullSoon.held,
        pytest.raises(StorageError, match=r"metrics\.jsonl: cannot be written: File too large"),
    ):
        run_tiny(settings, demonstrations(12), FullSoon)
    assert 5 < len(read_metrics(tmp_path / "out" / "metrics.jsonl")) < 40
    goes_on(settings)
