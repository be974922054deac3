"""Aspects: one question for each, which reply is a verdict, and what becomes of those that are none."""

import warnings
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from judge_lab import ScriptedJudge, case, endpoint, score, shown

from eval_anything.errors import UnknownName, UsageError
from eval_anything.judge import Aspect, AspectsRubric, Case, Rubric
from eval_anything.judges.aspects import AspectsJudge, AspectsOptions, literal, strict
from eval_anything.options import parse
from eval_anything.values import (
    Artifact,
    Image,
    Params,
    Part,
    Request,
    Response,
    Sample,
    Score,
    Text,
    together,
)

USER = "{name}? {question}\n{response}\nA score."
ASPECTS = tuple(Aspect(name=name, system=f"On {name}.", user=USER) for name in ("detail", "context"))
RUBRIC = AspectsRubric(
    system="",
    user="",
    values={"name": "N", "question": "What is it?"},
    aspects=ASPECTS,
    parse="strict",
    low=0,
    high=5,
    params=Params(max_tokens=9),
)
PICTURE = Image(Artifact(sha256="ab" * 32, mime="image/png", bytes_size=3))


def judged(rubric: Rubric, script: Any, *parts: Part, **options: Any) -> tuple[Score, ScriptedJudge]:
    model = ScriptedJudge(script)
    judge = AspectsJudge(parse(AspectsOptions, options, "-J"), endpoint(model))
    return score(judge, case(rubric, *(parts or (Text("RESPONSE"),)))), model


def by_aspect(**replies: str) -> Any:
    """The reply by the system prompt's aspect; one name may stand for a series."""

    def reply(request: Request) -> str:
        first = request.messages[0].parts[0]
        assert isinstance(first, Text)
        return replies[first.text.removeprefix("On ").removesuffix(".")]

    return reply


def test_each_aspect_is_asked_by_itself() -> None:
    found, model = judged(RUBRIC, by_aspect(detail="{'score': 4}", context="Score: 1"))
    assert (found.value, found.state) == (2.5, "scored")
    assert found.components == {"detail": 4, "context": 1}
    assert found.details["replies"]["detail"] == {"replies": ["{'score': 4}"], "reason": ""}
    assert len(model.requests) == 2
    assert shown(model.requests[0]).startswith("N? What is it?\n<answer ")
    assert {request.params.max_tokens for request in model.requests} == {9}
    assert found.usage.requests == 2


def test_an_aspect_without_a_verdict_leaves_the_answer_without_a_value() -> None:
    found, model = judged(RUBRIC, by_aspect(detail="{'score': 4}", context="Very good."))
    assert (found.value, found.state) == (None, "unparsed")
    assert found.components == {"detail": 4, "context": None}
    assert found.reason == "no score in the judge's reply, in 3 attempts"
    assert found.details["replies"]["context"]["replies"] == ["Very good."] * 3
    assert len(model.requests) == 4


def test_a_stand_in_counts_for_the_aspect_and_the_state_says_so() -> None:
    rubric = msgspec.structs.replace(RUBRIC, unparsed=0)
    found, _ = judged(rubric, by_aspect(detail="{'score': 4}", context="Very good."))
    assert (found.value, found.state, found.components) == (2, "unparsed", {"detail": 4, "context": 0})


def test_an_outage_is_no_number_whatever_the_stand_in() -> None:
    rubric = msgspec.structs.replace(RUBRIC, unparsed=0)
    found, _ = judged(rubric, by_aspect(detail=ScriptedJudge.DOWN, context="Very good."))
    assert (found.value, found.state) == (None, "judge_error")
    assert found.components == {"detail": None, "context": None}


def test_settled_aspects_need_no_judge() -> None:
    rubric = msgspec.structs.replace(RUBRIC, settled={"images": 0.0})
    found, model = judged(rubric, by_aspect(detail="{'score': 4}", context="{'score': 5}"))
    assert (found.value, found.components) == (3, {"detail": 4, "context": 5, "images": 0})
    assert len(model.requests) == 2
    alone = msgspec.structs.replace(RUBRIC, aspects=(), settled={"images": 0.0, "text": 3.0})
    found, model = judged(alone, [])
    assert (found.value, found.state, model.requests) == (1.5, "scored", [])


def test_both_answers_of_a_sample_are_shown_where_the_template_has_them() -> None:
    aspect = Aspect(name="consistency", system="", user="1: {response_0}\n2: {response_1}")
    rubric = msgspec.structs.replace(RUBRIC, aspects=(aspect,))
    answers = [Response(parts=(Text(f"ANSWER {i}"),)) for i in (1, 2)]
    one = Case(sample=Sample(id="1", messages=()), response=together(answers), rubric=rubric)
    model = ScriptedJudge(["{'score': 2}"])
    assert score(AspectsJudge(AspectsOptions(), endpoint(model)), one).value == 2
    text = shown(model.requests[0])
    assert text.index("1: <") < text.index("ANSWER 1") < text.index("2: <") < text.index("ANSWER 2")


