"""Prompt templates as files: replaceable, hashed, and filled in one pass.

A template holds `{name}` placeholders. Values are pasted in one pass, so that braces inside a value
(a model's answer, say) are never taken for placeholders.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from eval_anything.errors import DataError
from eval_anything.suggest import unknown

_PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")

RESPONSE = "response"
"""The placeholder where a judge pastes the answer that is judged."""
_JUDGED = re.compile(rf"{RESPONSE}(_\d+)?|first|second|components")
"""That placeholder, or where an answer to one of several requests goes, one of a pair, or the components that
are rated: what a judge must be shown."""


def placeholders(template: str) -> set[str]:
    return set(_PLACEHOLDER.findall(template))


def fill(template: str, values: Mapping[str, str]) -> str:
    """Paste `values` into `template`. Raises DataError for a placeholder without a value."""

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in values:
            raise DataError(f"prompt template: {unknown('placeholder', '{' + name + '}', values)}")
        return values[name]

    return _PLACEHOLDER.sub(value, template)


class PromptSet:
    """The named templates of one task: its own files, each replaceable by one of the same name."""

    def __init__(self, own: Path, names: Sequence[str], override: Path | None = None) -> None:
        self.source = "built-in"
        self.templates = {name: _read(own / f"{name}.md") for name in names}
        if override is not None:
            self._override(override, names)

    def _override(self, folder: Path, names: Sequence[str]) -> None:
        if not folder.is_dir():
            raise DataError(f"--prompts: no such folder: {folder}")
        found = [name for name in names if (folder / f"{name}.md").is_file()]
        if not found:
            wanted = ", ".join(f"{name}.md" for name in names)
            raise DataError(f"--prompts: {folder} holds none of {wanted}")
        self.replace({name: _read(folder / f"{name}.md") for name in found}, str(folder.name))

    def replace(self, templates: Mapping[str, str], source: str) -> None:
        """Put `templates` in place of those of the same name.

        Raises DataError for a placeholder that the built-in template does not have, and for a template that
        does not show what is to be judged.
        """
        for name, text in templates.items():
            known = placeholders(self.templates[name])
            for wrong in placeholders(text) - known:
                raise DataError(f"prompt {name} from {source}: {unknown('placeholder', wrong, known)}")
            for lacking in sorted(filter(_JUDGED.fullmatch, known - placeholders(text))):
                raise DataError(
                    f"prompt {name} from {source}: no {{{lacking}}}: the judge would not see what it rates"
                )
        self.templates.update(templates)
        self.source = source

    def __getitem__(self, name: str) -> str:
        return self.templates[name]

    def digest(self) -> str:
        """sha256 over names and texts; part of the task's fingerprint."""
        whole = "\0".join(f"{k}\0{v}" for k, v in sorted(self.templates.items()))
        return hashlib.sha256(whole.encode()).hexdigest()


def string_constants(path: Path) -> dict[str, str]:
    """Module-level string constants of a Python file, parsed and never executed.

    For benchmarks that publish their prompts as `NAME = \"\"\"...\"\"\"` beside their data.
    """
    try:
        tree = ast.parse(_read(path), filename=str(path))
    except SyntaxError as fault:
        raise DataError(f"{path}: not readable as Python source (line {fault.lineno})") from None
    found: dict[str, str] = {}
    for node in tree.body:
        match node:
            case ast.Assign(targets=targets, value=ast.Constant(value=str(text))):
                found.update({target.id: text for target in targets if isinstance(target, ast.Name)})
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        raise DataError(f"prompt file {path}: {fault}") from None
