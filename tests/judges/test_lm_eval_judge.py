import asyncio

from eval_anything.judge import Case, Rubric
from eval_anything.judges.lm_eval import Graded, LMEvalJudge
from eval_anything.models.base import NoOptions
from eval_anything.values import Response, Sample, Score

SAMPLE, RESPONSE, RUBRIC = Sample(id="1", messages=()), Response(), Rubric(system="", user="{response}")


def scored(case: Case) -> Score:
    return asyncio.run(LMEvalJudge(NoOptions()).score(case))


def test_a_document_is_graded_by_its_own_task() -> None:
    score = Score(value=0.5, state="scored", judge="lm_eval")
    case = Graded(sample=SAMPLE, response=RESPONSE, rubric=RUBRIC, grade=lambda: score)
    assert scored(case) is score


def test_no_other_task_is_judged_by_it() -> None:
    score = scored(Case(sample=SAMPLE, response=RESPONSE, rubric=RUBRIC))
    assert (score.value, score.state) == (None, "judge_error")
    assert "lm_eval tasks alone" in score.reason
