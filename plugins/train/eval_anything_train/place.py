"""Where a process of a run computes, and where it loads weights."""

from __future__ import annotations

import os
from typing import Literal

import torch

from eval_anything.models.hf.load import resolve_device


def division() -> Literal["fsdp", "deepspeed"] | None:
    """How the launcher asks that weights be divided among processes: by FSDP, by DeepSpeed, or not at all."""
    if _asked("ACCELERATE_USE_DEEPSPEED"):
        return "deepspeed"
    return "fsdp" if _asked("ACCELERATE_USE_FSDP") else None


def _asked(variable: str) -> bool:
    return os.environ.get(variable, "false").lower() == "true"


def process_device(device: str) -> str:
    """ "auto" is the GPU where there is one; with several processes, each one's own.

    Raises UsageError for a device that is not there.
    """
    local = os.environ.get("LOCAL_RANK")
    if device == "auto" and local is not None and torch.cuda.is_available():
        return f"cuda:{local}"
    return resolve_device(device)


def loading_device(device: str) -> str:
    """Weights that will be divided are loaded into main memory: whole ones may not fit one GPU."""
    return "cpu" if division() else process_device(device)
