"""What the rows say to one kind of mean: which of them enter it, with which number, and what is missing."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import msgspec

from eval_anything.values import ScoreState

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from eval_anything.stats.bootstrap import Codes, Floats

# Only these say something about the answer; the other states are outages of the judge or the model.
_ANSWERED_BADLY: tuple[ScoreState, ...] = ("unparsed", "refused")
# With a value of their own, these count as that value: the protocol says so.
_STAND_IN: tuple[ScoreState, ...] = ("unparsed", "no_response")

APART, SCORED, WAITING = 0, 1, 2
"""What a row is to a mean: none of its business, scored, not judged yet; above those, missing."""
STATES: tuple[str, ...] = ("", "", "", *(state for state in get_args(ScoreState) if state != "scored"))
"""The state of missing rows by that code."""


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
    """In state unparsed or no_response: the number that the protocol lets stand in for the missing one."""
    truncated: bool = False
    weight: float = 1.0
    """At least 0."""
    components: dict[str, float | None] = {}

    @property
    def outcome(self) -> ScoreState | None:
        """The state, where "scored" without a number is what it amounts to: no usable verdict."""
        return "unparsed" if self.state == "scored" and self.value is None else self.state


class Question(NamedTuple):
    """What a mean asks of each row; means of one question differ in their groups alone."""

    column: str = ""
    """Component in place of the value."""
    per: str = ""
    """Component that is asked for beside it; a row without it is missing."""
    each: Literal["response", "sample"] = "response"
    blocks: int | None = None
    """Rows of a block share the weight of one."""
    substitute: float | None = None
    """What the missing policy puts in place of an unusable verdict: of the value, or its ratio to `per`."""


class Answers:
    """The rows' answers to one question. Arrays are as long as `rows`; rows not `asked` are APART.

    `used` rows enter the mean: `values` (and `pers`, 1 where nothing is asked for beside the value) with
    `weights`, which are 0 elsewhere.
    """

    def __init__(
        self, rows: Sequence[Verdict], question: Question, asked: Iterable[Codes], lacking_is_missing: bool
    ) -> None:
        """`asked`: indices of the rows of each group. With `lacking_is_missing` a score that lacks the column
        has no usable verdict; else it is APART."""
        import numpy as np

        self.status: NDArray[np.int8] = np.zeros(len(rows), dtype=np.int8)
        self.used: NDArray[np.bool_] = np.zeros(len(rows), dtype=bool)
        self.values: Floats = np.zeros(len(rows))
        self.pers: Floats = np.zeros(len(rows))
        weights = np.array([row.weight for row in rows], dtype=np.float64)
        groups = list(asked)
        for group in groups:
            found = [_answer(rows[index], question, lacking_is_missing) for index in group.tolist()]
            table = np.array(found, dtype=np.float64).reshape(-1, 4).T
            self.status[group], self.used[group] = table[0], table[1]
            self.values[group], self.pers[group] = table[2], table[3]
        self.stand_in: NDArray[np.bool_] = self.used & (self.status > WAITING)
        """Missing rows that have a value of their own."""
        if question.substitute is not None:
            for group in groups:
                self._fill(group, question, question.substitute, weights)
        self.weights: Floats = np.where(self.used, weights, 0.0)
        if question.each == "sample":
            self.weights /= _repeats(rows, self.used)
        if question.blocks:
            for group in groups:
                self._level(group[self.used[group]], question.blocks)

    def _level(self, rows: Codes, size: int) -> None:
        """Makes the weights of each block of `size` rows add up to 1."""
        import numpy as np

        if len(rows):
            totals = in_blocks(self.weights[rows], size)
            shares = np.repeat(np.where(totals > 0, totals, 1.0), size)[: len(rows)]
            self.weights[rows] /= shares

    def _fill(self, group: Codes, question: Question, substitute: float, weights: Floats) -> None:
        """A row without a verdict has no `per` either: it gets the mean of those of its group."""
        import numpy as np

        divisor = 1.0
        if question.per:
            known = group[self.used[group]]
            total = math.fsum(weights[known].tolist())
            if not total:
                return
            divisor = math.fsum((weights[known] * self.pers[known]).tolist()) / total
        bad = np.isin(self.status[group], [_CODES[state] for state in _ANSWERED_BADLY])
        filled = group[bad & ~self.used[group]]
        self.used[filled] = True
        self.values[filled], self.pers[filled] = substitute * divisor, divisor


def in_blocks(numbers: Floats, size: int) -> Floats:
    """The sums of blocks of `size` numbers; the last block may be shorter."""
    import numpy as np

    return np.add.reduceat(numbers, np.arange(0, len(numbers), size))


def _answer(row: Verdict, question: Question, lacking_is_missing: bool) -> tuple[int, bool, float, float]:
    """Status, whether the row is used, and its value and `per`."""
    outcome, value, per = row.outcome, row.value, 1.0
    if question.column:
        if question.column not in row.components and row.components and not lacking_is_missing:
            return APART, False, 0.0, 0.0
        outcome, value = _component(row, question.column, lacking_is_missing)
    if question.per and value is not None:
        found = row.components.get(question.per)
        value, per = (None, 0.0) if found is None else (value, found)
    if outcome == "scored" and value is None:
        outcome = "unparsed"
    if value is None or not (outcome == "scored" or outcome in _STAND_IN):
        return _CODES[outcome], False, 0.0, 0.0
    return _CODES[outcome], True, value, per


def _component(row: Verdict, name: str, lacking_is_missing: bool) -> tuple[ScoreState | None, float | None]:
    found = row.components.get(name)
    if row.value is not None:
        return row.outcome, found
    if row.outcome == "unparsed" and found is not None and not lacking_is_missing:
        # Another component is without a verdict, so that the whole has no value; this one has its own.
        return "scored", found
    return row.outcome, None


_CODES: dict[ScoreState | None, int] = {
    None: WAITING,
    "scored": SCORED,
    **{state: STATES.index(state) for state in get_args(ScoreState) if state != "scored"},
}


def _repeats(rows: Sequence[Verdict], used: NDArray[np.bool_]) -> Floats:
    """For each row, how many rows of its sample are used (at least 1)."""
    import numpy as np

    counts = Counter(row.id for row, counted in zip(rows, used.tolist(), strict=True) if counted)
    return np.array([max(counts[row.id], 1) for row in rows], dtype=np.float64)
