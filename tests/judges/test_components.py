"""Components: what the judge is shown, which replies are a verdict, and the rule that MIA-Bench published."""

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from judge_lab import ScriptedJudge, case, endpoint, score, shown

from eval_anything.errors import UsageError
from eval_anything.judge import Component, ComponentsRubric, Rubric
from eval_anything.judges.components import ComponentsJudge, ComponentsOptions, published, strict
from eval_anything.options import parse
from eval_anything.values import Params, Score, Text

RUBRIC = ComponentsRubric(
    system="",
    user="{question}\n{components}\n{response}\nUp to {total}.",
    values={"total": "10"},
    question_media=True,
    components=(
        Component("say what it is", 4, "describe"),
        Component("name its colour", 3, "mention"),
        Component("and its size", 3, "mention"),
    ),
    low=0,
    high=100,
    parse="strict",
    params=Params(max_tokens=9),
)
SCORES = "score of component 1: 4/4, score of component 2: 3/3, score of component 3: 0/3, total score: 7/10."


def judged(
    rubric: Rubric, script: Any, answer: str = "A CIRCLE", **options: Any
) -> tuple[Score, ScriptedJudge]:
    model = ScriptedJudge(script)
    judge = ComponentsJudge(parse(ComponentsOptions, options, "-J"), endpoint(model))
    return score(judge, case(rubric, Text(answer))), model


def test_the_judge_is_shown_instruction_components_with_points_and_the_response() -> None:
    found, model = judged(RUBRIC, [f"{SCORES} Because."])
    text = shown(model.requests[0])
    assert re.match(r"<question \w+>\nWhat is it\?\n</question \w+>\n", text)
    assert "\ncomponent 1 (worth 4 points): say what it is\ncomponent 2 (worth 3 points): name its" in text
    assert re.search(r"<answer (\w+)>\nA CIRCLE\n</answer \1>\nUp to 10\.$", text)
    assert len(model.requests[0].messages) == 1, "no system turn"
    assert model.requests[0].params.max_tokens == 9
    assert found.value == pytest.approx(70)
    assert found.components == {"describe": 1, "mention": 0.5}
    assert found.details["replies"] == [f"{SCORES} Because."]


@pytest.mark.parametrize(
    ("reply", "total", "kinds"),
    [
        (SCORES, 0.7, {"describe": 1, "mention": 0.5}),
        (SCORES.replace("total score", "Total"), 0.7, {"describe": 1, "mention": 0.5}),
        (SCORES.replace(", ", "\n").upper(), 0.7, {"describe": 1, "mention": 0.5}),
        (f"**{SCORES.replace(': ', '**: **').replace(',', '**,')}", 0.7, {"describe": 1, "mention": 0.5}),
        (SCORES.replace("7/10", "70/100"), 0.7, {"describe": 1, "mention": 0.5}),
        (f"{SCORES} Reasons: component 1: 4/4, all there.", 0.7, {"describe": 1, "mention": 0.5}),
        (
            "component 1 (worth 4 points): 1.5/4, component 2: 3/3.0, component 3: 2.5 / 3. Total: 7/10",
            0.7,
            {"describe": 0.375, "mention": 5.5 / 6},
        ),
    ],
)
def test_replies_that_are_a_verdict(reply: str, total: float, kinds: dict[str, float]) -> None:
    found, reason = strict(reply, RUBRIC)
    assert found is not None, reason
    assert found.total == pytest.approx(total)
    assert found.kinds == pytest.approx(kinds)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("", "no scores of component 1"),
        ("Sorry, I cannot grade this.", "no scores of component 1"),
        ("第一部分得分: 4/4, 第二部分得分: 3/3, 总分: 7/10。", "no scores of component 1"),
        (SCORES.replace("3/3", "three of three"), "no scores of component 2"),
        (SCORES.replace("4/4", "-1/4"), "no scores of component 1"),
        (SCORES.replace("4/4", "5/4"), "component 1: 5/4 is not out of 4"),
        (SCORES.replace("4/4", "4/5"), "component 1: 4/5 is not out of 4"),
        (f"{SCORES} On reflection, score of component 3: 2/3.", "2 scores of component 3"),
        (f"{SCORES} score of component 4: 1/2.", "a score of component 4, of 3"),
        (SCORES.replace(", total score: 7/10", ""), "no total scores"),
        (f"{SCORES} total score: 8/10.", "2 total scores"),
        (SCORES.replace("7/10", "9/10"), "the total 9/10 is not the sum"),
        (SCORES.replace("7/10", "7/0"), "the total 7/0 is not the sum"),
    ],
)
def test_replies_that_are_none(reply: str, reason: str) -> None:
    found, said = strict(reply, RUBRIC)
    assert found is None
    assert reason in said


