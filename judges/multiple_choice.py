"""`multiple_choice`: is the option that the model's own answer chooses the right one? Offline, no model.

A sample's `metadata` has `options`, the text of each by its letter, and `answer`, the right one's letter (or
letters, where two options read the same). AIR-Bench's foundation half; `choice` is for questions that a
judging model answers about an answer's media.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from eval_anything.judge import Case
from eval_anything.judges.letters import letter
from eval_anything.judges.rules import RuledJudge
from eval_anything.values import Score

Rule = Callable[[str, Mapping[str, str]], str | None]
"""Reads an answer, given the options by letter: the letter that it chooses, or None."""


class MultipleChoiceOptions(msgspec.Struct, frozen=True):
    parse: str | None = None
    """The rule that reads the answers; the protocol's by default."""


def strict(answer: str, options: Mapping[str, str]) -> str | None:
    """The one option that the answer settles on: by its letter, or by its text and nothing else.

    A bare letter is a letter, also where it is another option's text; of options with the same text, the text
    names neither.
    """
    plain = answer.strip().strip(".\"'").casefold()
    named = [name for name, text in options.items() if text.strip().strip(".\"'").casefold() == plain]
    if len(named) == 1 and len(plain) > 1:
        return named[0]
    return letter(answer, "".join(options))


def air(answer: str, options: Mapping[str, str]) -> str | None:
    """AIR-Bench's own rule: without its line breaks, the first character if it is a capital from A to D,
    options that are not there included; else the last but one. "None" is no answer."""
    text = answer.strip().replace("\n", "")
    if not text or text == "None":
        return None
    if text[0] in "ABCD":
        return text[0]
    return text[-2] if len(text) > 1 and text[-2] in "ABCD" else None


RULES: Mapping[str, Rule] = {"strict": strict, "air": air}
"""By the names that protocols use."""


class MultipleChoiceJudge(RuledJudge[Rule]):
    """1 for the right option, 0 for a wrong one, None where the answer chooses none."""

    name = "multiple_choice"
    summary = "the option that an answer chooses against the right one; offline, no model"
    Options = MultipleChoiceOptions
    rules = RULES

    async def score(self, case: Case) -> Score:
        options, right = case.sample.metadata.get("options"), case.sample.metadata.get("answer")
        if not options or not right or not set(right) <= options.keys():
            reason = f"sample {case.sample.id}: no options, or no right one among them"
            return Score(value=None, state="judge_error", reason=reason, judge=self.label)
        chosen = self.rule(case.rubric)(case.response.text, options)
        none = float(chosen is None)
        if chosen is None and case.rubric.unparsed is None:
            reason = "the answer chooses no option"
            return Score(value=None, state="unparsed", reason=reason, judge=self.label)
        # Where such an answer is a wrong one, nothing is missing: the model answered, and nobody else failed.
        value = case.rubric.unparsed if chosen is None else float(chosen in right)
        return Score(
            value=value,
            state="scored",
            judge=self.label,
            details={"chosen": chosen},
            components={"answers without an option": none},
        )
