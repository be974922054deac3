"""Where synthetic twins are kept: written once for each task version, size and seed, and read thereafter."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from eval_anything.home import home

if TYPE_CHECKING:
    from eval_anything.task import Task


def twin_folder(task: "type[Task]", n: int | None, seed: int) -> Path:
    """The folder of the twin, written first if it is not there."""
    size = "default" if n is None else n
    folder = home() / "synthetic" / f"{task.name}-v{task.version}-n{size}-seed{seed}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        task.write_synthetic(folder, n, seed)
    return folder
