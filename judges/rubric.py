"""`rubric`: any model as judge, asked to explain and then to rate in the form `[[rating]]`.

The answer that is judged is hostile text, and so is whatever else the rubric calls untrusted. Each is pasted
between markers that carry a digest of all of it, so nothing in it can close them; whatever in it looks like a
verdict is broken up, so that a judge that quotes it gives no second verdict; and the reply is only ever
parsed for the judge's own verdict.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from eval_anything.judge import Case, Judge, Rubric
from eval_anything.judges.media import check_inputs, media_of
from eval_anything.prompts import fill
from eval_anything.values import (
    MediaPart,
    Message,
    Modality,
    Origin,
    Request,
    Response,
    Score,
    Text,
    Usage,
)

_NUMBER = r"\[\[\s*(-?\d+(?:\.\d+)?)\s*\]\]"
_VERDICT = {
    "rating": re.compile(_NUMBER),
    # Markdown and spaces around the tag are no other form of answer.
    "score": re.compile(rf"<\s*score\s*>[\s*_`]*:[\s*_`]*{_NUMBER}", re.IGNORECASE),
}
_FORM = {"rating": "[[rating]]", "score": "<Score>: [[n]]"}
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

    def check(self, outputs: tuple[Modality, ...]) -> None:
        assert self.endpoint is not None
        check_inputs(self.endpoint, outputs)

    async def score(self, case: Case) -> Score:
        assert self.endpoint is not None
        media = media_of(case.response) if case.rubric.media else ()
        messages, changes = judge_prompt(case.rubric, case.response.text, media)
        attempts = self.options.attempts or case.rubric.attempts
        usage, reason = Usage(), ""
        replies: list[str] = []
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
    found = {float(text) for text in _VERDICT[rubric.pattern].findall(reply)}
    if not found:
        return None, f"no {_FORM[rubric.pattern]} in the judge's reply"
    if len(found) > 1:
        return None, f"{len(found)} different ratings in the judge's reply"
    value = found.pop()
    if not rubric.low <= value <= rubric.high or not value.is_integer():
        return None, f"rating {value:g} is not a whole number from {rubric.low:g} to {rubric.high:g}"
    return value, ""


def judge_prompt(
    rubric: Rubric, response: str, media: Sequence[MediaPart] = ()
) -> tuple[tuple[Message, ...], dict[str, Any]]:
    """The judge's messages, and what was changed in what is not ours so that it could be shown safely."""
    shown, broken_up = {}, 0
    for name in rubric.untrusted:
        shown[name], n = _LOOKS_LIKE_VERDICT.subn(_separated, rubric.values[name])
        broken_up += n
    answer, n = _LOOKS_LIKE_VERDICT.subn(_separated, response)
    changes = {"brackets_separated": broken_up + n} if broken_up + n else {}
    # One digest over all of it: the answer, whose author saw the instruction, cannot know that marker either.
    digest = hashlib.sha256("\0".join([rubric.user, *shown.values(), answer]).encode()).hexdigest()[:16]
    fenced = {name: f"<{name} {digest}>\n{text}\n</{name} {digest}>" for name, text in shown.items()}
    fenced["response"] = f"<answer {digest}>\n{answer}\n</answer {digest}>"
    user = Text(fill(rubric.user, {**rubric.values, **fenced}))
    return (Message("system", (Text(rubric.system),)), Message("user", (user, *media))), changes


def _separated(bracket: re.Match[str]) -> str:
    return bracket.group() + " "


def _fault(reply: Response) -> str:
    return f"{reply.fault.kind}: {reply.fault.message}" if reply.fault is not None else reply.state
