"""Means of blocks, as scripts publish them that average groups of so many files."""

from statistics import fmean, pstdev

import pytest

from eval_anything.stats.aggregate import Metric, Tree
from eval_anything.stats.cell import Verdict
from eval_anything.stats.metrics import MetricResult, evaluate


def verdicts(group: str, *values: float | None) -> list[Verdict]:
    return [
        Verdict(
            id=f"{group}/{i:03d}",
            repeat=0,
            group=group,
            cluster="",
            state="no_response" if value is None else "scored",
            value=value,
        )
        for i, value in enumerate(values)
    ]


def measured(tree: Tree, rows: list[Verdict], policy: str = "exclude") -> dict[str, MetricResult]:
    return {result.name: result for result in evaluate(tree, rows, policy, 0)}  # type: ignore[arg-type]


def by_style(blocks: int | None) -> Tree:
    styles = tuple(Metric(name=name, groups=(name,), blocks=blocks) for name in ("a", "b"))
    spreads = tuple(
        Metric(name=f"{style.name} spread", groups=style.groups, blocks=blocks, spread=True)
        for style in styles
        if blocks
    )
    return Tree(headline=Metric(name="all", parts=styles, pooled=True), others=spreads)


def test_a_short_last_block_weighs_as_much_as_a_whole_one() -> None:
    found = measured(by_style(2), verdicts("a", 1, 2, 3, 4, 9) + verdicts("b", 5, 7))
    assert found["a"].value == pytest.approx(fmean([1.5, 3.5, 9.0]), abs=1e-12)
    assert found["a spread"].value == pytest.approx(pstdev([1.5, 3.5, 9.0]), abs=1e-12)
    assert (found["b"].value, found["b spread"].value) == (6, 0)


def test_the_pooled_whole_is_over_the_rows() -> None:
    rows = verdicts("a", 1, 2, 3, 4, 9) + verdicts("b", 5, 7)
    with_blocks, without = measured(by_style(2), rows)["all"], measured(by_style(None), rows)["all"]
    assert with_blocks.value == without.value == pytest.approx(31 / 7, abs=1e-12)
    assert (with_blocks.n, with_blocks.n_scored) == (7, 7)


def test_rows_without_a_value_are_not_in_the_blocks_which_close_up() -> None:
    found = measured(by_style(2), verdicts("a", 1, None, 3, None, 5, 7, 11) + verdicts("b", 5))
    assert found["a"].value == pytest.approx(fmean([fmean([1, 3]), fmean([5, 7]), 11]), abs=1e-12)
    assert (found["a"].n, found["a"].n_scored, found["a"].n_missing) == (7, 5, {"no_response": 2})


def test_the_order_is_that_of_the_ids_not_of_arrival() -> None:
    rows = verdicts("a", 1, 2, 3, 4, 9) + verdicts("b", 5, 7)
    assert measured(by_style(2), rows[::-1]) == measured(by_style(2), rows)


def test_whole_blocks_give_the_plain_mean_and_its_interval() -> None:
    rows = verdicts("a", *range(40)) + verdicts("b", *range(40, 80))
    blocks, plain = measured(by_style(8), rows), measured(by_style(None), rows)
    for name in ("a", "b", "all"):
        assert blocks[name].value == pytest.approx(plain[name].value, abs=1e-12)
        assert blocks[name].low == pytest.approx(plain[name].low, abs=1e-9)
        assert blocks[name].high == pytest.approx(plain[name].high, abs=1e-9)


def test_a_spread_has_no_interval_and_nothing_scored_has_no_spread() -> None:
    found = measured(by_style(2), verdicts("a", 1, 2, 3) + verdicts("b", None))
    assert (found["a spread"].low, found["a spread"].high) == (None, None)
    assert "blocks" in found["a spread"].interval_reason
    assert found["b spread"].value is None
    assert "nothing scored" in found["b spread"].reason


def test_weights_of_rows_hold_within_their_block() -> None:
    rows = [
        Verdict(id=f"{i}", repeat=0, group="a", cluster="", state="scored", value=value, weight=weight)
        for i, (value, weight) in enumerate([(1, 3), (5, 1), (7, 10)])
    ]
    tree = Tree(headline=Metric(name="x", blocks=2))
    assert measured(tree, rows)["x"].value == pytest.approx(fmean([(1 * 3 + 5) / 4, 7]), abs=1e-12)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"spread": True}, "a spread is one of blocks"),
        ({"blocks": 0}, "blocks of 0 rows"),
        ({"blocks": 2, "parts": (Metric(name="y"),)}, "blocks is not for it"),
    ],
)
def test_metrics_that_make_no_sense_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Metric(name="x", **fields)  # type: ignore[arg-type]
