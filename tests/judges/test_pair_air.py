"""The rules that read a pair of ratings as AIR-Bench's script does, and as Align Anything's does."""

from typing import Any

import msgspec
import pytest
from judge_lab import ScriptedJudge, case, endpoint, score, shown

from eval_anything.judge import PairRubric
from eval_anything.judges.pair import PairJudge, PairOptions, air, second
from eval_anything.values import Request, Score, Text

RUBRIC = PairRubric(system="", user="{first}|{second}", baseline="REFERENCE", low=1, high=10, tie=0.0)


@pytest.mark.parametrize(
    ("reply", "pair", "of_second"),
    [
        ("8 7", (8, 7), 7),
        (" 8 7\n", (8, 7), 7),
        ("8 \t7", (8, 7), 7),
        ("+8 7", (8, 7), 7),
        ("1_0 9", (10, 9), 9),
        ("\u0668 \u0667", (8, 7), 7),  # Arabic digits
        ("0 -3", (0, -3), None),
        ("-3 5", (-3, 5), 5),
        ("10 10", (10, 10), 10),
        ("11 5", None, 5),
        ("5 11", None, None),
        ("8  7", None, None),  # the second of three words is empty
        ("8\t7", None, None),
        ("8\n7", None, None),  # 87
        ("8 7\nBetter", None, None),  # 8 and 7Better
        ("8, 7", None, 7),
        ("8.0 7.0", None, None),
        ("8 7 6", None, 7),
        ("Scores: 8", None, 8),
        ("8", None, None),
        ("", None, None),
        ("\u516b \u4e03", None, None),
        ("9" * 5000 + " 7", None, 7),  # more digits than Python reads
    ],
)
def test_replies(reply: str, pair: tuple[int, int] | None, of_second: int | None) -> None:
    found, reason = air(reply, RUBRIC)
    assert found == pair
    assert bool(reason) == (pair is None)
    found, reason = second(reply, RUBRIC)
    assert found == (None if of_second is None else (None, of_second))
    assert bool(reason) == (of_second is None)


def judged(plain: str, swapped: str, **fields: Any) -> Score:
    """By the replies with the reference first, and with the response first."""

    def reply(request: Request) -> str:
        text = shown(request)
        return plain if text.index("REFERENCE") < text.index("RESPONSE") else swapped

    rubric = msgspec.structs.replace(RUBRIC, attempts=1, **fields)
    judge = PairJudge(PairOptions(), endpoint(ScriptedJudge(reply)))
    return score(judge, case(rubric, Text("RESPONSE")))


def test_each_order_keeps_its_ratings_where_the_other_has_none() -> None:
    found = judged("9 6", "12 1", parse="air", swap=True)
    assert (found.value, found.state) == (None, "unparsed")
    assert found.components == {
        "reference, reference first": 9,
        "response, reference first": 6,
        "win, reference first": 0,
        "reference, response first": None,
        "response, response first": None,
        "win, response first": None,
        "reference": None,
        "win": None,
    }


def test_ties_count_as_the_rubric_says_in_each_order_and_in_both() -> None:
    for tie in (0.0, 0.5):
        found = judged("5 5", "5 5", parse="air", swap=True, tie=tie)
        assert {name: v for name, v in found.components.items() if name.startswith("win")} == {
            "win": tie,
            "win, reference first": tie,
            "win, response first": tie,
        }


def test_a_rating_that_is_not_read_makes_no_winner() -> None:
    found = judged("good 4", "", parse="second")
    assert (found.value, found.components) == (4, {"reference": None, "win": None})
