"""A score is a measurement: a number, or None with a reason."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from eval_anything.values.usage import Usage

ScoreState = Literal["scored", "unparsed", "judge_error", "refused", "no_response"]
"""scored: there is a value. unparsed: the judge answered, but gave no usable verdict in all attempts.
judge_error: the judge could not be reached. refused: the model declined and said nothing that could be
judged. no_response: the model's side failed or was skipped, so there was nothing to judge."""


class Score(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    value: float | None
    """In state unparsed or no_response: the number that the protocol counts in place of the missing one."""
    state: ScoreState
    reason: str = ""
    """Why there is no verdict; empty when there is one."""
    judge: str = ""
    """Who gave it: "reference", or a judge's shape and model, "rubric:openai/gpt-4o"."""
    details: dict[str, Any] = {}
    """The judge's replies, components of the score, recorded changes to what the judge was shown."""
    components: dict[str, float | None] = {}
    """Scores of parts that are reported by themselves (synergy: one for each pair of modalities)."""
    items: dict[str, Any] = {}
    """What metrics that are made of all scores at once are made of (`Metric.corpus`), by name."""
    weight: Annotated[float, msgspec.Meta(ge=0)] = 1.0
    """How much it counts in a mean (a prompt with several questions, where questions count alike)."""
    usage: Usage = Usage()
    """What judging consumed."""
