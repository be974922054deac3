from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from eval_anything.stats.cell import APART, SCORED, STATES, WAITING, Answers, Question, Verdict


def verdict(id: str, value: float | None, state: Any = "scored", **fields: Any) -> Verdict:
    return Verdict(
        **{"id": id, "repeat": 0, "group": "", "cluster": "", "state": state, "value": value, **fields}
    )


ROWS = [
    verdict("a", 4.0, weight=3.0, components={"part": 2.0}),
    verdict("b", 8.0, components={"part": None}),
    verdict("c", None, "unparsed", truncated=True),
    verdict("d", None, "judge_error"),
    verdict("e", None, None),
]


def answers(rows: list[Verdict], question: Question, *, strict: bool = False) -> Answers:
    return Answers(rows, question, [np.arange(len(rows))], strict)


def states(found: Answers) -> list[str]:
    names = {APART: "apart", SCORED: "scored", WAITING: "waiting"}
    return [names.get(code) or STATES[code] for code in found.status.tolist()]


def test_values_and_what_is_missing() -> None:
    found = answers(ROWS, Question())
    assert states(found) == ["scored", "scored", "unparsed", "judge_error", "waiting"]
    assert found.values.tolist() == [4, 8, 0, 0, 0] and found.weights.tolist() == [3, 1, 0, 0, 0]
    assert found.used.tolist() == [True, True, False, False, False]
    assert not found.stand_in.any()


def test_a_substitute_reaches_bad_answers_and_no_outage() -> None:
    found = answers([*ROWS, verdict("f", None, "refused")], Question(substitute=1.0))
    assert found.used.tolist() == [True, True, True, False, False, True]
    assert found.values.tolist() == [4, 8, 1, 0, 0, 1]
    assert not found.stand_in.any()


def test_rows_that_are_not_asked_are_apart() -> None:
    found = Answers(ROWS, Question(substitute=1.0), [np.array([0]), np.array([2])], False)
    assert states(found) == ["scored", "apart", "unparsed", "apart", "apart"]
    assert found.used.tolist() == [True, False, True, False, False]


def test_a_component_in_place_of_the_value() -> None:
    found = answers(ROWS, Question(column="part"))
    assert states(found) == ["scored", "unparsed", "unparsed", "judge_error", "waiting"]
    assert found.values.tolist() == [2, 0, 0, 0, 0]


@pytest.mark.parametrize(("strict", "first"), [(False, "apart"), (True, "unparsed")])
def test_scores_without_the_component_are_apart_or_missing(strict: bool, first: str) -> None:
    rows = [verdict("a", 1.0, components={"other": 1.0}), verdict("b", 1.0), verdict("c", None, "refused")]
    # Without any components nobody can tell whether it would have had this one.
    assert states(answers(rows, Question(column="part"), strict=strict)) == [first, "unparsed", "refused"]


@pytest.mark.parametrize("strict", [False, True])
def test_a_component_counts_where_another_is_unparsed(strict: bool) -> None:
    rows = [
        verdict("a", None, "unparsed", components={"part": 2.0, "other": None}),
        verdict("b", None, "judge_error", components={"part": 2.0, "other": None}),
    ]
    found = answers(rows, Question(column="part"), strict=strict)
    assert states(found) == ["unparsed" if strict else "scored", "judge_error"]
    assert found.used.tolist() == [not strict, False]
    assert states(answers(rows, Question(column="other"), strict=strict)) == ["unparsed", "judge_error"]


def test_a_value_that_stands_in_for_a_missing_one() -> None:
    rows = [
        verdict("a", -1.0, "unparsed", components={"part": -2.0}),
        verdict("b", 0.0, "no_response"),
        verdict("c", 5.0, "judge_error", components={"part": 5.0}),
        verdict("d", 5.0, "refused"),
        verdict("e", None, "no_response", components={"part": 7.0}),
    ]
    found = answers(rows, Question(substitute=9.0))
    assert states(found) == ["unparsed", "no_response", "judge_error", "refused", "no_response"]
    assert found.used.tolist() == [True, True, False, True, False]
    assert found.values.tolist() == [-1, 0, 0, 9, 0]
    assert found.stand_in.tolist() == [True, True, False, False, False]
    of_part = answers(rows, Question(column="part"))
    assert of_part.used.tolist() == [True, False, False, False, False]
    assert of_part.values[0] == -2.0 and of_part.stand_in[0]


def test_what_the_value_is_divided_by_is_needed_too() -> None:
    rows = [
        verdict("a", 4.0, weight=3.0, components={"reference": 8.0}),
        verdict("b", 5.0, components={"reference": 4.0}),
        verdict("c", 4.0, components={"reference": None}),
        verdict("d", None, "unparsed"),
        verdict("e", -1.0, "unparsed", components={"reference": -1.0}),
    ]
    found = answers(rows, Question(per="reference"))
    assert states(found) == ["scored", "scored", "unparsed", "unparsed", "unparsed"]
    assert found.used.tolist() == [True, True, False, False, True]
    assert (found.values.tolist(), found.pers.tolist()) == ([4, 5, 0, 0, -1], [8, 4, 0, 0, -1])


def test_a_substituted_ratio_has_the_usual_divisor_of_its_group() -> None:
    rows = [
        verdict("a", 4.0, weight=3.0, components={"reference": 8.0}),
        verdict("b", 5.0, components={"reference": 4.0}),
        verdict("c", None, "unparsed"),
        verdict("x", 1.0, components={"reference": 1.0}),
        verdict("y", None, "unparsed"),
        verdict("z", None, "unparsed"),
    ]
    question = Question(per="reference", substitute=0.5)
    found = Answers(rows, question, [np.arange(3), np.array([3, 4]), np.array([5])], False)
    assert found.pers.tolist() == [8, 4, 7, 1, 1, 0]
    assert found.values.tolist() == [4, 5, 3.5, 1, 0.5, 0]
    assert not found.used[5]  # nothing is known of its group's references


def test_repeats_of_a_sample_share_its_weight() -> None:
    rows = [
        *(verdict("a", float(k), repeat=k, weight=2.0) for k in range(4)),
        verdict("a", None, "judge_error", repeat=4),
        verdict("b", 1.0),
    ]
    found = answers(rows, Question(each="sample"))
    assert found.weights.tolist() == [0.5, 0.5, 0.5, 0.5, 0.0, 1.0]
    assert answers(rows, Question()).weights.tolist() == [2, 2, 2, 2, 0, 1]
