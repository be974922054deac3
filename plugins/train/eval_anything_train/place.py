"""Where a process of a run computes, and where it loads weights."""

from __future__ import annotations

import os

import torch

from eval_anything.models.hf.load import resolve_device


def sharded() -> bool:
    """Whether the launcher divides weights among processes (FSDP)."""
    return os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true"


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
    return "cpu" if sharded() else process_device(device)
