from __future__ import annotations

import itertools
import tracemalloc
from typing import NamedTuple

import numpy as np
import pytest

from eval_anything.stats import bootstrap as module
from eval_anything.stats.bootstrap import Cell, Column, Interval, Resampled, interval, resample


class Intervals(NamedTuple):
    groups: tuple[Interval, ...]
    overall: Interval
    parts: tuple[Interval, ...]


def bootstrap(
    values: np.ndarray,
    groups: np.ndarray,
    clusters: np.ndarray,
    n_groups: int,
    seed: int,
    weights: np.ndarray | None = None,
    parts: np.ndarray | None = None,
) -> Intervals:
    """Intervals of the mean of each group, of the unweighted mean of those, and of each part over all rows
    that have it (not NaN)."""
    weights = np.ones(len(values)) if weights is None else weights
    parts = np.empty((len(values), 0)) if parts is None else parts
    columns = [Column(values, weights)]
    columns += [Column(np.nan_to_num(part), np.where(np.isnan(part), 0.0, weights)) for part in parts.T]
    resampled = resample(columns, groups, clusters, n_groups, seed)
    each = [read(resampled, [Cell(0, g)]) for g in range(n_groups)]
    lacking = [found for found in each if found.low is None]
    if lacking:
        overall = lacking[0]
    else:
        means = [resampled.mean([Cell(0, g)]) for g in range(n_groups)]
        overall = interval(np.stack(means, axis=1).mean(axis=1))
    of_parts = [read(resampled, [Cell(k, g) for g in range(n_groups)]) for k in range(1, 1 + len(parts.T))]
    return Intervals(tuple(each), overall, tuple(of_parts))


def read(resampled: Resampled, cells: list[Cell]) -> Interval:
    reason = resampled.why_none(cells)
    return Interval(None, None, reason) if reason else interval(resampled.mean(cells))


def one_group(values: list[float] | np.ndarray, seed: int = 0) -> Interval:
    array = np.asarray(values, dtype=float)
    return bootstrap(array, np.zeros(len(array), int), np.arange(len(array)), 1, seed).overall


def test_agrees_with_normal_theory_on_many_distinct_values() -> None:
    values = np.random.default_rng(1).normal(3.0, 2.0, size=4000)
    found = one_group(values)
    half = 1.959964 * values.std() / np.sqrt(len(values))
    assert found.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_agrees_with_normal_theory_on_few_distinct_values() -> None:
    values = np.random.default_rng(2).integers(1, 11, size=20_000).astype(float)
    found = one_group(values)
    half = 1.959964 * values.std() / np.sqrt(len(values))
    assert found.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_agrees_with_all_27_resamples_of_three_values() -> None:
    # The 2.5 % point of the exact distribution is the mean of (0, 0, 0), which 1 of 27 resamples gives.
    means = sorted(sum(draw) / 3 for draw in itertools.product([0.0, 1.0, 5.0], repeat=3))
    assert means[0] == 0.0 and means[-1] == 5.0
    found = one_group([0.0, 1.0, 5.0])
    assert (found.low, found.high) == (pytest.approx(0.0), pytest.approx(5.0))


def test_both_ways_of_drawing_have_one_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.repeat([0.0, 1.0, 4.0], [500, 300, 200])
    fast = one_group(values)
    monkeypatch.setattr(module, "_MULTINOMIAL_GAIN", 10**9)
    slow = one_group(values)
    assert fast != slow
    assert fast.low == pytest.approx(slow.low, abs=0.02)
    assert fast.high == pytest.approx(slow.high, abs=0.02)


def test_same_seed_same_interval_other_seed_another() -> None:
    values = np.random.default_rng(3).normal(size=50)
    assert one_group(values, 7) == one_group(values, 7)
    assert one_group(values, 7) != one_group(values, 8)
    assert one_group(values, -1).low is not None


@pytest.mark.parametrize("value", [0.7, 0.1, 1e-9, 7.0])
def test_equal_scores_give_an_interval_of_that_score(value: float) -> None:
    found = one_group([value] * 37)
    assert (found.low, found.high) == (pytest.approx(value, rel=1e-12), pytest.approx(value, rel=1e-12))


@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_samples_have_no_interval(n: int) -> None:
    found = one_group([5.0] * n)
    assert (found.low, found.high) == (None, None)
    assert found.reason == f"an interval needs 2 independent samples or more, here: {n}"


def test_one_cluster_has_no_interval_however_many_rows() -> None:
    found = bootstrap(np.arange(9.0), np.zeros(9, int), np.zeros(9, int), 1, 0)
    assert found.overall.low is None and found.overall.reason.endswith("here: 1")


