"""Settings by method and subtask as the paper's tables have them: presets/METHOD.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eval_anything.errors import UnknownName, UsageError
from eval_anything.suggest import unknown
from eval_anything_train.settings import Common

FOLDER = Path(__file__).parent / "presets"
_ALL = "all"
"""The row whose settings all others of its file share."""


_WHOLE = {"llf": ("feedback", "reward", "dpo", "ppo")}
"""Commands with several trainings: their presets are those of each."""


def subtasks(method: str) -> tuple[str, ...]:
    """Names of the presets that `method` has: "ti2t" and so on."""
    if method in _WHOLE:
        return tuple(dict.fromkeys(name for part in _WHOLE[method] for name in subtasks(part)))
    return tuple(name for name in _rows(method) if name != _ALL)


def preset(method: str, subtask: object) -> dict[str, Any]:
    """The settings of `method` for `subtask`. Raises UnknownName with the nearest right one and the list, and
    UsageError for what is no name: files may hold anything."""
    if not isinstance(subtask, str):
        raise UsageError(f"train {method}: preset: expected one name, not {subtask!r}")
    if method in _WHOLE and subtask in subtasks(method):
        return _together({p: preset(p, subtask) for p in _WHOLE[method] if subtask in subtasks(p)})
    rows = _rows(method)
    if not rows and method not in _WHOLE:
        raise UsageError(f"train {method} has no presets")
    if subtask not in rows or subtask == _ALL:
        raise UnknownName(f"train {method}: {unknown('preset', subtask, subtasks(method))}")
    return {**rows.get(_ALL, {}), **rows[subtask]}


def _together(parts: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The settings of several trainings; what all have in common, and is said for all at once, by itself."""
    first, *others = parts.values()
    common = {
        name: value
        for name, value in first.items()
        if name in Common.__struct_fields__ and all(other.get(name) == value for other in others)
    }
    own = {part: {n: v for n, v in row.items() if n not in common} for part, row in parts.items()}
    return {**common, **own}


def _rows(method: str) -> Mapping[str, dict[str, Any]]:
    import yaml

    path = FOLDER / f"{method}.yaml"
    rows: dict[str, dict[str, Any]] = yaml.safe_load(path.read_text("utf-8")) if path.is_file() else {}
    return rows
