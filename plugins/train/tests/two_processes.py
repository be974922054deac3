"""Training in two processes on the CPU, and the comparison with one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from safetensors.torch import load_file
from tiny_training import Job, environment
from torch import Tensor

from eval_anything_train.metrics import read_metrics
from eval_anything_train.settings import Settings

LAUNCH = ["-m", "torch.distributed.run", "--nproc_per_node", "2", "--standalone"]
DIVIDED = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"}
"""What `accelerate launch` sets with accelerate/fsdp.yaml."""


def in_two(*jobs: Job, **variables: str) -> subprocess.CompletedProcess[str]:
    """One job after the other, in the same two processes."""
    paths = [Path(job.settings.out).with_suffix(".json") for job in jobs]
    for path, job in zip(paths, jobs, strict=True):
        path.write_bytes(msgspec.json.encode(job))
    command = [sys.executable, *LAUNCH, str(Path(__file__).with_name("tiny_training.py")), *map(str, paths)]
    return subprocess.run(command, env=environment(**variables), capture_output=True, text=True, check=False)


def column(settings: Settings, name: str) -> list[Any]:
    return [line[name] for line in read_metrics(Path(settings.out) / "metrics.jsonl")]


def same_curve(settings: Settings, other: Settings) -> None:
    for name in ("loss", "grad_norm", "likely"):
        assert column(settings, name) == pytest.approx(column(other, name), rel=1e-5)
    for name in ("step", "epoch", "tokens", "records", "skipped", "lr"):
        assert column(settings, name) == column(other, name)


def alike(run: Path, other: Path) -> dict[str, Tensor]:
    """The trained weights of `run`, which are those of `other` but for the order of sums."""
    found, expected = (load_file(out / "final" / "model.safetensors") for out in (run, other))
    assert {n: v.shape for n, v in found.items()} == {n: v.shape for n, v in expected.items()}
    assert all(torch.allclose(found[name], expected[name], atol=2e-4) for name in expected)
    return found