def test_whole_clusters_are_drawn() -> None:
    # Ten copies of each of 40 values hold no more than the 40 values: the interval must not shrink.
    values = np.random.default_rng(4).normal(size=40)
    alone = one_group(values)
    repeated = bootstrap(np.repeat(values, 10), np.zeros(400, int), np.repeat(np.arange(40), 10), 1, 0)
    assert repeated.overall.low == pytest.approx(alone.low)
    assert repeated.overall.high == pytest.approx(alone.high)
    independent = one_group(np.repeat(values, 10))
    assert repeated.overall.high - repeated.overall.low > 2 * (independent.high - independent.low)


def grouped(values: list[list[float]]) -> Intervals:
    flat = np.array([v for group in values for v in group])
    codes = np.repeat(np.arange(len(values)), [len(group) for group in values])
    return bootstrap(flat, codes, np.arange(len(flat)), len(values), 0)


def test_groups_are_resampled_within_themselves() -> None:
    # Constant within groups: a mean over pooled draws would move with the groups' shares, theirs does not.
    found = grouped([[1.0] * 5, [9.0] * 50])
    assert (found.overall.low, found.overall.high) == (pytest.approx(5.0), pytest.approx(5.0))


def test_overall_weighs_groups_equally() -> None:
    rng = np.random.default_rng(5)
    small, large = rng.normal(0, 1, 100), rng.normal(10, 1, 2000)
    found = grouped([list(small), list(large)])
    middle = (small.mean() + large.mean()) / 2
    half = 1.96 * 0.5 * np.sqrt(small.var() / 100 + large.var() / 2000)
    assert found.overall.low == pytest.approx(middle - half, abs=0.15 * half)
    assert found.overall.high == pytest.approx(middle + half, abs=0.15 * half)


def test_a_group_does_not_move_the_interval_of_another() -> None:
    first = list(np.random.default_rng(6).normal(size=30))
    assert grouped([first, [1.0, 2.0]]).groups[0] == grouped([first, [4.0, 5.0, 9.0]]).groups[0]


def test_a_group_of_one_sample_leaves_the_overall_without_interval() -> None:
    found = grouped([[1.0, 2.0, 3.0], [4.0]])
    assert found.groups[0].low is not None
    assert found.groups[1].low is None
    assert found.overall.reason == "an interval needs 2 independent samples or more, here: 1"


def test_a_stratum_of_one_cluster_leaves_a_pooled_mean_without_interval() -> None:
    # Every draw repeats the one cluster of stratum 1, so its share of the spread is in none.
    values, strata = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0, 0, 0, 1])
    columns = [Column(values, np.ones(4))]
    apart = resample(columns, strata, np.arange(4), 2, 0)
    assert apart.why_none([Cell(0, 0)]) == ""
    assert apart.why_none([Cell(0, 0), Cell(0, 1)]) == (
        "one group of scores: an interval needs 2 independent samples or more, here: 1"
    )
    joint = resample(columns, strata, np.array([0, 1, 2, 0]), 2, 0)
    assert joint.why_none([Cell(0, 0), Cell(0, 1)]) == ""