def test_media_are_shown_where_the_rubric_says_so() -> None:
    parts = (Text("One."), PICTURE, Text("Two."))
    blind, model = judged(RUBRIC, by_aspect(detail="score: 1", context="score: 1"), *parts)
    assert blind.value == 1
    assert not [p for p in model.requests[0].messages[-1].parts if isinstance(p, Image)]
    seeing = msgspec.structs.replace(RUBRIC, media=True)
    _, model = judged(seeing, by_aspect(detail="score: 1", context="score: 1"), *parts)
    shown_parts = model.requests[0].messages[-1].parts
    assert [p for p in shown_parts if isinstance(p, Image)] == [PICTURE]
    assert shown(model.requests[0]).index("One.") < shown(model.requests[0]).index("<answer image 1")


def test_options_win_over_the_protocol() -> None:
    found, model = judged(RUBRIC, lambda _: "{'score': 7}", parse="literal")
    assert found.value == 7
    found, model = judged(RUBRIC, lambda _: "no", attempts="1")
    assert (found.state, len(model.requests)) == ("unparsed", 2)
    with pytest.raises(UsageError, match=r"'stric'.*did you mean 'strict'"):
        judged(RUBRIC, lambda _: "no", parse="stric")
    with pytest.raises(UnknownName):
        judged(RUBRIC, lambda _: "no", swap="true")


def test_a_task_without_aspects_is_said() -> None:
    with pytest.raises(UsageError, match="names no aspects"):
        judged(Rubric(system="", user="{response}"), lambda _: "score: 1")


def test_a_judge_that_sees_no_images_cannot_judge_them() -> None:
    judge = AspectsJudge(AspectsOptions(), endpoint(ScriptedJudge([], inputs=("text",))))
    judge.check(("text",))
    with pytest.raises(UsageError, match="does not take image"):
        judge.check(("text", "image"))


STRICT = {
    "{'score': 4}": 4,
    '{"score": 0}': 0,
    "{''score': 5}": 5,
    "{'score': '3'}": 3,
    "{'score': 4.0}": 4,
    "```python\n{'score': 4}\n```": 4,
    "Score: 2.": 2,
    "**Score:** 2": 2,
    "I take off a point.\n\nScore: 4, as I said: score: 4": 4,
    "Score\uff1a3": 3,
    "{'score':\t3}": 3,
    "": None,
    "   ": None,
    "4": None,
    "I cannot rate this.": None,
    "\u5206\u6570\uff1a4": None,
    "{'score': 4.8}": None,
    "{'score': 4,5}": None,
    "{'score': 6}": None,
    "{'score': -1}": None,
    "{'score': 1e0}": None,
    "{'score': True}": None,
    "score: 4/5": None,
    "score: 80%": None,
    "{'score': 4} {'score': 5}": None,
    "underscore: 4": None,
    "score: " + "9" * 5000: None,
}


@pytest.mark.parametrize("reply", STRICT)
def test_strict_takes_one_whole_number_on_the_scale(reply: str) -> None:
    value, reason = strict(reply, RUBRIC)
    assert value == STRICT[reply]
    assert bool(reason) == (value is None)
    assert len(reason) < 200


LITERAL = {
    "{'score': 4}": 4,
    "  {'score': 4}\n": 4,
    "{'score': 4.8}": 4,
    "{'score': -0.5}": 0,
    "{'score': '4'}": 4,
    "{'score': True}": 1,
    "{'score': 70}": 70,
    "{'score': 4, 'why': 'good'}": 4,
    "{''score': 4.8}": None,
    "": None,
    "4": None,
    "['score']": None,
    "{'Score': 4}": None,
    "{'score': 'four'}": None,
    "{'score': None}": None,
    "{'score': 1e999}": None,
    "{'score': b'4'}": None,
    "{'score': 4, ('a', 1): 2}": None,
    "```python\n{'score': 4}\n```": None,
    "{'score': 4} {'score': 5}": None,
    "{'score': 2 + 2}": None,
    "__import__('os').getcwd()": None,
    "(" * 100_000: None,
    "'\\d' + ''": None,
}


@pytest.mark.parametrize("reply", LITERAL, ids=lambda reply: reply[:30])
def test_literal_reads_what_the_published_scripts_read(reply: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        value, reason = literal(reply, RUBRIC)
    assert value == LITERAL[reply]
    assert bool(reason) == (value is None)


@given(st.text())
def test_no_reply_raises(reply: str) -> None:
    for rule in (strict, literal):
        value, reason = rule(reply, RUBRIC)
        assert (value is None) == bool(reason)


@given(st.integers(0, 5), st.sampled_from(["{{'score': {}}}", "Score: {}", '{{"score": {}}}']))
def test_every_rating_of_the_scale_is_read(rating: int, form: str) -> None:
    assert strict(form.format(rating), RUBRIC) == (rating, "")
