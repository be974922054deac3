"""A share of right answers with its interval."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Self

import msgspec

_Z = 1.959964


class Share(msgspec.Struct, frozen=True):
    """How many of how many were right, with a 95 % interval (Wilson)."""

    right: int
    of: int

    @classmethod
    def among(cls, verdicts: Iterable[bool]) -> Self:
        found = list(verdicts)
        return cls(sum(found), len(found))

    @property
    def share(self) -> float:
        return self.right / self.of

    @property
    def interval(self) -> tuple[float, float]:
        n, p = self.of, self.share
        centre = (p + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
        half = _Z / (1 + _Z**2 / n) * math.sqrt(p * (1 - p) / n + _Z**2 / (4 * n**2))
        return centre - half, centre + half

    def __str__(self) -> str:
        """ "94.0 % (91.2 to 96.0)"; "none" of none."""
        if not self.of:
            return "none"
        low, high = self.interval
        return f"{100 * self.share:.1f} % ({100 * low:.1f} to {100 * high:.1f})"
