"""`key=value` arguments."""

from __future__ import annotations

from collections.abc import Iterable

from eval_anything.errors import UsageError


def pairs(flag: str, texts: Iterable[str]) -> dict[str, str]:
    """`["a=1", "b=2"]` as a mapping. Raises UsageError naming the flag and what does not fit."""
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError(f"{flag} {text!r} is not of the form key=value")
        if key in found:
            raise UsageError(f"{flag} {key} is given twice")
        found[key] = value
    return found
