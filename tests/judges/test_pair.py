"""Pairs: who is shown first, which rating is whose, both orders, and replies that are no verdict."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from judge_lab import ScriptedJudge, case, endpoint, score, shown

from eval_anything.errors import UsageError
from eval_anything.judge import PairRubric, Rubric
from eval_anything.judges.pair import PairJudge, PairOptions, strict
from eval_anything.options import parse
from eval_anything.values import Params, Request, Score, Text

RUBRIC = PairRubric(
    system="",
    user="{context}\n[1]\n{first}\n[2]\n{second}\nTwo numbers.",
    values={"context": "A picture."},
    baseline="REFERENCE",
    parse="strict",
    params=Params(max_tokens=9),
)
SWAPPED = msgspec.structs.replace(RUBRIC, swap=True)


def judged(rubric: Rubric, script: Any, **options: Any) -> tuple[Score, ScriptedJudge]:
    model = ScriptedJudge(script)
    judge = PairJudge(parse(PairOptions, options, "-J"), endpoint(model))
    return score(judge, case(rubric, Text("RESPONSE"))), model


def by_order(reference_first: str, response_first: str) -> Any:
    def reply(request: Request) -> str:
        text = shown(request)
        return reference_first if text.index("REFERENCE") < text.index("RESPONSE") else response_first

    return reply


def test_the_reference_is_first_and_its_rating_too() -> None:
    found, model = judged(RUBRIC, ["8 6\nBecause."])
    assert (found.value, found.components) == (6, {"reference": 8, "win": 0})
    text = shown(model.requests[0])
    assert text.startswith("A picture.\n[1]\n<first ")
    assert text.index("REFERENCE") < text.index("RESPONSE")
    assert len(model.requests[0].messages) == 1, "no system turn"
    assert model.requests[0].params.max_tokens == 9


def test_the_order_may_be_the_other_one() -> None:
    rubric = msgspec.structs.replace(RUBRIC, order=("response", "reference"))
    found, model = judged(rubric, by_order("1 1", "9 7"))
    assert (found.value, found.components) == (9, {"reference": 7, "win": 1})
    assert len(model.requests) == 1


def test_both_orders_are_averaged_and_shown() -> None:
    found, model = judged(SWAPPED, by_order("8 6", "7 5"))
    assert found.value == 6.5
    assert found.components == {
        "response, reference first": 6,
        "reference, reference first": 8,
        "response, response first": 7,
        "reference, response first": 5,
        "win, reference first": 0,
        "win, response first": 1,
        "reference": 6.5,
        "win": 0.5,
    }
    assert len(model.requests) == 2
    assert judged(RUBRIC, by_order("8 6", "7 5"), swap=True)[0].value == 6.5
    assert judged(SWAPPED, by_order("8 6", "7 5"), swap=False)[0].value == 6


def test_without_a_verdict_in_one_order_there_is_no_score_and_the_other_is_kept() -> None:
    found, model = judged(SWAPPED, by_order("8 6", "I cannot."))
    assert (found.value, found.state) == (None, "unparsed")
    assert found.components["response, reference first"] == 6
    assert found.components["response, response first"] is None
    assert found.components["reference"] is None
    assert "in 3 attempts" in found.reason
    assert len(model.requests) == 4
    assert {r.draw for r in model.requests} == {0, 1, 2}
    kept = {one["first"]: one["replies"] for one in found.details["replies"]}
    assert kept == {"reference": ["8 6"], "response": ["I cannot."] * 3}


def test_a_protocol_may_have_a_number_for_a_reply_without_a_verdict_but_not_for_an_outage() -> None:
    rubric = msgspec.structs.replace(RUBRIC, unparsed=-1.0, attempts=2)
    found, _ = judged(rubric, ["?", "?"])
    assert (found.value, found.state, found.components) == (-1, "unparsed", {"reference": -1, "win": None})
    found, _ = judged(rubric, ["?", ScriptedJudge.DOWN])
    assert (found.value, found.state) == (None, "judge_error")
    assert "down" in found.reason


@pytest.mark.parametrize(
    ("reply", "ratings"),
    [
        ("8 7", (8, 7)),
        ("8 7\nThe first is better.", (8, 7)),
        ("\n  8,  7 \nWhy: 3 things.", (8, 7)),
        ("8\t7", (8, 7)),
        ("8.5 7", (8.5, 7)),
        ("**8 7**", (8, 7)),
        ("[8, 7]", (8, 7)),
        ("8 7\nI repeat:\n8 7", (8, 7)),
        ("8 7\nNo, rather:\n7 8", None),
        ("", None),
        ("   \n", None),
        ("8", None),
        ("8 7 6", None),
        ("Scores: 8 7", None),
        ("11 7", None),
        ("0 7", None),
        ("-1 7", None),
        ("8/10 7/10", None),
        ("acht sieben", None),
        ("nan 7", None),
        ("Assistant 1: 8\nAssistant 2: 7", None),
    ],
)
def test_strict_reading(reply: str, ratings: tuple[float, float] | None) -> None:
    found, reason = strict(reply, RUBRIC)
    assert found == ratings
    assert bool(reason) == (ratings is None)


@given(st.text(alphabet=st.sampled_from("0123456789., \n\t-/abc"), max_size=30))
def test_any_reply_gives_two_ratings_on_the_scale_or_a_reason(reply: str) -> None:
    found, reason = strict(reply, RUBRIC)
    assert (found is None) == bool(reason)
    assert found is None or all(1 <= rating <= 10 for rating in found)


@pytest.mark.parametrize("attempts", [0, -1])
def test_a_judge_is_asked_at_least_once(attempts: int) -> None:
    with pytest.raises(UsageError, match="attempts"):
        judged(RUBRIC, ["8 7"], attempts=attempts)


def test_an_unknown_rule_and_a_task_without_a_pair_are_said() -> None:
    with pytest.raises(UsageError, match=r"unknown parse rule 'strikt'; did you mean 'strict'"):
        PairJudge(PairOptions(parse="strikt"), endpoint(ScriptedJudge([])))  # before anything is asked
    with pytest.raises(UsageError, match="no reference answer to rate beside"):
        judged(Rubric(system="", user="{response}"), ["8 7"])
