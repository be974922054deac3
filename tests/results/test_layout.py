from __future__ import annotations

from typing import Any

import pytest

from eval_anything.results.layout import COLUMNS, Block, page
from eval_anything.results.results import build
from eval_anything.stats.aggregate import Means, Metric, Tree
from eval_anything.values import Usage


def block(run: Any) -> Block:
    (found,) = page(build(run.save())).blocks
    return found


def test_every_number_has_its_interval_counts_and_judge(run: Any) -> None:
    run.manifest(run.plan(planned=3, aggregation=Means(overall="AMU", groups=("see",), low=1, high=10)))
    run.scored("a", 4, group="see")
    run.scored("b", 4, group="see", state="truncated")
    run.response("c", group="see")
    run.score("c", None, "judge_error")
    judge = "rubric:openai/gpt-4o"
    assert block(run).rows == (
        ("AMU", "4.00", "[4.00, 4.00]", "3", "2", "1", "1", "33.3%", judge),
        ("  see", "4.00", "[4.00, 4.00]", "3", "2", "1", "1", "33.3%", judge),
    )
    assert len(COLUMNS) == 9


def test_metrics_stand_below_what_they_are_part_of(run: Any) -> None:
    leaf = Metric(name="c", groups=("c",))
    tree = Tree(
        headline=Metric(name="a", parts=(Metric(name="b", parts=(leaf,)),)),
        others=(Metric(name="d", low=0, high=1),),
        high=10,
    )
    run.manifest(run.plan(planned=1, aggregation=tree, profile="original"))
    run.scored("s", 1, group="c")
    found = block(run)
    assert [row[:2] for row in found.rows] == [
        ("a", "1.00"),
        ("  b", "1.00"),
        ("    c", "1.00"),
        ("d", "1.000"),
    ]
    assert found.title == "amu (version 1, profile original)"


@pytest.mark.parametrize(("policy", "by_policy"), [("exclude", 0), ("floor", 2)])
def test_what_the_protocol_counts_is_told_from_the_missing_policy(
    run: Any, policy: str, by_policy: int
) -> None:
    run.manifest(run.plan(planned=4, missing=policy))
    run.scored("a", 4)
    for name, value in (("b", 0.0), ("c", None), ("d", None)):
        run.response(name)
        run.score(name, value, "unparsed")
    told = [line for line in block(run).lines if "in the mean" in line]
    by_protocol = "protocol: 1 missing answer in the mean, as the value that it prescribes"
    said = [f"missing policy floor: {by_policy} missing answers in the mean"] if by_policy else []
    assert told == [*said, by_protocol]


@pytest.mark.parametrize(
    ("changes", "banners"),
    [
        ({}, ()),
        ({"data": "synthetic"}, ("synthetic data: not comparable with published numbers",)),
        (
            {"judge": "reference", "protocol_judge": False},
            ("judge: reference (offline; not the protocol's judge)",),
        ),
        (
            {"judge": "rubric:openai/mini", "protocol_judge": False},
            ("judge: rubric:openai/mini (not the protocol's judge)",),
        ),
        ({"planned": 3}, ("unfinished: 1 of 3 responses",)),
    ],
)
def test_banners(run: Any, changes: dict[str, Any], banners: tuple[str, ...]) -> None:
    run.manifest(run.plan(**{"planned": 1, **changes}))
    run.scored("a", 4)
    assert block(run).banners == banners


def test_missing_is_told_by_cause(run: Any) -> None:
    run.manifest(run.plan(planned=4, aggregation=Means(overall="AMU", groups=("see",), low=1, high=10)))
    run.scored("a", 4, group="see")
    run.response("b", group="see", state="refused")
    run.score("b", None, "refused", usage=Usage())
    run.scored("c", 4, group="smell")
    lines = block(run).lines
    assert "missing: 1 refused, 1 unfinished, 1 in groups that the task does not name" in lines
    assert "responses: 1 refused" in lines


@pytest.mark.parametrize(("policy", "said"), [("exclude", False), ("floor", True), ("zero", True)])
def test_a_missing_policy_that_moved_the_mean_is_said(run: Any, policy: str, said: bool) -> None:
    run.manifest(run.plan(planned=2, missing=policy))
    run.scored("a", 4)
    run.response("b")
    run.score("b", None, "unparsed")
    assert (f"missing policy {policy}: 1 missing answer in the mean" in block(run).lines) == said


def test_an_unfinished_run_is_said_first(run: Any) -> None:
    run.manifest(run.plan(planned=2), run.plan(name="amg", planned=5))
    run.scored("a", 4)
    assert page(build(run.save())).banners == ("unfinished run: 1 of 7 responses",)


def test_money_is_shown_only_where_it_is_known(run: Any) -> None:
    run.manifest(run.plan(planned=1))
    run.scored("a", 4, usage=Usage(cost_usd=1.5), seconds=2)
    lines = block(run).lines
    assert "model: 0 requests; 0 tokens in, 0 out; $1.50; 2.00 s" in lines
    assert "judge rubric:openai/gpt-4o: 1 request; 100 tokens in, 1 out" in lines
