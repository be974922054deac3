"""`pair`: a judging model rates the answer beside a reference answer, two numbers in one reply.

LLaVA-Bench and AIR-Bench chat: whoever is shown first is rated first. Where the rubric says so, the judge is
asked a second time with the order reversed, and the ratings are averaged: judges favour a position.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from eval_anything.errors import UsageError
from eval_anything.judge import Case, PairRubric, Side
from eval_anything.judges.asking import Asked, Attempts, ask
from eval_anything.judges.prompting import compose, contents
from eval_anything.judges.rules import RuledJudge
from eval_anything.values import Score, ScoreState, Usage

Ratings = tuple[float | None, float]
"""Of the answer shown first (None where the rule does not read it), and of the one shown second."""
Rule = Callable[[str, PairRubric], tuple[Ratings | None, str]]
"""Reads a reply: the two ratings, or None and why there are none."""

_NUMBER = r"\d+(?:\.\d+)?"
_TWO_NUMBERS = re.compile(rf"[*_`\[(\s]*({_NUMBER})[\s,;]+({_NUMBER})[*_`\])\s.]*")


class PairOptions(msgspec.Struct, frozen=True):
    attempts: Attempts = None
    """How often a judge without a usable verdict is asked, for each order; the protocol's by default."""
    swap: bool | None = None
    """Whether the judge is asked in both orders; the protocol's by default."""
    parse: str | None = None
    """The rule that reads its replies; the protocol's by default."""


def strict(reply: str, rubric: PairRubric) -> tuple[Ratings | None, str]:
    """The first line that is not blank holds two numbers on the scale and nothing else; a later line with two
    other numbers makes it no verdict."""
    lines = [line for line in reply.splitlines() if line.strip()]
    if not lines:
        return None, "the judge's reply is empty"
    found = {tuple(map(float, m.groups())) for line in lines if (m := _TWO_NUMBERS.fullmatch(line))}
    head = _TWO_NUMBERS.fullmatch(lines[0])
    if head is None:
        return None, "the first line of the judge's reply is not two numbers"
    if len(found) > 1:
        return None, f"{len(found)} different pairs of ratings in the judge's reply"
    first, second = float(head[1]), float(head[2])
    for rating in (first, second):
        if not rubric.low <= rating <= rubric.high:
            return None, f"rating {rating:g} is not on the scale from {rubric.low:g} to {rubric.high:g}"
    return (first, second), ""


def llava(reply: str, rubric: PairRubric) -> tuple[Ratings | None, str]:
    """LLaVA-Bench's own rule: the first line, its commas made spaces and cut at each single space, is two
    floats, of any size. Where one is no finite number, all published numbers would be "nan": no verdict."""
    pieces = reply.partition("\n")[0].replace(",", " ").split(" ")
    try:
        first, second = map(float, pieces)
    except ValueError:
        return None, "the first line of the judge's reply is not two numbers with one space between"
    if not math.isfinite(first + second):
        return None, "a rating that is no finite number"
    return (first, second), ""


def air(reply: str, rubric: PairRubric) -> tuple[Ratings | None, str]:
    """AIR-Bench's own rule: without its line breaks, the reply is two whole numbers with one space between,
    neither above the scale; one below it counts as it is."""
    pieces = _pieces(reply)
    ratings = tuple(map(_whole, pieces))
    if len(ratings) != 2:
        return None, f"{len(pieces)} words in the judge's reply, not two numbers with one space between"
    first, second = ratings
    if first is None or second is None:
        return None, "the judge's reply is not two whole numbers"
    if max(first, second) > rubric.high:
        return None, f"rating {max(first, second)} is above the scale, which ends at {rubric.high:g}"
    return (first, second), ""


def second(reply: str, rubric: PairRubric) -> tuple[Ratings | None, str]:
    """Align Anything's rule for AIR-Bench: the second of the words that single spaces part is a whole number
    on the scale; no other word is read."""
    pieces = _pieces(reply)
    rating = _whole(pieces[1]) if len(pieces) > 1 else None
    if rating is None:
        return None, "the second word of the judge's reply is not a whole number"
    if not rubric.low <= rating <= rubric.high:
        return None, f"rating {rating} is not on the scale from {rubric.low:g} to {rubric.high:g}"
    return (None, rating), ""


