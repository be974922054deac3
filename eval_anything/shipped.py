"""Weights that come with the package: each file is checked by its hash before it is used."""

from __future__ import annotations

import hashlib
from pathlib import Path

from eval_anything.errors import UsageError

SUMS = "SHA256SUMS"
"""Beside the files: a line of hash and name for each, as sha256sum writes them."""
_AGAIN = "install eval-anything again, or restore the folder from its repository"


def shipped(folder: Path, what: str) -> Path:
    """`folder`, all of whose files are whole; `what` names it for messages.

    Raises UsageError naming the first file that is missing or damaged.
    """
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise UsageError(f"{what}: {folder / SUMS} is missing or damaged: {_AGAIN}") from None
    for line in lines:
        expected, _, name = line.partition("  ")
        path = folder / name
        if not name or not path.is_file():
            raise UsageError(f"{what}: {path} is missing: {_AGAIN}")
        if digest(path) != expected:
            raise UsageError(f"{what}: {path} is damaged (its sha256 is another): {_AGAIN}")
    return folder


def seal(folder: Path) -> None:
    """Write down the hashes of the files in `folder` that decide a result (no pages), for `shipped`."""
    files = [path for path in folder.iterdir() if path.is_file() and path.suffix != ".md"]
    names = sorted(path.name for path in files if path.name != SUMS)
    lines = [f"{digest(folder / name)}  {name}\n" for name in names]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
