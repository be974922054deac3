"""`aspects`: a judging model rates an answer in several aspects, with one question for each.

Video-ChatGPT (a reply is a dict literal with a score) and InterleavedBench; whole numbers, 0 to 5.
"""

from __future__ import annotations

import ast
import asyncio
import re
from collections.abc import Callable, Mapping

import msgspec

from eval_anything.errors import UsageError
from eval_anything.judge import Aspect, AspectsRubric, Case, Judge
from eval_anything.judges.asking import Asked, ask
from eval_anything.judges.media import check_inputs
from eval_anything.judges.prompting import compose, contents
from eval_anything.suggest import unknown
from eval_anything.values import Modality, Score, ScoreState, Usage

Rule = Callable[[str, AspectsRubric], tuple[float | None, str]]
"""Reads a reply: the rating, or None and why there is none."""

_SCORE = re.compile(r"['\"]?score['\"]?\s*:\s*['\"]?\s*(-?\d+(?:\.\d+)?)", re.IGNORECASE)


class AspectsOptions(msgspec.Struct, frozen=True):
    attempts: int | None = None
    """How often a judge without a usable verdict is asked, for each aspect; the protocol's by default."""
    parse: str | None = None
    """The rule that reads its replies; the protocol's by default."""


def strict(reply: str, rubric: AspectsRubric) -> tuple[float | None, str]:
    """One score, `{'score': n}` or `Score: n`, that is a whole number on the scale."""
    found = {float(text) for text in _SCORE.findall(reply)}
    if len(found) != 1:
        return None, f"{'no' if not found else len(found)} score in the judge's reply"
    value = found.pop()
    if not rubric.low <= value <= rubric.high or not value.is_integer():
        return None, f"score {value:g} is not a whole number from {rubric.low:g} to {rubric.high:g}"
    return value, ""


def literal(reply: str, rubric: AspectsRubric) -> tuple[float | None, str]:
    """The published scripts' rule: the whole reply is a Python dict, whose score is cut to a whole number and
    may be of any size."""
    try:
        said = ast.literal_eval(reply.strip())
        return float(int(said["score"])), ""
    except (ValueError, SyntaxError, TypeError, KeyError, IndexError, MemoryError, RecursionError) as fault:
        return None, f"the judge's reply is not a dict with a score ({type(fault).__name__})"


RULES: Mapping[str, Rule] = {"strict": strict, "literal": literal}
"""By the names that protocols use."""


class AspectsJudge(Judge):
    """The mean of the aspects; each aspect is a component. An answer with an aspect without a verdict has no
    score, and keeps the others as components."""

    name = "aspects"
    summary = "any model as judge: the answer is rated in several aspects, one question for each"
    Options = AspectsOptions
    needs_model = True

    def check(self, outputs: tuple[Modality, ...]) -> None:
        assert self.endpoint is not None
        check_inputs(self.endpoint, outputs)

    async def score(self, case: Case) -> Score:
        rubric = case.rubric
        if not isinstance(rubric, AspectsRubric):
            raise UsageError(f"judge aspects: task {case.task} names no aspects")
        replies = await asyncio.gather(*(self._ask(case, rubric, aspect) for aspect in rubric.aspects))
        return self._scored(rubric, dict(zip((a.name for a in rubric.aspects), replies, strict=True)))

    async def _ask(self, case: Case, rubric: AspectsRubric, aspect: Aspect) -> Asked[float]:
        assert self.endpoint is not None
        name = self.options.parse or rubric.parse
        if name not in RULES:
            raise UsageError(f"judge aspects: {unknown('parse rule', name, RULES)}")
        prompt = compose(aspect.system, aspect.user, rubric.values, contents(case))
        attempts = self.options.attempts or rubric.attempts
        return await ask(
            self.endpoint, case, prompt.messages, lambda reply: RULES[name](reply, rubric), attempts
        )

    def _scored(self, rubric: AspectsRubric, asked: Mapping[str, Asked[float]]) -> Score:
        usage = sum((one.usage for one in asked.values()), Usage())
        replies = {name: {"replies": list(one.replies), "reason": one.reason} for name, one in asked.items()}
        outages = [one for one in asked.values() if one.state == "judge_error"]
        failed = outages or [one for one in asked.values() if one.verdict is None]
        stand_in = None if outages else rubric.unparsed
        components = {
            name: one.verdict if one.verdict is not None else stand_in for name, one in asked.items()
        }
        values = [value for value in components.values() if value is not None]
        whole = sum(values) / len(values) if len(values) == len(components) else None
        state: ScoreState = failed[0].state if failed else "scored"
        return Score(
            value=whole,
            state=state,
            reason=failed[0].reason if failed else "",
            judge=self.label,
            components=components,
            usage=usage,
            details={"replies": replies},
        )
