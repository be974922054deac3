"""Folders that are whole or not there: written beside their place, brought to the disk, then renamed."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from safetensors import SafetensorError

from eval_anything.errors import StorageError

_NAME = re.compile(r"step-(\d{8,})")
_PARTIAL = ".partial-"


def name_of(step: int) -> str:
    """The folder of the checkpoint after `step` steps."""
    return f"step-{step:08d}"


def checkpoints(folder: Path) -> list[tuple[int, Path]]:
    """The whole checkpoints in `folder` and their steps, oldest first."""
    if not folder.is_dir():
        return []
    found = [(_NAME.fullmatch(path.name), path) for path in folder.iterdir() if path.is_dir()]
    return sorted((int(match[1]), path) for match, path in found if match)


def write_folder(path: Path, fill: Callable[[Path], None]) -> None:
    """Make the folder `path` with what `fill` writes into the folder that it is given.

    Raises StorageError where it cannot be written, or is there already; nothing is left then.
    """
    partial = path.with_name(_PARTIAL + path.name)
    with _named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.mkdir()
        try:
            fill(partial)
            _to_disk(partial)
            partial.rename(path)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        _sync(path.parent)


def write_file(path: Path, content: bytes) -> None:
    """The same for a file: a reader sees the old one or the new one. Raises StorageError."""
    partial = path.with_name(_PARTIAL + path.name)
    with _named(path):
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        _sync(path.parent)


def prune(folder: Path, keep: int) -> None:
    """Keep the newest `keep` checkpoints in `folder`. Half removed, one no longer has its name."""
    for _, path in checkpoints(folder)[:-keep]:
        with _named(path):
            shutil.rmtree(path.rename(path.with_name(f"{_PARTIAL}old-{path.name}")))


def sweep(folder: Path) -> None:
    """Remove what a killed process left half written."""
    for path in folder.glob(f"{_PARTIAL}*"):
        with _named(path):
            path.unlink() if path.is_file() else shutil.rmtree(path)


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as fault:
        reason = fault.strerror or str(fault)
        raise StorageError(f"{path}: cannot be written: {reason}") from fault
    except SafetensorError as fault:  # of its own kind for every fault of the disk
        raise StorageError(f"{path}: cannot be written: {fault}") from fault


def _to_disk(folder: Path) -> None:
    for path in (*folder.rglob("*"), folder):
        _sync(path)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
