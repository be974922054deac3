"""Where synthetic twins are kept: written once for each task version, size and seed, and read thereafter."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from eval_anything.errors import DataError, StorageError
from eval_anything.home import home

if TYPE_CHECKING:
    from eval_anything.task import Task


def twin_folder(task: "type[Task]", n: int | None, seed: int) -> Path:
    """The folder of the twin, written first if it is not there."""
    size = "default" if n is None else n
    name = task.name.replace(":", "-").replace("/", "-")  # of a plug-in that stands for many
    folder = home() / "synthetic" / f"{name}-v{task.version}-n{size}-seed{seed}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        task.write_synthetic(folder, n, seed)
    return folder


def write_whole(out: Path, fill: Callable[[Path], None], telling: Sequence[str]) -> None:
    """Make the folder `out` by letting `fill` write into it: afterwards it is whole, or not there.

    A folder whose files `telling` are the same already is left as it is: another process may have been
    quicker with the same twin. Raises DataError where `out` holds something else, StorageError where it
    cannot be written.
    """
    staging = out.with_name(f".{out.name}.{secrets.token_hex(8)}.partial")
    try:
        staging.mkdir(parents=True)
        fill(staging)
        _publish(staging, out, telling)
    except OSError as fault:
        raise StorageError(f"{out}: the synthetic twin cannot be written: {fault.strerror}") from fault
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _publish(staging: Path, out: Path, telling: Sequence[str]) -> None:
    try:
        os.rename(staging, out)
    except OSError as fault:
        if fault.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
        for name in telling:
            if not (out / name).is_file() or (out / name).read_bytes() != (staging / name).read_bytes():
                raise DataError(f"{out}: exists and does not hold this twin; move it away") from None
