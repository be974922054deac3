"""Which verdicts of two runs are on the same question, and which stand alone."""

from __future__ import annotations

from typing import NamedTuple

from eval_anything.stats.cell import Verdict

Key = tuple[str, int]
"""Sample and repeat."""


class Matched(NamedTuple):
    """Verdicts of two runs on the same samples and repeats, in the same order."""

    before: tuple[Verdict, ...]
    after: tuple[Verdict, ...]
    only_before: tuple[Key, ...]
    only_after: tuple[Key, ...]
    unscored: tuple[Key, ...]
    """In both, and without a usable number in one of them: in no difference."""


def match(before: tuple[Verdict, ...], after: tuple[Verdict, ...]) -> Matched:
    """Nothing is dropped without being named: what has no partner, and what has one without a number."""
    one, other = ({(v.id, v.repeat): v for v in verdicts} for verdicts in (before, after))
    shared = [key for key in sorted(one) if key in other]
    scored = [key for key in shared if _counts(one[key]) and _counts(other[key])]
    known = set(scored)
    return Matched(
        before=tuple(one[key] for key in scored),
        after=tuple(other[key] for key in scored),
        only_before=tuple(sorted(one.keys() - other.keys())),
        only_after=tuple(sorted(other.keys() - one.keys())),
        unscored=tuple(key for key in shared if key not in known),
    )


def _counts(verdict: Verdict) -> bool:
    """Whether it enters a mean by itself: with a score, or with its protocol's stand-in for one."""
    if verdict.value is not None:
        return verdict.outcome in ("scored", "unparsed", "no_response")
    return verdict.outcome == "unparsed" and any(v is not None for v in verdict.components.values())
