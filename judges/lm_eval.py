"""`lm_eval`: a document's own metrics, as lm-evaluation-harness computes them. No model is asked."""

from __future__ import annotations

from collections.abc import Callable

from eval_anything.judge import Case, Judge
from eval_anything.values import Score


class Graded(Case, frozen=True, kw_only=True):
    """A case that its task can grade by itself."""

    grade: Callable[[], Score]


class LMEvalJudge(Judge):
    name = "lm_eval"
    summary = "the filters and metrics of lm-evaluation-harness; for its own tasks alone"

    async def score(self, case: Case) -> Score:
        if not isinstance(case, Graded):
            reason = "judge lm_eval grades documents of lm_eval tasks alone (lm_eval:NAME)"
            return Score(value=None, state="judge_error", reason=reason, judge=self.label)
        # Here, not in a thread: graders of code and mathematics set alarms, which only a main thread has.
        return case.grade()
