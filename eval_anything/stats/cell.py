"""Rows that are averaged together, and what is missing from them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import msgspec

from eval_anything.stats.aggregate import Means, MissingPolicy
from eval_anything.values import ScoreState

# Only these say something about the answer; the other states are outages of the judge or the model.
_ANSWERED_BADLY: tuple[ScoreState, ...] = ("unparsed", "refused")


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What became of one response, as far as metrics are concerned."""

    id: str
    repeat: int
    group: str
    cluster: str
    """Empty: the sample is a cluster of its own, which its repeats share."""
    state: ScoreState | None
    """None: not judged yet (the run is unfinished)."""
    value: float | None
    truncated: bool = False
    weight: float = 1.0
    """At least 0."""
    components: dict[str, float | None] = {}

    @property
    def outcome(self) -> ScoreState | None:
        """The state, where "scored" without a number is what it amounts to: no usable verdict."""
        return "unparsed" if self.state == "scored" and self.value is None else self.state


class Used(NamedTuple):
    """A row that enters a mean, and with which value."""

    row: Verdict
    value: float


class Cell:
    """The rows of one group, the values that enter its mean, and what is missing.

    With `component`, the values are those of that component of the scores.
    """

    def __init__(
        self, rows: Sequence[Verdict], means: Means, policy: MissingPolicy, component: str | None = None
    ) -> None:
        self.rows = rows
        self.used: list[Used] = []
        self.missing: Counter[str] = Counter()
        self.scored = 0
        substitute = _substitute(means, policy)
        for row in rows:
            outcome, value = row.outcome, row.value
            if component is not None and outcome == "scored":
                value = row.components.get(component)
                outcome = "scored" if value is not None else "unparsed"
            if outcome == "scored" and value is not None:
                self.scored += 1
                self.used.append(Used(row, value))
            elif outcome is not None:
                self.missing[outcome] += 1
                if substitute is not None and outcome in _ANSWERED_BADLY:
                    self.used.append(Used(row, substitute))

    @cached_property
    def value(self) -> float | None:
        """The weighted mean; None where nothing has any weight."""
        total = math.fsum(row.weight for row, _ in self.used)
        return math.fsum(row.weight * value for row, value in self.used) / total if total else None

    @property
    def imputed(self) -> int:
        return len(self.used) - self.scored

    @property
    def truncated(self) -> int:
        return sum(row.truncated for row in self.rows)

    def why_none(self) -> str:
        if not self.rows:
            return "no responses"
        states = ", ".join(f"{n} {state}" for state, n in sorted(self.missing.items()))
        waiting = len(self.rows) - self.missing.total() - self.scored
        parts = [states] if states else []
        parts += [f"{waiting} not judged yet"] if waiting else []
        parts += [f"{self.scored} of weight 0"] if self.scored else []
        return f"nothing scored of {len(self.rows)}: {', '.join(parts)}"


def _substitute(means: Means, policy: MissingPolicy) -> float | None:
    """What stands in for an unusable verdict. The floor is the worst end of the scale, whichever that is."""
    if policy == "exclude":
        return None
    if policy == "zero":
        return 0.0
    return means.low if means.higher_is_better else means.high
