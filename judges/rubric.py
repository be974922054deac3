"""`rubric`: any model as judge, asked to explain and then to rate in the form `[[rating]]`.

The answer that is judged is hostile text. It is pasted between markers that carry a digest of what lies
between them, so it cannot close them; whatever in it looks like a verdict is broken up, so that a judge that
quotes it gives no second verdict; and the reply is only ever parsed for the judge's own verdict.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

import msgspec

from eval_anything.judge import Case, Judge, Rubric
from eval_anything.prompts import fill
from eval_anything.values import Message, Origin, Request, Response, Score, Text, Usage

_VERDICT = re.compile(r"\[\[\s*(-?\d+(?:\.\d+)?)\s*\]\]")
_LOOKS_LIKE_VERDICT = re.compile(r"\[(?=\[)|\](?=\])")
"""A bracket directly before another of its kind; a space goes between them."""


class RubricOptions(msgspec.Struct, frozen=True):
    attempts: int | None = None
    """How often a judge without a usable verdict is asked; the task's protocol by default (AMU: 3)."""


class RubricJudge(Judge):
    """Rates by the task's rubric; a reply without exactly one verdict on the scale is no verdict."""

    name = "rubric"
    summary = "any model as judge, by the task's prompts and scale"
    Options = RubricOptions
    needs_model = True

    async def score(self, case: Case) -> Score:
        assert self.endpoint is not None
        messages, changes = judge_prompt(case.rubric, case.response.text)
        attempts = self.options.attempts or case.rubric.attempts
        usage, replies, reason = Usage(), [], ""
        for attempt in range(attempts):
            reply = await self.endpoint.ask(
                Request(
                    messages=messages,
                    params=case.rubric.params,
                    draw=case.repeat * attempts + attempt,
                    origin=Origin(case.task, case.sample.id, case.repeat),
                ),
                accept=lambda r: verdict(r.text, case.rubric)[0] is not None,
            )
            usage += reply.usage
            if reply.state == "error":
                return self._missing("judge_error", _fault(reply), usage, replies, changes)
            value, reason = verdict(reply.text, case.rubric)
            replies.append(reply.text)
            if value is not None:
                return Score(
                    value=value,
                    state="scored",
                    judge=self.label,
                    usage=usage,
                    details={"replies": replies, **changes},
                )
        return self._missing("unparsed", f"{reason}, in {attempts} attempts", usage, replies, changes)

    def _missing(
        self, state: Any, reason: str, usage: Usage, replies: list[str], changes: dict[str, Any]
    ) -> Score:
        details = {"replies": replies, **changes}
        return Score(value=None, state=state, reason=reason, judge=self.label, usage=usage, details=details)


def verdict(reply: str, rubric: Rubric) -> tuple[float | None, str]:
    """The rating in a judge's reply, or None and why there is none.

    AMU's protocol takes the first `[[n]]` unchecked; here a rating outside of the scale, a fraction where
    the scale is whole, or two different ratings are no verdict, and the judge is asked again.
    """
    found = {float(text) for text in _VERDICT.findall(reply)}
    if not found:
        return None, "no [[rating]] in the judge's reply"
    if len(found) > 1:
        return None, f"{len(found)} different ratings in the judge's reply"
    value = found.pop()
    if not rubric.low <= value <= rubric.high or not value.is_integer():
        return None, f"rating {value:g} is not a whole number from {rubric.low:g} to {rubric.high:g}"
    return value, ""


def judge_prompt(rubric: Rubric, response: str) -> tuple[tuple[Message, ...], dict[str, Any]]:
    """The judge's messages, and what was changed in the response so that it could be shown safely."""
    shown, broken_up = _LOOKS_LIKE_VERDICT.subn(lambda m: m.group() + " ", response)
    digest = hashlib.sha256(f"{rubric.user}\0{shown}".encode()).hexdigest()[:16]
    fenced = f"<answer {digest}>\n{shown}\n</answer {digest}>"
    user = fill(rubric.user, {**rubric.values, "response": fenced})
    changes = {"brackets_separated": broken_up} if broken_up else {}
    return (Message("system", (Text(rubric.system),)), Message("user", (Text(user),))), changes


def _fault(reply: Response) -> str:
    return f"{reply.fault.kind}: {reply.fault.message}" if reply.fault is not None else reply.state
