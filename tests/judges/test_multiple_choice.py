"""The option that a model's own answer chooses: read strictly, or as AIR-Bench's script reads it."""

import asyncio

import pytest

from eval_anything.errors import UsageError
from eval_anything.judge import Case, Rubric
from eval_anything.judges.multiple_choice import (
    MultipleChoiceJudge,
    MultipleChoiceOptions,
    air,
    strict,
)
from eval_anything.values import Message, Response, Sample, Score, Text

ANIMALS = {"A": "a dog", "B": "a cat", "C": "a cow", "D": "a goat"}
TWO = {"A": "real", "B": "fake"}
NOTES = {"A": "C", "B": "A", "C": "Vitamin C", "D": "D minor"}


@pytest.mark.parametrize(
    ("answer", "options", "chosen"),
    [
        ("B", ANIMALS, "B"),
        ("b.", ANIMALS, "B"),
        ("(C)", ANIMALS, "C"),
        ("The answer is D.", ANIMALS, "D"),
        ("A cat", ANIMALS, "B"),
        ("a goat.", ANIMALS, "D"),
        ("A dog or a cat", ANIMALS, None),
        ("I hear a cow", ANIMALS, None),
        ("A or B", ANIMALS, None),
        ("", ANIMALS, None),
        ("None", ANIMALS, None),
        ("\u4e8c", ANIMALS, None),
        ("C", TWO, None),
        ("Fake", TWO, "B"),
        ("A", NOTES, "A"),  # the letter, not the text of B
        ("Vitamin C", NOTES, "C"),
        ("D minor", NOTES, "D"),
        ("same", {"A": "same", "B": "same"}, None),
    ],
)
def test_strict_reads_letters_and_whole_options_and_nothing_doubtful(
    answer: str, options: dict[str, str], chosen: str | None
) -> None:
    assert strict(answer, options) == chosen


@pytest.mark.parametrize(
    ("answer", "chosen"),
    [
        ("B", "B"),
        ("Because it barks", "B"),  # the first character
        ("A cat", "A"),
        ("The answer is C.", "C"),  # the last but one
        ("the answer is (D)", "D"),
        ("\n B\n", "B"),
        ("I say:\nC\n.", "C"),  # without its line breaks
        ("c", None),
        ("b.", None),
        ("It is B", None),  # the last character is not looked at
        ("CD", "C"),
        ("xD ", None),
        ("", None),
        ("  ", None),
        ("None", None),
        ("D. None", "D"),
        ("\u0410", None),  # a Cyrillic letter
    ],
)
def test_air_reads_the_first_character_or_the_last_but_one(answer: str, chosen: str | None) -> None:
    assert air(answer, TWO) == chosen


def judged(
    answer: str, right: str = "B", parse: str = "strict", unparsed: float | None = None, options: object = TWO
) -> Score:
    sample = Sample(
        id="7",
        messages=(Message("user", (Text("?"),)),),
        metadata={"options": options, "answer": right},
    )
    rubric = Rubric(system="", user="", low=0, high=1, parse=parse, unparsed=unparsed)
    case = Case(sample=sample, response=Response(parts=(Text(answer),)), rubric=rubric)
    return asyncio.run(MultipleChoiceJudge(MultipleChoiceOptions()).score(case))


def test_the_right_option_is_one_and_a_wrong_one_is_none() -> None:
    assert (judged("B").value, judged("A").value) == (1.0, 0.0)
    assert judged("B").details == {"chosen": "B"}
    assert judged("A", right="AB").value == judged("B", right="AB").value == 1.0


def test_an_answer_that_chooses_nothing_is_unparsed_or_wrong_as_the_protocol_says() -> None:
    left_out, wrong = judged("hm"), judged("hm", unparsed=0)
    assert (left_out.value, left_out.state) == (None, "unparsed")
    assert (wrong.value, wrong.state) == (0, "scored"), "a wrong answer is no failure of a judge"
    assert wrong.components == {"answers without an option": 1.0}
    assert judged("A").components == {"answers without an option": 0.0}


def test_an_option_that_is_not_there_is_wrong_as_published_and_none_where_read_strictly() -> None:
    assert (judged("C", parse="air").value, judged("C", parse="air").state) == (0.0, "scored")
    assert judged("C").state == "unparsed"


def test_a_sample_without_a_right_option_is_the_benchmarks_fault_not_the_models() -> None:
    for right, options in (("C", TWO), ("", TWO), ("A", {})):
        score = judged("A", right=right, options=options)
        assert (score.value, score.state) == (None, "judge_error")
        assert "sample 7" in score.reason


def test_an_unknown_rule_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown parse rule 'strikt'; did you mean 'strict'"):
        judged("A", parse="strikt")
