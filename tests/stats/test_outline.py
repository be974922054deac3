from __future__ import annotations

import pytest

from eval_anything.stats.aggregate import Means, Metric, Tree
from eval_anything.stats.outline import outline

MEANS = Means(overall="x", groups=("a", "b"), components=("c",), low=1, high=10)
TREE = Tree(
    headline=Metric(
        name="x",
        parts=(
            Metric(name="a", groups=("a",), low=1, high=10),
            Metric(name="rest", parts=(Metric(name="bc", groups=("b", "c"), column="k", per="r"),)),
        ),
    ),
    others=(Metric(name="all"), Metric(name="k", column="k")),
    high=100,
)


def test_means_are_shown_with_components_before_groups() -> None:
    entries = outline(MEANS).entries
    assert [(e.metric.name, e.depth, e.whole) for e in entries] == [
        ("x", 0, True),
        ("c", 1, True),
        ("a", 1, False),
        ("b", 1, False),
    ]


def test_a_tree_is_shown_from_the_top() -> None:
    shown = outline(TREE)
    assert [(e.metric.name, e.depth, e.whole) for e in shown.entries] == [
        ("x", 0, True),
        ("a", 1, False),
        ("rest", 1, False),
        ("bc", 2, False),
        ("all", 0, True),
        ("k", 0, False),
    ]
    assert shown.headline is TREE.headline
    assert shown.names == ["x", "a", "rest", "bc", "all", "k"]


def test_what_is_taken_of_the_rows() -> None:
    shown = outline(TREE)
    assert shown.groups() == ("a", "b", "c") and shown.takes_any_group()
    assert shown.columns() == {"k", "r"}
    assert outline(MEANS).groups() == ("a", "b") and not outline(MEANS).takes_any_group()
    assert outline(MEANS).columns() == {"c"}


@pytest.mark.parametrize(
    ("tree", "scale"),
    [
        (TREE, (1, 10)),
        (Tree(headline=Metric(name="x", factor=100.0), high=100), (0, 1)),
        (Tree(headline=Metric(name="x", factor=-1.0), low=-10, high=0), (0, 10)),
        (Tree(headline=Metric(name="x", per="r"), high=100), None),
        (Tree(headline=Metric(name="x", column="r"), high=100), None),
    ],
)
def test_the_scale_of_scores_is_that_of_a_mean_of_them(tree: Tree, scale: tuple[float, float] | None) -> None:
    assert outline(tree).value_scale() == scale
    assert outline(MEANS).value_scale() == (1, 10)


def test_a_metric_may_have_another_better_end_than_its_tree() -> None:
    perplexity = Metric(name="perplexity", column="ll", corpus="perplexity", higher_is_better=False)
    accuracy = Metric(name="acc", column="acc")
    shown = outline(Tree(headline=accuracy, others=(perplexity,)))
    assert (shown.better(accuracy), shown.better(perplexity)) == (True, False)
    worse = outline(Tree(headline=accuracy, others=(perplexity,), higher_is_better=False))
    assert (worse.better(accuracy), worse.better(perplexity)) == (False, False)


def test_what_is_made_of_all_rows_at_once_is_no_mean_of_a_component() -> None:
    whole = Metric(name="f1", column="pairs", corpus="f1")
    shown = outline(Tree(headline=whole, others=(Metric(name="acc", column="acc"),)))
    assert shown.columns() == {"acc"}
    assert shown.value_scale() is None
