"""A folder of pages: made aside, then put in its place as a whole."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

from eval_anything.errors import StorageError, UsageError


def write_folder(out: Path, mark: str, what: str, fill: Callable[[Path], None]) -> Path:
    """Have `fill` write into a folder aside, then put that in the place of `out`; returns `out`.

    A folder with the file `mark` in it is ours, a `what`, and is replaced. Raises UsageError where `out` is
    anything else, StorageError where it cannot be written.
    """
    if (out.exists() or out.is_symlink()) and not (out / mark).is_file():
        raise UsageError(f"{out}: exists, and is no {what}: choose another --out")
    staging = out.with_name(f".{out.name}.{secrets.token_hex(4)}.partial")
    try:
        staging.mkdir(parents=True)
        (staging / mark).write_text("made by eval-anything; may be replaced by it\n", encoding="utf-8")
        fill(staging)
        _put(staging, out)
    except OSError as fault:
        raise StorageError(f"{out}: cannot be written: {fault.strerror}") from fault
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return out


def _put(staging: Path, out: Path) -> None:
    old = None
    if out.exists():
        old = out.with_name(f".{out.name}.{secrets.token_hex(4)}.old")
        os.rename(out, old)
    os.rename(staging, out)
    if old is not None:
        shutil.rmtree(old, ignore_errors=True)
