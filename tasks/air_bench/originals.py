"""The benchmark's own prompts, taken out of a user's copy of its scripts: parsed as data, never executed."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path

from eval_anything.errors import DataError


def template(path: Path, variable: str, marks: Mapping[str, str]) -> str:
    """The text that the script at `path` gives `variable`, wherever in it, with each of `marks` replaced by
    our placeholder. Raises DataError where it is not there, or lacks a mark."""
    text = _constant(path, variable)
    for mark, placeholder in marks.items():
        if mark not in text:
            raise DataError(f"{path}: the string {variable} lacks {mark}, where {placeholder} belongs")
        text = text.replace(mark, placeholder)
    return text


def _constant(path: Path, variable: str) -> str:
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    except (OSError, SyntaxError, ValueError) as fault:
        raise DataError(f"{path}: not readable as Python source: {fault}") from None
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(text))) if (
                name == variable
            ):
                return text
    raise DataError(f"{path}: expected a string constant {variable}")
