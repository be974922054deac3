"""Strings of models and data as a report may hold them: readable, bounded, and no disguise."""

from __future__ import annotations

import re
from typing import Any

import msgspec

_LONGEST = 20_000
"""Characters of one text that are shown; an answer of megabytes would make its page unusable."""
_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Control characters, and marks that reorder what stands around them; line breaks and tabs stay."""
_MEDIA = re.compile(r"media/[0-9a-f]{2}/[0-9a-f]{64}\.[a-z0-9]{1,5}")


def tame(text: str) -> str:
    """`text` with every control character made visible, and cut to what can be shown."""
    cut = text[:_LONGEST]
    shown = _CONTROL.sub("\ufffd", cut)
    return shown if len(cut) == len(text) else f"{shown}\n[{len(text) - len(cut):,} more characters]"


def tamed(value: Any) -> Any:
    """`value` as plain JSON values, with all strings in it tamed, keys too."""
    match value:
        case str():
            return tame(value)
        case dict():
            return {tame(str(k)): tamed(v) for k, v in value.items()}
        case list() | tuple():
            return [tamed(v) for v in value]
        case bool() | int() | float() | None:
            return value
        case _:
            return tamed(msgspec.to_builtins(value))


def is_media_path(path: object) -> bool:
    """Whether `path` is one that this project's store gives: nothing else is ever linked or copied."""
    return isinstance(path, str) and _MEDIA.fullmatch(path) is not None


def slug(name: str) -> str:
    """A file name for `name`, with letters, digits, dashes and underscores alone."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:80] or "unnamed"


def slugs(names: list[str]) -> dict[str, str]:
    """A file name of its own for each of `names`."""
    found: dict[str, str] = {}
    for name in names:
        base = short = slug(name)
        number = 2
        while short.lower() in {taken.lower() for taken in found.values()}:
            short, number = f"{base}-{number}", number + 1
        found[name] = short
    return found
