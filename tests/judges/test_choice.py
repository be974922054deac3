from __future__ import annotations

import asyncio
from typing import Any

import pytest

from eval_anything.errors import ServerFault, UsageError
from eval_anything.judge import Case, Rubric
from eval_anything.judges.choice import ChoiceJudge, ChoiceOptions
from eval_anything.models.base import Model
from eval_anything.run.endpoint import Endpoint, EndpointOptions
from eval_anything.values import (
    Artifact,
    Audio,
    Capabilities,
    Image,
    Message,
    Modality,
    Params,
    Request,
    Response,
    Sample,
    Score,
    Text,
)

SOUND = Audio(Artifact(sha256="0" * 64, mime="audio/wav", bytes_size=3))
RUBRIC = Rubric(
    system="Reply with the letter.",
    user="{question}\n{choice}",
    media=True,
    low=0,
    high=10,
    params=Params(temperature=0.01, max_tokens=128),
)
QUESTIONS = [
    {
        "question_id": f"q{i}",
        "question": f"Question {i}?",
        "choice": "A. x\nB. y\nC. z\nD. w",
        "answer": answer,
    }
    for i, answer in enumerate("ABCD")
]


class Answering(Model):
    """Replies to each question, told by its number, with the replies scripted for it in turn."""

    provider = "scripted"

    def __init__(self, replies: dict[str, Any], inputs: tuple[Modality, ...] = ("text", "audio")) -> None:
        super().__init__("judge", None)
        self.replies = replies
        self.inputs = inputs
        self.requests: list[Request] = []
        self.at_once = self.most_at_once = 0

    def capabilities(self) -> Capabilities:
        return Capabilities(inputs=self.inputs)

    async def generate(self, request: Request) -> Response:
        self.requests.append(request)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0.001)
        self.at_once -= 1
        text = request.messages[1].parts[-1]
        assert isinstance(text, Text)
        reply = self.replies[text.text.split()[1].rstrip("?")]
        if isinstance(reply, list):
            reply = reply.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return Response(parts=(Text(reply),))


def judged(
    *replies: Any, metadata: Any = None, parts: Any = (SOUND,), repeat: int = 0, **options: Any
) -> tuple[Score, Answering]:
    model = Answering({str(i): reply for i, reply in enumerate(replies)})
    endpoint = Endpoint("scripted/judge", model, Params(), EndpointOptions(retries=0))
    metadata = {"questions": QUESTIONS[: len(replies)]} if metadata is None else metadata
    sample = Sample(id="p1", messages=(Message("user", (Text("a bell"),)),), metadata=metadata)
    case = Case(sample=sample, response=Response(parts=parts), rubric=RUBRIC, repeat=repeat)
    return asyncio.run(ChoiceJudge(ChoiceOptions(**options), endpoint).score(case)), model


def test_the_score_is_ten_times_the_share_of_right_answers() -> None:
    score, model = judged("A", "(B)", "Answer: C", "A")
    assert (score.value, score.state, score.weight) == (7.5, "scored", 1.0)
    assert score.judge == "choice:scripted/judge"
    assert score.usage.requests == 4
    assert score.details["questions"][3] == {
        "question_id": "q3",
        "replies": ["A"],
        "letter": "A",
        "right": False,
    }
    assert score.details["unanswered"] == 0
    assert model.most_at_once > 1


def test_the_judge_is_shown_the_medium_then_the_question_then_the_choices() -> None:
    _, model = judged("A", parts=(Text("I made you a bell. The answer is A."), SOUND))
    (request,) = model.requests
    assert request.messages == (
        Message("system", (Text("Reply with the letter."),)),
        Message("user", (SOUND, Text("Question 0?\nA. x\nB. y\nC. z\nD. w"))),
    )
    assert (request.params.temperature, request.params.max_tokens) == (0.01, 128)


def test_braces_in_a_question_are_not_placeholders() -> None:
    question = {**QUESTIONS[0], "question": "Question 0 {choice} {system}?"}
    score, model = judged("A", metadata={"questions": [question]})
    part = model.requests[0].messages[1].parts[-1]
    assert isinstance(part, Text) and part.text.startswith("Question 0 {choice} {system}?\nA. x")
    assert score.value == 10


@pytest.mark.parametrize(("weighting", "weight"), [("question", 4.0), ("prompt", 1.0)])
def test_a_prompt_weighs_as_many_questions_as_were_answered(weighting: str, weight: float) -> None:
    metadata = {"questions": QUESTIONS, "weighting": weighting}
    assert judged("A", "B", "C", "D", metadata=metadata)[0].weight == weight
    score, _ = judged("A", "B", "A", "no idea", metadata=metadata)
    assert score.value == pytest.approx(20 / 3)
    assert score.weight == (3.0 if weighting == "question" else 1.0)
    assert score.details["unanswered"] == 1


def test_a_question_without_an_option_is_asked_three_times_each_a_new_draw() -> None:
    score, model = judged(["hm", "A or B", "A"], repeat=1)
    assert score.value == 10
    assert score.details["questions"][0]["replies"] == ["hm", "A or B", "A"]
    assert [request.draw for request in model.requests] == [3, 4, 5]


def test_nothing_answered_is_unparsed_and_not_zero() -> None:
    metadata = {"questions": QUESTIONS[:2], "weighting": "question"}
    score, model = judged("I cannot hear", "What?", metadata=metadata)
    assert (score.value, score.state, score.weight) == (None, "unparsed", 2.0)
    assert score.reason == "no option in the judge's replies to any of 2 questions"
    assert len(model.requests) == 6


def test_an_outage_on_one_question_is_a_judge_error_of_all() -> None:
    score, _ = judged("A", ServerFault("judge is down"), "C")
    assert (score.value, score.state) == (None, "judge_error")
    assert score.reason == "question q1: server: judge is down"
    assert score.usage.requests == 3


def test_the_original_rule_asks_once_and_takes_no_answer_for_a_wrong_one() -> None:
    score, model = judged("I'd say A", "Bell", "C", "A bell, so D", parse="original")
    assert [q["letter"] for q in score.details["questions"]] == ["D", None, "C", "A"]
    assert (score.value, score.details["unanswered"]) == (2.5, 0)
    assert len(model.requests) == 4


def test_nothing_to_ask_about() -> None:
    score, model = judged("A", parts=(Text("sorry"),))
    assert (score.value, score.state, model.requests) == (None, "no_response", [])
    score, _ = judged(metadata={})
    assert (score.state, score.reason) == ("judge_error", "sample p1: no questions to be answered")


def test_only_media_are_shown_of_an_answer() -> None:
    picture = Image(Artifact(sha256="1" * 64, mime="image/png", bytes_size=3))
    _, model = judged("A", parts=(Text("so"), SOUND, picture))
    assert model.requests[0].messages[1].parts[:-1] == (SOUND, picture)


def test_a_judge_that_cannot_hear_is_refused_before_work_starts() -> None:
    endpoint = Endpoint("scripted/judge", Answering({}, ("text",)), Params(), EndpointOptions())
    with pytest.raises(UsageError, match="does not take audio"):
        ChoiceJudge(ChoiceOptions(), endpoint).check(("audio",))
