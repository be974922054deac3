"""`choice`: a model that hears or sees the medium answers multiple-choice questions about it.

The questions are those of the sample; whoever made the medium never saw them. The score is the share of right
answers on the rubric's scale (AMG, instruction following of audio and video: 0 to 10).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from eval_anything.judge import Case, Judge
from eval_anything.judges.asking import Attempts, ask
from eval_anything.judges.letters import letter, original_letter
from eval_anything.judges.media import check_inputs, media_of
from eval_anything.prompts import fill
from eval_anything.values import (
    MediaPart,
    Message,
    Modality,
    Sample,
    Score,
    ScoreState,
    Text,
    Usage,
)

_NO_OPTION = "no option in the judge's reply"


class ChoiceOptions(msgspec.Struct, frozen=True):
    attempts: Attempts = None
    """How often a judge whose reply names no option is asked; the task's protocol by default (AMG: 3)."""
    parse: Literal["letter", "original"] = "letter"
    """letter: replies are read strictly, and a question that the judge did not answer counts for nothing.
    original: the published scripts' patterns, one attempt, and a question without an answer is wrong."""


class Question(msgspec.Struct, frozen=True):
    """One of a sample's `metadata["questions"]`."""

    question_id: str
    question: str
    choice: str
    """All options in one string."""
    answer: str
    """The letter of the right one."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one question."""

    question_id: str
    replies: tuple[str, ...] = ()
    letter: str | None = None
    right: bool | None = None
    """None: no option could be read in any reply."""
    fault: str = ""
    usage: Usage = Usage()


def questions_of(sample: Sample) -> tuple[Question, ...]:
    return msgspec.convert(sample.metadata.get("questions", ()), tuple[Question, ...])


def by_question(sample: Sample, answered: int) -> float:
    """The weight of a score: the number of its questions, where the task has all questions count alike."""
    return float(answered) if sample.metadata.get("weighting") == "question" else 1.0


class ChoiceJudge(Judge):
    """10 times the share of right answers; questions that stayed unanswered are left out and counted."""

    name = "choice"
    summary = "a model that hears or sees the medium answers multiple-choice questions about it"
    Options = ChoiceOptions
    needs_model = True

    def check(self, outputs: tuple[Modality, ...]) -> None:
        assert self.endpoint is not None
        check_inputs(self.endpoint, outputs)

    async def score(self, case: Case) -> Score:
        questions = questions_of(case.sample)
        if not questions:
            return self._missing("judge_error", f"sample {case.sample.id}: no questions to be answered")
        media = media_of(case.response)
        if not media:
            return self._missing("no_response", "no medium in the answer to ask about")
        answers = await asyncio.gather(*(self._answer(case, media, question) for question in questions))
        return self._scored(case, answers)

    async def _answer(self, case: Case, media: tuple[MediaPart, ...], question: Question) -> Answer:
        assert self.endpoint is not None
        original = self.options.parse == "original"
        read: Callable[[str], str | None] = original_letter if original else letter
        attempts = self.options.attempts or (1 if original else case.rubric.attempts)
        values = {"question": question.question, "choice": question.choice}
        prompt = (
            Message("system", (Text(case.rubric.system),)),
            Message("user", (*media, Text(fill(case.rubric.user, values)))),
        )
        asked = await ask(
            self.endpoint, case, prompt, lambda reply: (read(reply), _NO_OPTION), attempts, keep_all=original
        )
        if asked.state == "judge_error":
            return Answer(
                question_id=question.question_id,
                replies=asked.replies,
                fault=asked.reason,
                usage=asked.usage,
            )
        chosen = asked.verdict
        return Answer(
            question_id=question.question_id,
            replies=asked.replies,
            letter=chosen,
            right=chosen == question.answer if chosen is not None or original else None,
            usage=asked.usage,
        )

    def _scored(self, case: Case, answers: list[Answer]) -> Score:
        usage = sum((answer.usage for answer in answers), Usage())
        known = [answer.right for answer in answers if answer.right is not None]
        details = {
            "questions": [
                {
                    "question_id": answer.question_id,
                    "replies": list(answer.replies),
                    "letter": answer.letter,
                    "right": answer.right,
                }
                for answer in answers
            ],
            "unanswered": len(answers) - len(known),
        }
        whole = {"details": details, "usage": usage, "weight": by_question(case.sample, len(answers))}
        faults = [answer for answer in answers if answer.fault]
        if faults:
            reason = f"question {faults[0].question_id}: {faults[0].fault}"
            return self._missing("judge_error", reason, **whole)
        if not known:
            reason = f"no option in the judge's replies to any of {len(answers)} questions"
            return self._missing("unparsed", reason, **whole)
        share = sum(known) / len(known)
        return Score(
            value=case.rubric.low + (case.rubric.high - case.rubric.low) * share,
            state="scored",
            judge=self.label,
            details=details,
            usage=usage,
            weight=by_question(case.sample, len(known)),
        )

    def _missing(self, state: ScoreState, reason: str, **fields: Any) -> Score:
        return Score(value=None, state=state, reason=reason, judge=self.label, **fields)
