"""Settings by method and subtask as the paper's tables have them: presets/METHOD.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eval_anything.errors import UnknownName, UsageError
from eval_anything.suggest import unknown

FOLDER = Path(__file__).parent / "presets"
_ALL = "all"
"""The row whose settings all others of its file share."""


def subtasks(method: str) -> tuple[str, ...]:
    """Names of the presets that `method` has: "ti2t" and so on."""
    return tuple(name for name in _rows(method) if name != _ALL)


def preset(method: str, subtask: str) -> dict[str, Any]:
    """The settings of `method` for `subtask`. Raises UnknownName with the nearest right one and the list."""
    rows = _rows(method)
    if not rows:
        raise UsageError(f"train {method} has no presets")
    if subtask not in rows or subtask == _ALL:
        raise UnknownName(f"train {method}: {unknown('preset', subtask, subtasks(method))}")
    return {**rows.get(_ALL, {}), **rows[subtask]}


def _rows(method: str) -> Mapping[str, dict[str, Any]]:
    import yaml

    path = FOLDER / f"{method}.yaml"
    rows: dict[str, dict[str, Any]] = yaml.safe_load(path.read_text("utf-8")) if path.is_file() else {}
    return rows