def _pieces(reply: str) -> list[str]:
    return reply.strip().replace("\n", "").split(" ")


def _whole(text: str) -> int | None:
    try:
        return int(text)  # as the scripts read it: "+8", "1_0" and digits of other scripts are numbers
    except ValueError:
        return None


RULES: Mapping[str, Rule] = {"strict": strict, "llava": llava, "air": air, "second": second}
"""By the names that protocols use."""


class PairJudge(RuledJudge[Rule]):
    """The rating of the answer; the reference's own, and who won, are components."""

    name = "pair"
    summary = "any model as judge: the answer is rated beside a reference answer"
    Options = PairOptions
    needs_model = True
    rules = RULES

    async def score(self, case: Case) -> Score:
        rubric = case.rubric
        if not isinstance(rubric, PairRubric):
            raise UsageError(f"judge pair: task {case.task} has no reference answer to rate beside")
        swap = rubric.swap if self.options.swap is None else self.options.swap
        orders = [rubric.order, (rubric.order[1], rubric.order[0])][: 1 + swap]
        asked = await asyncio.gather(*(self._ask(case, rubric, order) for order in orders))
        return self._scored(rubric, dict(zip(orders, asked, strict=True)))

    async def _ask(self, case: Case, rubric: PairRubric, order: tuple[Side, Side]) -> Asked[Ratings]:
        assert self.endpoint is not None
        rule = self.rule(rubric)
        shown = contents(case)
        both = {"reference": rubric.baseline, "response": shown.pop("response")}
        shown |= {"first": both[order[0]], "second": both[order[1]]}
        prompt = compose(rubric.system, rubric.user, rubric.values, shown)
        attempts = self.options.attempts or rubric.attempts
        return await ask(self.endpoint, case, prompt.messages, lambda reply: rule(reply, rubric), attempts)

    def _scored(self, rubric: PairRubric, asked: Mapping[tuple[Side, Side], Asked[Ratings]]) -> Score:
        """A sample has a value where every order that was asked has a verdict; each order has its ratings."""
        components: dict[str, float | None] = {}
        rated: dict[Side, list[float]] = {"reference": [], "response": []}
        for order, one in asked.items():
            ratings = dict(zip(order, one.verdict or (None, None), strict=True))
            for side, known in rated.items():
                if (rating := ratings[side]) is not None:
                    known.append(rating)
                if len(asked) > 1:
                    components[f"{side}, {order[0]} first"] = rating
            if len(asked) > 1:
                won = _win(ratings["response"], ratings["reference"], rubric.tie)
                components[f"win, {order[0]} first"] = won
        usage = sum((one.usage for one in asked.values()), Usage())
        details = {
            "replies": [
                {"first": order[0], "replies": list(one.replies), "reason": one.reason}
                for order, one in asked.items()
            ]
        }
        failed = [one for one in asked.values() if one.verdict is None]
        if failed:
            return self._missing(rubric, failed, components, usage=usage, details=details)
        response, reference = _mean(rated["response"]), _mean(rated["reference"])
        components |= {"reference": reference, "win": _win(response, reference, rubric.tie)}
        return Score(
            value=response,
            state="scored",
            judge=self.label,
            components=components,
            usage=usage,
            details=details,
        )

    def _missing(
        self,
        rubric: PairRubric,
        failed: list[Asked[Ratings]],
        components: dict[str, float | None],
        **fields: Any,
    ) -> Score:
        outage = next((one for one in failed if one.state == "judge_error"), None)
        state: ScoreState = "judge_error" if outage is not None else "unparsed"
        value = None if outage is not None else rubric.unparsed
        return Score(
            value=value,
            state=state,
            reason=(outage or failed[0]).reason,
            judge=self.label,
            components=components | {"reference": value, "win": None},
            **fields,
        )


def _mean(ratings: list[float]) -> float | None:
    return sum(ratings) / len(ratings) if ratings else None


def _win(response: float | None, reference: float | None, tie: float) -> float | None:
    """1 where the answer is rated higher, `tie` for equal ratings; None where either has none."""
    if response is None or reference is None:
        return None
    return tie if response == reference else float(response > reference)