def test_points_that_do_not_sum_to_ten_are_shares_all_the_same() -> None:
    light = msgspec.structs.replace(RUBRIC, components=RUBRIC.components[1:])
    for total in ("5/6", "8.33/10"):
        found, reason = strict(f"component 1: 3/3, component 2: 2/3, total score: {total}.", light)
        assert found is not None, reason
        assert found.total == pytest.approx(5 / 6)


def test_a_judge_without_a_verdict_is_asked_three_times_and_its_replies_are_kept() -> None:
    found, model = judged(RUBRIC, ["?", "total score: 3/10.", SCORES])
    assert (found.value, len(model.requests)) == (pytest.approx(70), 3)
    assert [r.draw for r in model.requests] == [0, 1, 2]
    found, model = judged(RUBRIC, ["?"] * 3)
    assert (found.value, found.state) == (None, "unparsed")
    assert found.components == {"describe": None, "mention": None}
    assert found.details["replies"] == ["?"] * 3
    assert found.reason == "no scores of component 1 in the judge's reply, in 3 attempts"
    found, _ = judged(RUBRIC, ["?", ScriptedJudge.DOWN])
    assert (found.value, found.state) == (None, "judge_error")


def test_a_protocol_may_have_a_number_for_a_reply_without_a_verdict() -> None:
    found, _ = judged(msgspec.structs.replace(RUBRIC, unparsed=0.0, attempts=1), ["?"])
    assert (found.value, found.state) == (0, "unparsed")


@pytest.mark.parametrize(
    ("reply", "total", "kinds"),
    [
        (SCORES, 0.7, {"describe": 1, "mention": 0}),
        (f"\n {SCORES} And so on, 1: 2/3, or not.", 0.7, {"describe": 1, "mention": 0}),
        ("a: 1/2, b: 9/4, c: -1/2, d: 30/20", 1.5, {"describe": 0.5, "mention": -0.5}),
        ("a: 4/4, b: 1/3. Total score: 5/10.", 1 / 3, {"describe": 1}),
        ("a: 4/4/7, b:x1/2", 0.5, {"describe": 1}),
    ],
)
def test_the_published_rule_as_it_is(reply: str, total: float, kinds: dict[str, float]) -> None:
    found, reason = published(reply, RUBRIC)
    assert found is not None, reason
    assert found.total == pytest.approx(total)
    assert found.kinds == pytest.approx(kinds)


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "total score: 7/10",
        SCORES.replace("4/4", "3.5/4"),
        SCORES.replace("4/4", "4 of 4"),
        SCORES.replace("7/10.", "7/10\n\nThe response names the circle."),
        SCORES.replace("component 1: ", "component 1 "),
        SCORES.replace("0/3", "0/0"),
        f"component 0: 1/1, {SCORES}",
        f"a: {'9' * 400}/1, b: 1/2",
    ],
)
def test_what_the_published_rule_cannot_read(reply: str) -> None:
    assert published(reply, RUBRIC)[0] is None


@given(st.text())
def test_no_reply_breaks_a_rule(reply: str) -> None:
    for rule in (strict, published):
        found, reason = rule(reply, RUBRIC)
        assert (found is None) == bool(reason)


def test_a_task_without_components_and_an_unknown_rule_are_usage_errors() -> None:
    with pytest.raises(UsageError, match="the instructions of task lab have no components"):
        judged(Rubric(system="", user="{response}"), [SCORES])
    with pytest.raises(UsageError, match="unknown parse rule 'publishd'; did you mean 'published'"):
        judged(RUBRIC, [SCORES], parse="publishd")
