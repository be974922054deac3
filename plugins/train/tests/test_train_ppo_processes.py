"""PPO in two processes is PPO in one: with whole weights, and with weights divided among them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import tiny_models
import torch
from ppo_kit import Job, do, metrics_of, settings_of
from safetensors.torch import load_file
from servers.media_files import png
from tiny_training import environment

from eval_anything_train.settings import Lora

HERE = Path(__file__).parent
LAUNCH = ["-m", "torch.distributed.run", "--nproc_per_node", "2", "--standalone"]
DIVIDED = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"}


def in_two(*jobs: Job, **variables: str) -> subprocess.CompletedProcess[str]:
    """One job after the other, in the same two processes."""
    paths = [Path(job.settings.out).with_suffix(".json") for job in jobs]
    for path, job in zip(paths, jobs, strict=True):
        path.write_bytes(msgspec.json.encode(job))
    command = [sys.executable, *LAUNCH, str(HERE / "ppo_kit.py"), *map(str, paths)]
    return subprocess.run(command, env=environment(**variables), capture_output=True, text=True, check=False)


def alike(job: Job, other: Job) -> None:
    """Both runs, but for the order of sums."""
    for a, b in zip(metrics_of(job.settings), metrics_of(other.settings), strict=True):
        assert a == pytest.approx(b, rel=2e-4, abs=1e-5)
    found, expected = (
        load_file(Path(one.settings.out) / "final" / "model.safetensors") for one in (job, other)
    )
    assert all(torch.allclose(found[name], expected[name], atol=2e-4) for name in expected)


def test_two_processes_are_one_with_twice_the_batch(tmp_path: Path) -> None:
    # Prompts with and without an image; the last of nine leaves a process idle, as does the third of three
    # demonstrations.
    model = tiny_models.tiny_qwen2_vl(tmp_path / "model")
    (tmp_path / "a.png").write_bytes(png())
    media = {f"p{n}": str(tmp_path / "a.png") for n in (1, 2, 5)}
    given = {"lr": 1e-4, "critic_lr": 1e-4, "epochs": 2, "whiten": True}
    one = Job(settings_of(model, tmp_path / "one", batch_size=4, **given), 9, media, 3)
    two = Job(settings_of(model, tmp_path / "two", batch_size=1, accumulate=2, **given), 9, media, 3)
    do(one)
    done = in_two(two)
    assert done.returncode == 0, done.stderr
    alike(two, one)


def test_a_reward_that_is_no_number_in_one_process_stops_both(tmp_path: Path) -> None:
    model = tiny_models.tiny_llama(tmp_path / "model")
    job = Job(settings_of(model, tmp_path / "out", batch_size=1), 8, bad="p5")
    done = in_two(job)
    assert done.returncode != 0
    assert "the reward of the answer to record 'p5' is nan" in done.stderr
    assert not (tmp_path / "out" / "final").exists()


def test_weights_divided_among_processes(tmp_path: Path) -> None:
    """Answers end at different lengths, and the processes go on together all the same."""
    model = tiny_models.tiny_llama(tmp_path / "model")
    jobs: dict[str, Job] = {}
    for form, lora in (("weights", None), ("adapters", Lora(rank=2))):
        given = {"lr": 1e-4, "critic_lr": 1e-4, "max_new_tokens": 20, "lora": lora}
        do(one := Job(settings_of(model, tmp_path / f"{form}-one", batch_size=2, **given), 6))
        more = {"batch_size": 1, "save_every": 1, "keep": 9}
        jobs[form] = Job(settings_of(model, tmp_path / form, **more, **given), 6)
        assert len({line["length"] for line in metrics_of(one.settings)}) > 1
    done = in_two(*jobs.values(), **DIVIDED)
    assert done.returncode == 0, done.stderr
    before = {}
    for form, job in jobs.items():
        alike(job, Job(msgspec.structs.replace(job.settings, out=f"{job.settings.out}-one"), 6))
        before[form] = load_file(tmp_path / form / "final" / "model.safetensors")
        shutil.rmtree(tmp_path / form / "final")
        shutil.rmtree(tmp_path / form / "checkpoints" / "step-00000003")
    lines = {form: metrics_of(job.settings) for form, job in jobs.items()}
    done = in_two(*jobs.values(), **DIVIDED)
    assert done.returncode == 0, done.stderr
    for form, job in jobs.items():
        assert metrics_of(job.settings) == lines[form]
        again = load_file(tmp_path / form / "final" / "model.safetensors")
        assert all(torch.equal(again[name], value) for name, value in before[form].items())
