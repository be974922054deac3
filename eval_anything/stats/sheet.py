"""The rows of one task, laid out for its metrics: by group, and with the answers to each question once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from eval_anything.stats.aggregate import Metric, MissingPolicy
from eval_anything.stats.bootstrap import Cell, Column, Resampled, resample
from eval_anything.stats.cell import APART, SCORED, STATES, WAITING, Answers, Question, Verdict, in_blocks
from eval_anything.stats.outline import Outline

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from eval_anything.stats.bootstrap import Codes, Floats


class Tally(NamedTuple):
    """What became of the rows of a metric."""

    n: int
    scored: int
    missing: dict[str, int]
    """By state; rows that are not judged yet are in none."""
    imputed: int
    """Missing rows that entered the mean all the same."""
    stand_in: int
    """Those of them whose value the protocol gives, not the missing policy."""
    truncated: int

    def why_none(self) -> str:
        if not self.n:
            return "no responses"
        states = ", ".join(f"{n} {state}" for state, n in self.missing.items())
        waiting = self.n - sum(self.missing.values()) - self.scored
        parts = [states] if states else []
        parts += [f"{waiting} not judged yet"] if waiting else []
        parts += [f"{self.scored} of weight 0"] if self.scored else []
        return f"nothing scored of {self.n}: {', '.join(parts)}"


class Terms(NamedTuple):
    """The rows of one mean, weighted: its value is the sum of the values by that of the weights."""

    values: Floats
    pers: Floats
    weights: Floats


class Sheet:
    """Rows sorted by key. Strata are the groups that metrics name, and one more for all others."""

    def __init__(self, rows: Sequence[Verdict], outline: Outline, policy: MissingPolicy) -> None:
        self.rows = rows
        self._outline = outline
        self._policy = policy
        self._strata = {name: code for code, name in enumerate(outline.groups())}
        self._members = self._split()
        strata: dict[Question, dict[int, None]] = {}
        for entry in outline.entries:
            for question, asked in self._places(entry.metric).items():
                strata.setdefault(question, {}).update(dict.fromkeys(asked))
        self._answers = {
            question: Answers(rows, question, [self._members[s] for s in asked], outline.lacking_is_missing)
            for question, asked in strata.items()
        }

    def _split(self) -> list[Codes]:
        import numpy as np

        rest = len(self._strata)
        codes = np.array([self._strata.get(row.group, rest) for row in self.rows], dtype=np.int64)
        order = np.argsort(codes, kind="stable")
        return np.split(order, np.searchsorted(codes[order], np.arange(1, rest + 1)))

    def _strata_of(self, leaf: Metric) -> list[int]:
        return [self._strata[name] for name in leaf.groups] or list(range(len(self._members)))

    def _question(self, leaf: Metric, metric: Metric) -> Question:
        """What the leaf asks of its rows for the sake of `metric`."""
        substitute = None
        if self._policy == "zero":
            substitute = 0.0
        elif self._policy == "floor":
            # The worst end of the scale, whichever that is, of the number as it is before its factor.
            low, high = self._outline.scale(leaf)
            substitute = (low if self._outline.better(leaf) else high) / leaf.factor
        blocks = None if metric.pooled else leaf.blocks
        column = "" if leaf.corpus else leaf.column  # its rows are those that have a score at all
        return Question(column, leaf.per, leaf.each, blocks, substitute)

    def _places(self, metric: Metric) -> dict[Question, list[int]]:
        """The strata of each question of the metric's leaves; one that several leaves name is there once."""
        found: dict[Question, dict[int, None]] = {}
        for leaf in metric.leaves():
            found.setdefault(self._question(leaf, metric), {}).update(dict.fromkeys(self._strata_of(leaf)))
        return {question: list(strata) for question, strata in found.items()}

    def _rows_of(self, strata: list[int]) -> Codes:
        import numpy as np

        return np.concatenate([self._members[stratum] for stratum in strata])

    def terms(self, metric: Metric) -> Terms:
        """The rows of all the metric's leaves."""
        import numpy as np

        values, pers, weights = [], [], []
        for question, strata in self._places(metric).items():
            answers, rows = self._answers[question], self._rows_of(strata)
            values.append(answers.values[rows] * answers.weights[rows])
            pers.append(answers.pers[rows] * answers.weights[rows])
            weights.append(answers.weights[rows])
        return Terms(np.concatenate(values), np.concatenate(pers), np.concatenate(weights))

    def block_means(self, leaf: Metric) -> Floats:
        """The mean of each block of a leaf that has blocks."""
        import numpy as np

        means = [np.zeros(0)]
        for question, strata in self._places(leaf).items():
            answers = self._answers[question]
            for rows in (self._members[stratum] for stratum in strata):
                used = rows[answers.used[rows]]
                if len(used) and question.blocks:
                    means.append(in_blocks(answers.values[used] * answers.weights[used], question.blocks))
        return np.concatenate(means)

    def cells(self, metric: Metric, *, per: bool = False) -> list[Cell]:
        """Where `resampled` has the rows of all the metric's leaves: their values, or their `per`."""
        number = {question: k for k, question in enumerate(self._answers)}
        return [
            Cell(2 * number[question] + per, stratum)
            for question, strata in self._places(metric).items()
            for stratum in strata
        ]

    def tally(self, metric: Metric) -> Tally:
        """A row that several leaves ask is scored if all of them have it; imputed if all that lack it have
        something in its place."""
        import numpy as np

        status = np.zeros(len(self.rows), dtype=np.int8)
        filled = np.ones(len(self.rows), dtype=bool)
        stand_in = np.zeros(len(self.rows), dtype=bool)
        for question, strata in self._places(metric).items():
            answers, rows = self._answers[question], self._rows_of(strata)
            here = answers.status[rows]
            status[rows] = np.maximum(status[rows], here)
            filled[rows] &= (here <= WAITING) | answers.used[rows]
            stand_in[rows] |= answers.stand_in[rows]
        imputed = (status > WAITING) & filled
        counts = np.bincount(status, minlength=len(STATES)).tolist()
        missing = {state: n for state, n in zip(STATES, counts, strict=True) if state and n}
        return Tally(
            n=len(self.rows) - counts[APART],
            scored=counts[SCORED],
            missing=dict(sorted(missing.items())),
            imputed=int(imputed.sum()),
            stand_in=int((imputed & stand_in).sum()),
            truncated=int((self._truncated & (status != APART)).sum()),
        )

    @cached_property
    def _truncated(self) -> NDArray[np.bool_]:
        import numpy as np

        return np.array([row.truncated for row in self.rows], dtype=bool)

    def resampled(self, seed: int) -> Resampled:
        """Two columns of each question: the values, and what they are `per`."""
        import numpy as np

        used = np.flatnonzero(self.used)
        columns = [Column(column.values[used], column.weights[used]) for column in self.columns()]
        return resample(columns, self.strata[used], self.clusters(used), len(self._members), seed)

    @property
    def used(self) -> NDArray[np.bool_]:
        """Rows that enter any mean."""
        import numpy as np

        found: NDArray[np.bool_] = np.any([answers.used for answers in self._answers.values()], axis=0)
        return found

    @property
    def strata(self) -> Codes:
        """The stratum of each row."""
        import numpy as np

        found = np.zeros(len(self.rows), dtype=np.int64)
        for stratum, rows in enumerate(self._members):
            found[rows] = stratum
        return found

    @property
    def n_strata(self) -> int:
        return len(self._members)

    def clusters(self, rows: Codes) -> Codes:
        """A code for the cluster of each of `rows`.

        Codes follow the clusters' names, so that they, and with them the draws, do not depend on the order of
        arrival.
        """
        import numpy as np

        names = [self.rows[index].cluster or self.rows[index].id for index in rows.tolist()]
        codes = {name: code for code, name in enumerate(sorted(set(names)))}
        return np.array([codes[name] for name in names], dtype=np.int64)

    def columns(self) -> list[Column]:
        """What `cells` count: for each question the values, then what they are `per`; one entry a row."""
        import numpy as np

        found = []
        for question, answers in self._answers.items():
            found.append(Column(answers.values, answers.weights))
            found.append(Column(answers.pers, answers.weights if question.per else np.zeros(len(self.rows))))
        return found
