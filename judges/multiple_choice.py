"""`multiple_choice`: is the option that the model's own answer chooses the right one? Offline, no model.

A sample's `metadata` has `options`, the text of each by its letter, and `answer`, the right one's letter.
AIR-Bench's foundation half; `choice` is for questions that a judging model answers about an answer's media.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from eval_anything.errors import UsageError
from eval_anything.judge import Case, Judge
from eval_anything.judges.letters import letter
from eval_anything.suggest import unknown
from eval_anything.values import Score

Rule = Callable[[str, Mapping[str, str]], str | None]
"""Reads an answer, given the options by letter: the letter that it chooses, or None."""


class MultipleChoiceOptions(msgspec.Struct, frozen=True):
    parse: str | None = None
    """The rule that reads the answers; the protocol's by default."""


def strict(answer: str, options: Mapping[str, str]) -> str | None:
    """The one option that the answer settles on, by its letter, or by its text and nothing else."""
    plain = answer.strip().strip(".\"'").casefold()
    named = [name for name, text in options.items() if text.strip().casefold() == plain]
    if len(named) == 1 and plain:
        return named[0]
    return letter(answer, "".join(options))


RULES: Mapping[str, Rule] = {"strict": strict}
"""By the names that protocols use."""


class MultipleChoiceJudge(Judge):
    """1 for the right option, 0 for a wrong one, None where the answer chooses none."""

    name = "multiple_choice"
    summary = "the option that an answer chooses against the right one; offline, no model"
    Options = MultipleChoiceOptions

    async def score(self, case: Case) -> Score:
        options, right = case.sample.metadata.get("options"), case.sample.metadata.get("answer")
        if not options or right not in options:
            reason = f"sample {case.sample.id}: no options, or no right one among them"
            return Score(value=None, state="judge_error", reason=reason, judge=self.label)
        name = self.options.parse or case.rubric.parse
        if name not in RULES:
            raise UsageError(f"judge multiple_choice: {unknown('parse rule', name, RULES)}")
        chosen = RULES[name](case.response.text, options)
        if chosen is None:
            return Score(
                value=case.rubric.unparsed,
                state="unparsed",
                reason="the answer chooses no option",
                judge=self.label,
            )
        return Score(
            value=float(chosen == right), state="scored", judge=self.label, details={"chosen": chosen}
        )
