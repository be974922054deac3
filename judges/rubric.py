"""`rubric`: any model as judge, asked to explain and then to rate in the form `[[rating]]`.

The reply is only ever parsed for the judge's own verdict; see `prompting` for what the judge is shown.
"""

from __future__ import annotations

import re

import msgspec

from eval_anything.judge import Case, Judge, Rubric
from eval_anything.judges.asking import Attempts, ask, missing
from eval_anything.judges.media import check_inputs, media_of
from eval_anything.judges.prompting import judge_prompt
from eval_anything.values import Modality, Score

_NUMBER = r"\[\[\s*(-?\d+(?:\.\d+)?)\s*\]\]"
_VERDICT = {
    "rating": re.compile(_NUMBER),
    # Markdown and spaces around the tag are no other form of answer.
    "score": re.compile(rf"<\s*score\s*>[\s*_`]*:[\s*_`]*{_NUMBER}", re.IGNORECASE),
}
_FORM = {"rating": "[[rating]]", "score": "<Score>: [[n]]"}


class RubricOptions(msgspec.Struct, frozen=True):
    attempts: Attempts = None
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
        prompt = judge_prompt(case.rubric, case.response.text, media)
        attempts = self.options.attempts or case.rubric.attempts
        asked = await ask(
            self.endpoint, case, prompt.messages, lambda reply: verdict(reply, case.rubric), attempts
        )
        if asked.verdict is None:
            return missing(asked, self.label, prompt.changes, case.rubric.unparsed)
        return Score(
            value=asked.verdict,
            state="scored",
            judge=self.label,
            usage=asked.usage,
            details={"replies": list(asked.replies), **prompt.changes},
        )


def verdict(reply: str, rubric: Rubric) -> tuple[float | None, str]:
    """The rating in a judge's reply, or None and why there is none.

    AMU's protocol takes the first `[[n]]` unchecked; here a rating outside of the scale, a fraction where
    the scale is whole, or two different ratings are no verdict, and the judge is asked again.
    """
    found = {float(text) for text in _VERDICT[rubric.parse].findall(reply)}
    if not found:
        return None, f"no {_FORM[rubric.parse]} in the judge's reply"
    if len(found) > 1:
        return None, f"{len(found)} different ratings in the judge's reply"
    value = found.pop()
    if not rubric.low <= value <= rubric.high or not value.is_integer():
        return None, f"rating {value:g} is not a whole number from {rubric.low:g} to {rubric.high:g}"
    return value, ""
