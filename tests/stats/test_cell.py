from __future__ import annotations

from typing import Any

from eval_anything.stats.aggregate import Means
from eval_anything.stats.cell import Cell, Verdict

MEANS = Means(overall="x", components=("part",), low=1, high=10)


def verdict(id: str, value: float | None, state: Any = "scored", **fields: Any) -> Verdict:
    return Verdict(id=id, repeat=0, group="", cluster="", state=state, value=value, **fields)


ROWS = [
    verdict("a", 4.0, weight=3.0, components={"part": 2.0}),
    verdict("b", 8.0, components={"part": None}),
    verdict("c", None, "unparsed", truncated=True),
    verdict("d", None, "judge_error"),
    verdict("e", None, None),
]


def test_values_and_what_is_missing() -> None:
    cell = Cell(ROWS, MEANS, "exclude")
    assert (cell.value, cell.scored, cell.imputed, cell.truncated) == (5.0, 2, 0, 1)
    assert cell.missing == {"unparsed": 1, "judge_error": 1}


def test_a_substitute_reaches_bad_answers_and_no_outage() -> None:
    cell = Cell(ROWS, MEANS, "floor")
    assert cell.value == (3 * 4 + 8 + 1) / 5
    assert (cell.scored, cell.imputed) == (2, 1)


def test_a_component_in_place_of_the_value() -> None:
    cell = Cell(ROWS, MEANS, "exclude", "part")
    assert (cell.value, cell.scored) == (2.0, 1)
    assert cell.missing == {"unparsed": 2, "judge_error": 1}
    none = Cell(ROWS, MEANS, "exclude", "other")
    assert none.value is None
    assert none.why_none() == "nothing scored of 5: 1 judge_error, 3 unparsed, 1 not judged yet"
