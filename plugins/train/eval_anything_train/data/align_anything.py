"""align-anything (arXiv 2412.15838) from the hub: preferences with language feedback, in eight subtasks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from eval_anything.errors import DataError, UsageError
from eval_anything.hub import download
from eval_anything_train.data import columns, files
from eval_anything_train.data.columns import Subtask
from eval_anything_train.data.local import Local
from eval_anything_train.data.media import Places
from eval_anything_train.data.reader import About

REPOSITORY = "PKU-Alignment/align-anything"
LICENCE = "cc-by-nc-4.0"
_SUBTASKS = ", ".join(s.short for s in {s.name: s for s in columns.SUBTASKS.values()}.values())


def is_ours(repository: str) -> bool:
    """Whether a repository of the hub has align-anything's layout (align-anything-400k is the same one)."""
    return repository.lower().startswith(REPOSITORY.lower())


def open_hub(repository: str, revision: str, of: Subtask | None, split: str, media: Path | None) -> Local:
    """The files of one subtask and split; nothing else of the repository is fetched.

    Archives of media are fetched when a row names a medium that is in none of the folders. Raises UsageError
    without a subtask, DataError for a split that is not there or files that cannot be had.
    """
    if of is None:
        raise UsageError(f"{repository}: say which subtask: {repository}:ti2t, or another of {_SUBTASKS}")
    if split not in of.splits:
        raise DataError(f"{repository}: {of.name} has no split {split!r}; it has: {', '.join(of.splits)}")
    patterns = [f"{of.name}/{pattern}" for pattern in of.splits[split]]
    root = download(repository, revision, patterns, licence=LICENCE)
    if not any(match for pattern in patterns for match in root.glob(pattern)):
        raise DataError(f"{repository} at {revision}: has none of {', '.join(patterns)}: another revision?")
    found, _ = files.find(root, of, split)
    folders = [media] if media else [root / of.name, root]
    about = About(
        name=f"{repository}:{of.name}",
        files=tuple(found),
        revision=root.name,
        licence=LICENCE,
        subtask=of.short,
        options={"subtask": of.short, "media": [str(folder) for folder in folders]},
        notes=(f"hub data set {repository} at {revision} (commit {root.name}), {of.name}, split {split}",),
    )
    return Local(about, of, Places(folders, _archives(repository, root.name, of), trusted=media is not None))


def _archives(repository: str, commit: str, of: Subtask) -> list[Callable[[], Path]]:
    def fetch(name: str) -> Path:
        path = f"{of.name}/{name}"
        return download(repository, commit, [path], licence=LICENCE) / path

    def refuse() -> Path:
        raise DataError(f"{repository}: {of.name}: {of.by_hand}, and give their folder as media")

    return [partial(fetch, name) for name in of.archives] + ([refuse] if of.by_hand else [])
