from __future__ import annotations

from typing import Any

import msgspec
import pytest

from eval_anything.stats.aggregate import Means, Metric, Tree


def leaf(name: str = "leaf", **fields: Any) -> Metric:
    return Metric(name=name, **fields)


TREE = Tree(
    headline=leaf(
        "all", skip_empty=True, parts=(leaf("a", groups=("x",)), leaf("b", column="c", per="d", factor=100))
    ),
    others=(leaf("pool", pooled=True, parts=(leaf("p", each="sample"),), digits=1),),
    high=10,
)


@pytest.mark.parametrize("aggregation", [TREE, Means(overall="x", groups=("a",), low=1)])
def test_json_keeps_all_of_it(aggregation: Means | Tree) -> None:
    read: Any = msgspec.json.decode(msgspec.json.encode(aggregation), type=Means | Tree)
    assert read == aggregation


def test_walks_from_the_headline_down() -> None:
    found = [(metric.name, depth) for metric, depth in TREE.walk()]
    assert found == [("all", 0), ("a", 1), ("b", 1), ("pool", 0), ("p", 1)]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"parts": (leaf(),), "groups": ("x",)}, "metric 'm' has parts: groups is not for it"),
        ({"parts": (leaf(),), "column": "c"}, "has parts: column is not"),
        ({"parts": (leaf(),), "per": "c", "factor": 2.0}, "has parts: per, factor is not"),
        ({"parts": (leaf(),), "each": "sample"}, "has parts: each is not"),
        ({"pooled": True, "skip_empty": True}, "has no parts: pooled, skip_empty is not"),
        ({"factor": 0.0}, "factor is 0.0"),
        ({"factor": float("nan")}, "factor is nan"),
        ({"parts": (leaf(), leaf(factor=2.0)), "pooled": True}, "is pooled: its leaves need one factor"),
        ({"parts": (leaf(), leaf(per="c")), "pooled": True}, "is pooled: its leaves need one factor"),
    ],
)
def test_a_metric_of_two_minds_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Metric(name="m", **fields)


def test_names_in_a_tree_differ() -> None:
    with pytest.raises(ValueError, match="metric 'a' is there twice"):
        Tree(headline=leaf("a"), others=(leaf("b", parts=(leaf("a"),)),))
    with pytest.raises(ValueError, match="without a name"):
        Tree(headline=leaf(""))


def test_what_is_made_of_all_rows_at_once_is_no_part_of_a_mean() -> None:
    whole = Metric(name="f1", column="pairs", corpus="f1")
    with pytest.raises(ValueError, match="'mean': what is made of all rows at once has no mean with others"):
        Metric(name="mean", parts=(whole, Metric(name="acc", column="acc")))
    with pytest.raises(ValueError, match="corpus is not for it"):
        Metric(name="mean", parts=(Metric(name="acc"),), corpus="f1")
