"""Which files of a folder hold a split, and where the media that they name may lie."""

from __future__ import annotations

import re
from pathlib import Path

from eval_anything.errors import DataError
from eval_anything_train.data import tables
from eval_anything_train.data.columns import SUBTASKS, Subtask

_SPLITS = {"train": {"train"}, "val": {"val", "validation", "dev"}, "test": {"test"}}
"""Words in the name of a file that say which split it holds."""
_ARCHIVES = (".tar.gz", ".tgz", ".tar", ".zip")
_PACKED = ("images", "videos", "audios", "media", "local_images")
"""What archives of media are called; others beside the data may be anything."""


def find(path: Path, of: Subtask | None, split: str) -> tuple[list[Path], Subtask | None]:
    """The data files at `path` that hold `split`, in the order of their names, and the subtask where the
    folder says which it is.

    A file is taken as it is. A folder holds the data files, or one folder for each subtask as on the hub.
    Raises DataError where there is none.
    """
    if path.is_file():
        return [path], of
    if not path.is_dir():
        raise DataError(f"{path}: no such file or folder")
    inner = sorted({s.name for s in SUBTASKS.values() if (path / s.name).is_dir()})
    if of is not None and of.name in inner:
        path = path / of.name
    elif of is None and inner:
        if len(inner) > 1:
            raise DataError(f"{path}: holds several subtasks, say which: {', '.join(inner)}")
        path, of = path / inner[0], SUBTASKS[inner[0]]
    held = _data_files(path) or _data_files(path / "data")
    if not held:
        raise DataError(f"{path}: no data file in it; expected {', '.join(tables.SUFFIXES)}")
    return _of_split(path, held, split), of


def archives(folder: Path) -> list[Path]:
    """Archives of media beside data files: what rows name may be in them."""
    paths = (folder / f"{name}{end}" for name in _PACKED for end in _ARCHIVES)
    return [path for path in paths if path.is_file()]


def _data_files(folder: Path) -> list[Path]:
    """Of a file that is there in several formats, the one that is read with the least memory."""
    if not folder.is_dir():
        return []
    best: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if not tables.suffix(path) or path.name.startswith("."):
            continue
        other = best.setdefault(tables.stem(path), path)
        best[tables.stem(path)] = min(path, other, key=lambda p: tables.SUFFIXES.index(tables.suffix(p)))
    return [best[name] for name in sorted(best)]


def _of_split(folder: Path, held: list[Path], split: str) -> list[Path]:
    wanted = _SPLITS.get(split, {split})
    words = {path: set(re.split(r"[^a-z0-9]+", tables.stem(path).lower())) for path in held}
    if found := [path for path in held if words[path] & wanted]:
        return found
    if split == "train" and not any(words[path] & set().union(*_SPLITS.values()) for path in held):
        return held
    raise DataError(f"{folder}: no file of split {split!r}; it has: {', '.join(p.name for p in held)}")
