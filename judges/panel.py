"""`panel`: several judges, each of which judges the answer as it would alone; their verdicts are combined.

Panels of smaller judges agree with people about as well as one large judge and favour no model's own answers
(Verga et al., "Replacing Judges with Juries", 2024).
"""

from __future__ import annotations

import asyncio
import statistics
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec

from eval_anything.errors import UsageError
from eval_anything.judge import Case, Judge
from eval_anything.run.answering import ENDS_THE_RUN
from eval_anything.stores.rows import as_read
from eval_anything.values import Modality, Score, ScoreState, Usage

Combine = Literal["mean", "median", "majority"]
LEFT_OUT = "members without a verdict"
"""The component that counts them, in every score of a panel."""


class PanelOptions(msgspec.Struct, frozen=True):
    judges: str | tuple[str, ...] = ()
    """The members, separated by commas: provider/name, or the name of an offline judge. Options of the
    members stand beside it: `base_url` for all that know it, `2.base_url` for the second alone."""
    combine: Combine = "mean"
    """How verdicts become one: their mean, their median, or the one that most members gave (the mean of those
    that were given most often, where it is several)."""
    least: Annotated[int, msgspec.Meta(ge=1)] = 1
    """Verdicts without which the panel has none."""


class PanelJudge(Judge):
    """A member without a verdict is left out, and counted."""

    name = "panel"
    summary = "several judges, their verdicts combined: mean, median or majority"
    Options = PanelOptions
    transport_options = ("judges",)  # the members themselves are in the fingerprint

    @property
    def label(self) -> str:
        return f"panel({self.options.combine}):{'+'.join(member.label for member in self.members)}"

    def specs(self) -> tuple[str, ...]:
        """Raises UsageError where no members are named, or fewer than `least` of them."""
        named = self.options.judges
        texts = named.split(",") if isinstance(named, str) else named
        specs = tuple(text.strip() for text in texts if text.strip())
        if not specs:
            raise UsageError("judge panel: name its members: -J judges=PROVIDER/NAME,PROVIDER/NAME,...")
        if len(specs) < self.options.least:
            raise UsageError(
                f"judge panel: least={self.options.least} verdicts of {len(specs)} members can never be"
            )
        return specs

    def check(self, outputs: tuple[Modality, ...]) -> None:
        for member in self.members:
            member.check(outputs)

    async def score(self, case: Case) -> Score:
        scores = await asyncio.gather(*(_alone(member, case) for member in self.members))
        if any(score.items for score in scores):
            raise UsageError(
                f"judge panel: task {case.task} makes a metric of whole judgements, which cannot be combined"
            )
        given = [score for score in scores if score.state == "scored" and score.value is not None]
        details = {"members": [_told(score) for score in scores]}
        usage = sum((score.usage for score in scores), Usage())
        if len(given) < self.options.least:
            return self._missing(case, scores, len(given), details=details, usage=usage)
        components = self._components(given)
        return Score(
            value=self._combined([score.value for score in given]),
            state="scored",
            judge=self.label,
            components=components | {LEFT_OUT: float(len(scores) - len(given))},
            weight=given[0].weight,
            details=details,
            usage=usage,
        )

    def _missing(self, case: Case, scores: Sequence[Score], given: int, **fields: Any) -> Score:
        """An outage of any member leaves the panel to be asked again; else the protocol's number, if it has
        one, stands in as it does for a judge alone."""
        short = [score for score in scores if score.state != "scored" or score.value is None]
        outages = [score for score in short if score.state == "judge_error"]
        state: ScoreState = "judge_error" if outages else "unparsed"
        reasons = "; ".join(f"{score.judge}: {score.reason}" for score in outages or short)
        return Score(
            value=None if outages else case.rubric.unparsed,
            state=state,
            reason=f"{given} of {len(scores)} verdicts, {self.options.least} needed ({reasons})",
            judge=self.label,
            components=self._components(outages or short),
            weight=scores[0].weight,
            **fields,
        )

    def _components(self, scores: Sequence[Score]) -> dict[str, float | None]:
        """Each combined over the members that have it; None where none of them has a number for it."""
        names = dict.fromkeys(name for score in scores for name in score.components)
        return {name: self._combined([score.components.get(name) for score in scores]) for name in names}

    def _combined(self, values: Sequence[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        if not known:
            return None
        if self.options.combine == "mean":
            return statistics.fmean(known)
        return statistics.median(known) if self.options.combine == "median" else majority(known)


def majority(values: Sequence[float]) -> float:
    """The value given most often; the mean of those, where several are: one voice each way is a draw."""
    counts = Counter(values)
    most = max(counts.values())
    return statistics.fmean(value for value, count in counts.items() if count == most)


async def _alone(member: Judge, case: Case) -> Score:
    """What the run would make of the member's verdict: a bug of its own costs that verdict and says so."""
    try:
        return as_read(await member.score(case), Score)
    except ENDS_THE_RUN:
        raise
    except Exception as fault:  # noqa: BLE001 - the other members' verdicts are worth as much as before
        reason = f"{type(fault).__name__}: {fault}"
        return Score(value=None, state="judge_error", reason=reason, judge=member.label)


def _told(score: Score) -> dict[str, Any]:
    told: dict[str, Any] = {"judge": score.judge, "score": score.value, "state": score.state}
    if score.reason:
        told["reason"] = score.reason
    if score.components:
        told["components"] = score.components
    return {**score.details, **told}
