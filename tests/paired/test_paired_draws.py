"""Paired draws: the same clusters in both runs, labels exchanged within clusters; against plain NumPy."""

import itertools
from typing import Any

import numpy as np
import pytest

from eval_anything.paired.draws import Both
from eval_anything.stats.aggregate import Means, Metric, Tree
from eval_anything.stats.cell import Verdict

MEAN = Means(overall="m", low=0, high=10)


def verdicts(values: Any, clusters: Any = None, **more: Any) -> tuple[Verdict, ...]:
    names = clusters if clusters is not None else [""] * len(values)
    return tuple(
        Verdict(id=f"s{i:05}", repeat=0, group="", cluster=c, state="scored", value=float(v), **more)
        for i, (v, c) in enumerate(zip(values, names, strict=True))
    )


def pair(a: Any, b: Any, aggregation: Any = MEAN, clusters: Any = None) -> Both:
    return Both(verdicts(a, clusters), verdicts(b, clusters), aggregation, "exclude")


def differences(both: Both, resampled: Any) -> Any:
    found, reason = both.differences(both.outline.headline, resampled)
    assert not reason
    return found


def test_what_is_equal_in_both_has_no_spread_however_much_samples_differ() -> None:
    values = np.random.default_rng(0).normal(size=200)
    found = differences(pair(values, values + 0.25), pair(values, values + 0.25).bootstrapped(0, 500))
    assert found == pytest.approx(0.25, abs=1e-9)


def test_the_standard_error_is_that_of_the_mean_of_differences() -> None:
    rng = np.random.default_rng(1)
    hard, a, b = rng.normal(5, 3, 400), rng.normal(0, 1, 400), rng.normal(0.2, 1, 400)
    both = pair(hard + a, hard + b)
    found = differences(both, both.bootstrapped(0, 4000))
    assert found.mean() == pytest.approx((b - a).mean(), abs=0.01)
    assert found.std() == pytest.approx((b - a).std() / 400**0.5, rel=0.05)


def test_whole_clusters_are_drawn() -> None:
    rng = np.random.default_rng(2)
    shift = np.repeat(rng.normal(0, 1, 40), 10)  # ten samples of a cluster move together
    names = [f"c{i // 10:02}" for i in range(400)]
    both = pair(np.zeros(400), shift, clusters=names)
    found = differences(both, both.bootstrapped(0, 4000))
    assert found.std() == pytest.approx(shift[::10].std() / 40**0.5, rel=0.08)


def test_exchanged_labels_against_every_possible_exchange() -> None:
    a, b = np.array([1.0, 4, 2, 7, 5]), np.array([2.0, 3, 5, 9, 5])
    gaps = b - a
    exact = [np.dot(signs, gaps) / 5 for signs in itertools.product((-1, 1), repeat=5)]
    both = pair(a, b)
    found = differences(both, both.exchanged(0, 20_000))
    assert {round(v, 9) for v in found} <= {round(v, 9) for v in exact}
    observed = gaps.mean()
    share = np.mean([abs(v) >= observed - 1e-12 for v in exact])
    assert np.mean(abs(found) >= observed - 1e-12) == pytest.approx(share, abs=0.02)


def test_exchanged_labels_move_whole_clusters_and_every_metric_of_a_tree() -> None:
    tree = Tree(
        headline=Metric(name="ratio", per="reference", factor=100),
        others=(Metric(name="own"),),
        low=0,
        high=10,
    )
    clusters = ["x", "x", "y"]
    before = verdicts([4, 6, 8], clusters, components={"reference": 8.0})
    after = verdicts([5, 7, 6], clusters, components={"reference": 4.0})
    both = Both(before, after, tree, "exclude")
    exchanged = both.exchanged(0, 400)
    ratio = differences(both, exchanged)
    possible = set()
    for x, y in itertools.product((False, True), repeat=2):
        sides = [[], []]  # type: ignore[var-annotated]
        for swap, values in ((x, ((4, 5), (6, 7))), (y, ((8, 6),))):
            for one, other in values:
                pair_ = ((one, 8.0), (other, 4.0))
                sides[0].append(pair_[swap])
                sides[1].append(pair_[not swap])
        numbers = [100 * sum(v for v, _ in side) / sum(r for _, r in side) for side in sides]
        possible.add(round(numbers[1] - numbers[0], 9))
    assert {round(v, 9) for v in ratio} == possible
    own, _ = both.differences(tree.others[0], exchanged)
    assert {round(v, 9) for v in own} == {round(v, 9) for v in (0.0, 4 / 3, -4 / 3)} | {
        round((s * 2 + t * -2) / 3, 9) for s in (-1, 1) for t in (-1, 1)
    }


def test_groups_and_weights_enter_as_they_enter_the_metric() -> None:
    means = Means(overall="m", groups=("g", "h"), low=0, high=10)
    rows = [("g", 1.0, 2.0, 1.0), ("g", 3.0, 3.0, 3.0), ("h", 5.0, 9.0, 1.0), ("h", 7.0, 7.0, 1.0)]
    sides = [
        tuple(
            Verdict(id=str(i), repeat=0, group=g, cluster="", state="scored", value=v[k], weight=w)
            for i, (g, *v, w) in enumerate(rows)
        )
        for k in (0, 1)
    ]
    both = Both(*sides, means, "exclude")
    assert both.before.value(both.outline.headline) == pytest.approx((10 / 4 + 6) / 2)
    assert both.after.value(both.outline.headline) == pytest.approx((11 / 4 + 8) / 2)
    found = differences(both, both.bootstrapped(0, 3000))
    assert found.min() >= 0
    assert found.max() == pytest.approx((1 + 4) / 2)


def test_the_same_seed_gives_the_same_draws() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=50), rng.normal(size=50)
    one, other = (differences(pair(a, b), pair(a, b).bootstrapped(7, 300)) for _ in range(2))
    assert (one == other).all()
    assert (one != differences(pair(a, b), pair(a, b).bootstrapped(8, 300))).any()