@pytest.mark.parametrize("crossing", [False, True])
def test_a_mean_over_several_cells_is_of_all_their_rows(crossing: bool) -> None:
    # The pooled mean of two columns over two strata is that of one column that holds them all.
    rng = np.random.default_rng(11)
    n = 40
    strata, clusters = np.repeat([0, 1], n // 2), np.arange(n) % 20 if crossing else np.arange(n) // 2
    first, second, weights = rng.normal(3, 1, n), rng.normal(50, 9, n), rng.uniform(0.5, 2, n)
    split = resample([Column(first, weights), Column(second, weights)], strata, clusters, 2, 3)
    whole = split.mean([Cell(k, g) for k in (0, 1) for g in (0, 1)])
    ones = resample(
        [Column(v * weights, np.ones(n)) for v in (first, second, np.ones(n))], strata, clusters, 2, 3
    )
    means = [ones.mean([Cell(k, 0), Cell(k, 1)]) for k in range(3)]
    assert whole == pytest.approx((means[0] + means[1]) / (2 * means[2]))


@pytest.mark.parametrize("value", [0.7, 0.1, 1e-9, 7.0])
def test_equal_scores_in_several_strata_give_an_interval_of_that_score(value: float) -> None:
    strata, clusters = np.repeat([0, 1, 2], [5, 30, 4]), np.arange(39)
    columns = [Column(np.full(39, value), np.random.default_rng(1).uniform(0.1, 3, 39))]
    found = read(resample(columns, strata, clusters, 3, 0), [Cell(0, g) for g in range(3)])
    assert (found.low, found.high) == (pytest.approx(value, rel=1e-12), pytest.approx(value, rel=1e-12))


def test_draws_that_are_no_number_say_nothing() -> None:
    found = interval(np.array([1.0, np.inf, np.nan, 3.0]))
    assert (found.low, found.high) == (pytest.approx(1.05), pytest.approx(2.95))
    nothing = interval(np.array([np.nan, -np.inf]))
    assert (nothing.low, nothing.reason) == (None, "no resample has something of every part")


def test_clusters_across_groups_are_drawn_jointly() -> None:
    # Each cluster has x in one group and -x in the other: drawn jointly, the mean of means never moves.
    x = np.random.default_rng(7).normal(size=60)
    values, codes = np.concatenate([x, -x]), np.repeat([0, 1], 60)
    joint = bootstrap(values, codes, np.tile(np.arange(60), 2), 2, 0)
    assert joint.overall.high - joint.overall.low < 1e-9
    apart = bootstrap(values, codes, np.arange(120), 2, 0)
    assert apart.overall.high - apart.overall.low > 0.1


def test_joint_draws_that_miss_a_group_are_left_out() -> None:
    # Group 1 lies in two of ten clusters, so that about a tenth of the draws have nothing of it.
    values = np.array([*np.arange(10.0), 3.0, 5.0])
    codes = np.array([0] * 10 + [1, 1])
    found = bootstrap(values, codes, np.array([*range(10), 0, 1]), 2, 0)
    assert (found.groups[1].low, found.groups[1].high) == (pytest.approx(3.0), pytest.approx(5.0))
    assert found.overall.low is not None and not np.isnan(found.overall.low)


def test_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(8)
    hits = 0
    for seed in range(200):
        found = one_group(rng.exponential(1.0, size=60), seed)
        hits += found.low <= 1.0 <= found.high
    assert 175 <= hits <= 199  # 95 % of 200 is 190; skewed data at n = 60 cover a little less


def test_memory_does_not_grow_with_the_resamples() -> None:
    n = 20_000
    values = np.random.default_rng(9).normal(size=n)
    tracemalloc.start()
    one_group(values)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6  # all draws at once would be 2,000 x 20,000 x 8 bytes = 320 MB


def clustered(n: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    return rng.normal(5, 2, n), rng.integers(0, 2, n), rng.integers(0, 20, n)


def test_weights_of_one_change_nothing_at_all() -> None:
    values, groups, clusters = clustered()
    plain = bootstrap(values, groups, clusters, 2, 0)
    assert bootstrap(values, groups, clusters, 2, 0, np.ones(len(values))) == plain
    assert bootstrap(values, groups, clusters, 2, 0, np.full(len(values), 1.0), None) == plain


def test_weights_scale_out() -> None:
    values, groups, clusters = clustered()
    weights = np.random.default_rng(5).uniform(0.5, 2, len(values))
    one, other = (bootstrap(values, groups, clusters, 2, 0, weights * k).overall for k in (1, 8))
    assert (one.low, one.high) == pytest.approx((other.low, other.high))
    assert one != bootstrap(values, groups, clusters, 2, 0).overall


@pytest.mark.parametrize("crossing", [False, True])
def test_a_part_that_is_the_score_has_its_interval_and_a_constant_one_its_value(crossing: bool) -> None:
    values, _, clusters = clustered()
    groups = np.arange(len(values)) % 2 if crossing else clusters % 2
    parts = np.stack([values, np.full(len(values), 0.7), np.full(len(values), np.nan)], axis=1)
    found = bootstrap(values, np.zeros(len(values), int), clusters, 1, 0, None, parts)
    same, constant, nothing = found.parts
    assert (same.low, same.high) == pytest.approx((found.overall.low, found.overall.high))
    assert (constant.low, constant.high) == pytest.approx((0.7, 0.7), rel=1e-12)
    assert nothing.reason == "an interval needs 2 independent samples or more, here: 0"
    of_two = bootstrap(values, groups, clusters, 2, 0, None, parts).parts[0]
    assert of_two.low == pytest.approx(found.overall.low, abs=0.3)
    assert of_two.high == pytest.approx(found.overall.high, abs=0.3)


def test_rows_without_a_part_are_out_of_its_mean() -> None:
    values = np.random.default_rng(6).uniform(0, 1, 40)
    part = np.where(np.arange(40) < 30, values, np.nan)
    zeros = np.zeros(40, int)
    found = bootstrap(values, zeros, np.arange(40), 1, 0, None, part[:, None]).parts[0]
    alone = bootstrap(values[:30], zeros[:30], np.arange(30), 1, 0).overall
    assert found.low == pytest.approx(alone.low, abs=0.03)
    assert found.high == pytest.approx(alone.high, abs=0.03)
    assert found.draws is not None and len(found.draws) == module.RESAMPLES
