"""The outward form of an answer, and how well it agrees with the form that the references share."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Sequence

Layout = tuple[Hashable, ...]
"""Features of form, in a fixed order: lines, their first symbols, ends, case, punctuation, digits, length."""

_CONSENSUS = 0.6
"""A feature on which fewer of the references agree was not asked for."""
_DIGIT = re.compile(r"\d")
_FRONT = re.compile(r"[^\w\s]*")
_PUNCTUATION = re.compile(r"[^\w\s']")


def layout(text: str) -> Layout:
    """What can be said of the form of `text` without reading it."""
    stripped = text.strip()
    lines = [line.strip() for line in stripped.splitlines() if line.strip()]
    return (
        len(lines),
        frozenset(_symbols(line) for line in lines),
        _symbols(stripped),
        _symbols(stripped[::-1]),
        _case(stripped),
        frozenset(_PUNCTUATION.findall(stripped)),
        _DIGIT.search(stripped) is not None,
        len(stripped.split()).bit_length(),
    )


def agreement(answer: Layout, references: Sequence[Layout]) -> float:
    """0..1: the share of the references' common features of form that the answer has too."""
    wanted = had = 0.0
    for i, value in enumerate(answer):
        votes = Counter(reference[i] for reference in references)
        most = max(votes.values())
        if most >= _CONSENSUS * len(references):
            wanted += most
            had += votes[value]
    return had / wanted if wanted else 1.0


def _symbols(text: str) -> str:
    """The run of symbols at the front."""
    found = _FRONT.match(text)
    return found.group() if found else ""


def _case(text: str) -> str:
    if text.isupper():
        return "upper"
    return "lower" if text.islower() else "mixed"
