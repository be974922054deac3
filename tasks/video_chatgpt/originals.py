"""The benchmark's own prompts, read out of a copy of its evaluation scripts; nothing in them is executed.

Each script holds a call with two messages: a system prompt that is a string, and a user prompt that is an
f-string over the question, the correct answer and what was predicted.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path

from eval_anything.errors import DataError
from eval_anything.suggest import unknown

SCRIPTS: Mapping[str, str] = {
    "correctness": "evaluate_benchmark_1_correctness.py",
    "detail": "evaluate_benchmark_2_detailed_orientation.py",
    "context": "evaluate_benchmark_3_context.py",
    "temporal": "evaluate_benchmark_4_temporal.py",
    "consistency": "evaluate_benchmark_5_consistency.py",
}
"""Aspects, and the published scripts that rate them."""
_NAMES = {
    "question": "question",
    "question1": "question_1",
    "question2": "question_2",
    "answer": "answer",
    "pred": "response",
    "pred1": "response_0",
    "pred2": "response_1",
}
"""Variables of the f-strings, and our placeholders."""


def read_originals(folder: Path) -> dict[str, str]:
    """Templates by our names; empty where `folder` holds none of the scripts.

    Raises DataError for a script without a system and a user message of text.
    """
    found: dict[str, str] = {}
    for aspect, name in SCRIPTS.items():
        for path in (folder / name, folder / "quantitative_evaluation" / name):
            if path.is_file():
                messages = _messages(path)
                found |= {f"{aspect}_{role}": messages[role] for role in ("system", "user")}
                break
    return found


def _messages(path: Path) -> dict[str, str]:
    try:
        tree = ast.parse(path.read_bytes(), filename=str(path))
    except (OSError, SyntaxError, ValueError) as fault:
        raise DataError(f"{path}: not readable as Python source ({fault})") from None
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict) and (message := _message(path, node)):
            found.setdefault(*message)
    for role in ("system", "user"):
        if role not in found:
            raise DataError(f"{path}: no message of role {role!r} with a text as its content")
    return found


def _message(path: Path, node: ast.Dict) -> tuple[str, str] | None:
    """Role and content of `{"role": ..., "content": ...}`."""
    fields = {key.value: value for key, value in zip(node.keys, node.values, strict=True) if _is_text(key)}
    role = fields.get("role")
    if not _is_text(role) or "content" not in fields:
        return None
    content = _template(path, fields["content"])
    return None if content is None else (role.value, content)


def _template(path: Path, node: ast.expr) -> str | None:
    if _is_text(node):
        return str(node.value)
    if not isinstance(node, ast.JoinedStr):
        return None
    return "".join(
        str(piece.value) if _is_text(piece) else _placeholder(path, piece) for piece in node.values
    )


def _placeholder(path: Path, node: ast.expr) -> str:
    name = node.value.id if isinstance(node, ast.FormattedValue) and isinstance(node.value, ast.Name) else ""
    if name not in _NAMES:
        raise DataError(
            f"{path}, line {node.lineno}: {unknown('variable', name or ast.unparse(node), _NAMES)}"
        )
    return f"{{{_NAMES[name]}}}"


def _is_text(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)
