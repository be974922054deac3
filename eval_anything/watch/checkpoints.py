"""The checkpoints in a training run's directory, those that are whole."""

from __future__ import annotations

import re
import time
from pathlib import Path

import msgspec

from eval_anything.errors import UsageError
from eval_anything.models.hf.checkpoint import read_config, weight_files

_NAME = re.compile(r"(?:checkpoint|step)-(\d{1,18})")


class Checkpoint(msgspec.Struct, frozen=True, order=True):
    """Ordered by step."""

    step: int
    name: str
    """Of its folder: "checkpoint-500", "step-500"."""
    path: Path


class Found(msgspec.Struct, frozen=True):
    """What a look at the directory shows."""

    whole: tuple[Checkpoint, ...]
    partial: dict[str, str]
    """Names of those that are not whole (yet), and what they lack."""
    settled_in: float
    """Seconds until the youngest of the whole ones that were left out, because files of them are younger than
    `settle`, can be taken; 0: none was left out."""


def find(folder: Path, settle: float) -> Found:
    """Whole is a folder with a readable configuration and all weights (safetensors, as long as their headers
    say), in which nothing has been written for `settle` seconds: trainers save the tokenizer last.

    Raises UsageError where there is no such folder.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder")
    whole: list[Checkpoint] = []
    partial: dict[str, str] = {}
    wait = 0.0
    for path in folder.iterdir():
        match = _NAME.fullmatch(path.name)
        if match is None or not path.is_dir():
            continue
        try:
            read_config(path)
            weight_files(path)
            age = _age(path)
        except (UsageError, OSError) as fault:  # an OSError: it is being moved or removed
            partial[path.name] = str(fault)
            continue
        if age < settle:
            partial[path.name] = f"written {max(age, 0):.0f} s ago"
            wait = max(wait, settle - age)
        else:
            whole.append(Checkpoint(int(match[1]), path.name, path.resolve()))
    return Found(tuple(sorted(whole)), partial, wait)


def _age(path: Path) -> float:
    """Seconds since anything in it was written; what is dated in the future has been there all along."""
    newest = max(entry.stat().st_mtime for entry in (path, *path.iterdir()))
    age = time.time() - newest
    return age if age >= 0 else float("inf")
