from __future__ import annotations

from typing import Any

from eval_anything.stats.aggregate import Means, Metric, Tree
from eval_anything.stats.cell import Verdict
from eval_anything.stats.outline import outline
from eval_anything.stats.sheet import Sheet, Tally


def verdict(id: str, value: float | None, state: Any = "scored", **fields: Any) -> Verdict:
    return Verdict(
        **{"id": id, "repeat": 0, "group": "", "cluster": "", "state": state, "value": value, **fields}
    )


def tallies(aggregation: Means | Tree, rows: list[Verdict], policy: Any = "exclude") -> dict[str, Tally]:
    shown = outline(aggregation)
    sheet = Sheet(rows, shown, policy)
    return {entry.metric.name: sheet.tally(entry.metric) for entry in shown.entries}


MEANS = Means(overall="x", components=("part", "other"), low=1, high=10)
ROWS = [
    verdict("a", 4.0, weight=3.0, components={"part": 2.0}),
    verdict("b", 8.0, components={"part": None}),
    verdict("c", None, "unparsed", truncated=True),
    verdict("d", None, "judge_error"),
    verdict("e", None, None),
]


def test_counts_by_state() -> None:
    found = tallies(MEANS, ROWS)
    missing = {"judge_error": 1, "unparsed": 1}
    assert found["x"] == Tally(n=5, scored=2, missing=missing, imputed=0, stand_in=0, truncated=1)
    assert found["part"].missing == {"judge_error": 1, "unparsed": 2}
    assert found["other"].why_none() == "nothing scored of 5: 1 judge_error, 3 unparsed, 1 not judged yet"
    assert tallies(MEANS, [])["x"].why_none() == "no responses"


def test_what_enters_the_mean_all_the_same() -> None:
    rows = [*ROWS, verdict("f", 1.0, "no_response")]
    found = {policy: tallies(MEANS, rows, policy)["x"] for policy in ("exclude", "floor")}
    assert [(t.imputed, t.stand_in) for t in found.values()] == [(1, 1), (2, 1)]
    assert all(t.scored == 2 and sum(t.missing.values()) == 3 for t in found.values())


ASPECTS = Tree(
    headline=Metric(
        name="all", parts=tuple(Metric(name=aspect, column=aspect) for aspect in ("sharp", "true"))
    ),
    others=(Metric(name="see", groups=("see",)),),
)


def test_a_row_of_several_leaves_is_scored_where_each_has_a_score() -> None:
    rows = [
        verdict("whole", 1.0, components={"sharp": 1.0, "true": 1.0}, group="see"),
        verdict("half", None, "unparsed", components={"sharp": 1.0, "true": None}),
        verdict("one", 1.0, components={"true": 1.0}),
        verdict("neither", 1.0, components={"third": 1.0}, truncated=True),
        verdict("lost", None, "no_response"),
        verdict("waits", None, None),
        verdict("counted", 0.0, "unparsed", components={"sharp": 0.0, "true": 0.0}),
        verdict("partly", 0.0, "unparsed", components={"sharp": 0.0, "true": None}),
    ]
    found = tallies(ASPECTS, rows)
    missing = {"no_response": 1, "unparsed": 3}
    # "neither" has none of the aspects, and only "counted" stands in wherever it is missing.
    assert found["all"] == Tally(n=7, scored=2, missing=missing, imputed=1, stand_in=1, truncated=0)
    assert (found["sharp"].n, found["sharp"].scored, found["sharp"].imputed) == (6, 2, 2)
    assert (found["true"].n, found["true"].scored, found["true"].imputed) == (7, 2, 1)
    assert found["see"].n == 1


def test_a_group_that_two_leaves_name_is_in_a_pool_once() -> None:
    twice = Metric(
        name="pool",
        pooled=True,
        parts=(Metric(name="see", groups=("see",)), Metric(name="both", groups=("see", "hear"))),
    )
    shown = outline(Tree(headline=twice))
    rows = [verdict("a", 1.0, group="see"), verdict("b", 4.0, group="hear"), verdict("c", 9.0, group="smell")]
    terms = Sheet(rows, shown, "exclude").terms(twice)
    assert terms.values.tolist() == [1.0, 4.0]
