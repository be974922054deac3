"""`aspects`: a judging model rates an answer in several aspects, with one question for each.

Video-ChatGPT (a reply is a dict literal with a score) and InterleavedBench; whole numbers, 0 to 5.
"""

from __future__ import annotations

import ast
import asyncio
import json
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from eval_anything.errors import UsageError
from eval_anything.judge import Aspect, AspectsRubric, Case
from eval_anything.judges.asking import Asked, Attempts, ask
from eval_anything.judges.media import check_inputs
from eval_anything.judges.prompting import compose, contents
from eval_anything.judges.rules import RuledJudge
from eval_anything.values import Modality, Score, ScoreState, Usage

Rule = Callable[[str, AspectsRubric], tuple[float | None, str]]
"""Reads a reply: the rating, or None and why there is none."""

_SCORE = re.compile(
    r"""\bscore[*_`'"]*\s*[:\uff1a][\s*_`'"]*
    ([-+]?\d+(?:[.,]\d+)*\w*(?:\s*/\s*\d+|\s*%)?)""",
    re.IGNORECASE | re.VERBOSE,
)
"""With all that follows a number and makes it another: decimals, an exponent, a slash, a percent sign."""
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")


class AspectsOptions(msgspec.Struct, frozen=True):
    attempts: Attempts = None
    """How often a judge without a usable verdict is asked, for each aspect; the protocol's by default."""
    parse: str | None = None
    """The rule that reads its replies; the protocol's by default."""


def strict(reply: str, rubric: AspectsRubric) -> tuple[float | None, str]:
    """One score, `{'score': n}` or `Score: n`, that is a whole number on the scale.

    "4/5" and "80%" are none: nothing says that they are meant on this scale.
    """
    found = set(_SCORE.findall(reply))
    if not found:
        return None, "no score in the judge's reply"
    if len(found) > 1:
        return None, f"{len(found)} different scores in the judge's reply"
    said = found.pop()
    value = float(said) if _NUMBER.fullmatch(said) else None
    if value is None or not value.is_integer() or not rubric.low <= value <= rubric.high:
        return None, f"score {said[:40]} is not a whole number from {rubric.low:g} to {rubric.high:g}"
    return value, ""


def literal(reply: str, rubric: AspectsRubric) -> tuple[float | None, str]:
    """Video-ChatGPT's published rule: the whole reply is a Python literal that can be written as JSON; its
    `score` is cut to a whole number, of any size.

    Its scripts ask again where the reply is no literal; where it is one without such a score they end in an
    exception, once all replies are in. Here both are no verdict.
    """
    try:
        with warnings.catch_warnings():
            # Python's own, about source text: the reply is not ours to mend.
            warnings.simplefilter("ignore")
            said = ast.literal_eval(reply)
        json.dumps(said)
        return float(int(said["score"])), ""
    except _NO_SCORE as fault:
        return None, f"the judge's reply is not a dict with a score ({type(fault).__name__})"


_NO_SCORE = (
    *(SyntaxError, ValueError, MemoryError, RecursionError),  # of ast.literal_eval
    *(TypeError, KeyError, IndexError, OverflowError),  # of a literal that is something else
)

RULES: Mapping[str, Rule] = {"strict": strict, "literal": literal}
"""By the names that protocols use."""


class AspectsJudge(RuledJudge[Rule]):
    """The mean of the aspects; each aspect is a component. An answer with an aspect without a verdict has no
    score, and keeps the others as components."""

    name = "aspects"
    summary = "any model as judge: the answer is rated in several aspects, one question for each"
    Options = AspectsOptions
    needs_model = True
    rules = RULES

    def check(self, outputs: tuple[Modality, ...]) -> None:
        assert self.endpoint is not None
        check_inputs(self.endpoint, outputs)

    async def score(self, case: Case) -> Score:
        rubric = case.rubric
        if not isinstance(rubric, AspectsRubric):
            raise UsageError(f"judge aspects: task {case.task} names no aspects")
        found = await asyncio.gather(*(self._ask(case, rubric, aspect) for aspect in rubric.aspects))
        return self._scored(rubric, dict(zip((a.name for a in rubric.aspects), found, strict=True)))

    async def _ask(
        self, case: Case, rubric: AspectsRubric, aspect: Aspect
    ) -> tuple[Asked[float], dict[str, Any]]:
        """What came of one aspect, and what was changed in what the judge was shown."""
        assert self.endpoint is not None
        rule = self.rule(rubric)
        prompt = compose(aspect.system, aspect.user, rubric.values, contents(case))
        attempts = self.options.attempts or rubric.attempts
        asked = await ask(self.endpoint, case, prompt.messages, lambda reply: rule(reply, rubric), attempts)
        return asked, prompt.changes

    def _scored(
        self, rubric: AspectsRubric, found: Mapping[str, tuple[Asked[float], dict[str, Any]]]
    ) -> Score:
        asked = {name: one for name, (one, _) in found.items()}
        outages = [one for one in asked.values() if one.state == "judge_error"]
        failed = outages or [one for one in asked.values() if one.verdict is None]
        stand_in = None if outages else rubric.unparsed
        components: dict[str, float | None] = {
            name: one.verdict if one.verdict is not None else stand_in for name, one in asked.items()
        }
        components |= rubric.settled
        values = [value for value in components.values() if value is not None]
        state: ScoreState = failed[0].state if failed else "scored"
        replies = {
            name: {"replies": list(one.replies), "reason": one.reason, **changes}
            for name, (one, changes) in found.items()
        }
        return Score(
            value=sum(values) / len(values) if len(values) == len(components) else None,
            state=state,
            reason=failed[0].reason if failed else "",
            judge=self.label,
            components=components,
            usage=sum((one.usage for one in asked.values()), Usage()),
            details={"replies": replies},
        )
