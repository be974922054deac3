from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval_anything.stats.aggregate import Means
from eval_anything.stats.cell import Verdict
from eval_anything.stats.metrics import evaluate, judge_error_rate, measure

PLAIN = Means(overall="AMU", low=1, high=10)
GROUPED = Means(overall="AMU", groups=("see", "hear"), low=1, high=10)
STATES = ["scored", "unparsed", "judge_error", "refused", "no_response", None]


def verdict(id: str, value: float | None = None, state: Any = "scored", **fields: Any) -> Verdict:
    return Verdict(
        **{"id": id, "repeat": 0, "group": "", "cluster": "", "state": state, "value": value, **fields}
    )


def test_plain_mean() -> None:
    (metric,) = evaluate(PLAIN, [verdict("a", 2), verdict("b", 5), verdict("c", 8)], "exclude", 0)
    assert (metric.name, metric.headline, metric.value) == ("AMU", True, 5.0)
    assert (metric.n, metric.n_scored, metric.missing, metric.n_missing) == (3, 3, 0, {})
    assert metric.low is not None and metric.high is not None and 2 <= metric.low <= 5 <= metric.high <= 8
    assert (metric.scale_low, metric.scale_high, metric.higher_is_better) == (1, 10, True)


def test_headline_is_the_unweighted_mean_of_the_groups() -> None:
    rows = [verdict(f"s{i}", 10, group="see") for i in range(9)] + [verdict("h", 4, group="hear")]
    headline, see, hear = evaluate(GROUPED, rows, "exclude", 0)
    assert headline.value == 7.0
    assert [(m.name, m.value, m.n) for m in (see, hear)] == [("see", 10.0, 9), ("hear", 4.0, 1)]
    assert (see.low, see.high) == (10.0, 10.0)
    assert headline.low is None and "one group of scores" in headline.interval_reason


@pytest.mark.parametrize(
    ("policy", "value", "imputed"), [("exclude", 8.0, 0), ("floor", 10 / 3, 2), ("zero", 8 / 3, 2)]
)
def test_missing_policy_reaches_unparsed_and_refused_only(policy: Any, value: float, imputed: int) -> None:
    rows = [
        verdict("a", 8),
        verdict("b", None, "unparsed"),
        verdict("c", None, "refused"),
        verdict("d", None, "judge_error"),
        verdict("e", None, "no_response"),
    ]
    (metric,) = evaluate(PLAIN, rows, policy, 0)
    assert metric.value == pytest.approx(value)
    assert (metric.n, metric.n_scored, metric.n_imputed, metric.missing) == (5, 1, imputed, 4)
    assert metric.n_missing == {"judge_error": 1, "no_response": 1, "refused": 1, "unparsed": 1}
    assert metric.judge_error_rate == pytest.approx(2 / 3)


def test_floor_is_the_bad_end_where_lower_is_better() -> None:
    means = Means(overall="WER", low=0, high=1, higher_is_better=False)
    (metric,) = evaluate(means, [verdict("a", 0.0), verdict("b", None, "refused")], "floor", 0)
    assert metric.value == 0.5


def test_a_group_without_a_score_leaves_the_headline_without_value() -> None:
    rows = [verdict("a", 9, group="see"), verdict("b", None, "judge_error", group="hear")]
    headline, see, hear = evaluate(GROUPED, rows, "exclude", 0)
    assert headline.value is None and headline.low is None
    assert headline.reason == "group 'hear': nothing scored of 1: 1 judge_error"
    assert see.value == 9.0 and see.reason == ""
    assert hear.reason == "nothing scored of 1: 1 judge_error"


def test_a_group_without_responses_leaves_the_headline_without_value() -> None:
    headline, _, hear = evaluate(GROUPED, [verdict("a", 9, group="see")], "exclude", 0)
    assert (headline.value, headline.reason) == (None, "group 'hear': no responses")
    assert (hear.n, hear.reason) == (0, "no responses")


def test_reason_counts_further_empty_groups() -> None:
    headline = evaluate(GROUPED, [], "exclude", 0)[0]
    assert headline.reason == "group 'see': no responses; 1 more without a score"


def test_rows_of_groups_that_are_not_named_are_in_no_mean_but_missing() -> None:
    rows = [verdict("a", 9, group="see"), verdict("b", 5, group="hear"), verdict("c", 1, group="smell")]
    headline, see, hear = evaluate(GROUPED, rows, "exclude", 0)
    assert (headline.value, headline.n, headline.n_scored, headline.missing) == (7.0, 3, 2, 1)
    assert see.n + hear.n == 2


def test_planned_responses_that_are_not_there_are_missing() -> None:
    (metric,) = evaluate(PLAIN, [verdict("a", 9), verdict("b", None, None)], "exclude", 0, planned=10)
    assert (metric.n, metric.n_scored, metric.missing, metric.n_missing) == (10, 1, 9, {})


def test_scored_without_a_number_is_unparsed() -> None:
    (metric,) = evaluate(PLAIN, [verdict("a", None), verdict("b", None, None)], "exclude", 0)
    assert metric.n_missing == {"unparsed": 1}
    assert metric.reason == "nothing scored of 2: 1 unparsed, 1 not judged yet"


def test_a_value_under_a_failed_state_is_not_used() -> None:
    (metric,) = evaluate(PLAIN, [verdict("a", 9), verdict("b", 1.0, "judge_error")], "exclude", 0)
    assert (metric.value, metric.n_scored) == (9.0, 1)


def test_repeats_share_the_cluster_of_their_sample() -> None:
    rows = [verdict("a", value, repeat=i) for i, value in enumerate([1, 5, 9])]
    (metric,) = evaluate(PLAIN, rows, "exclude", 0)
    assert metric.value == 5.0 and metric.low is None
    assert metric.interval_reason == "an interval needs 2 independent samples or more, here: 1"


def test_named_clusters_widen_the_interval() -> None:
    rng = random.Random(0)
    rows = [
        verdict(f"{image}-{i}", value, cluster=f"image{image}")
        for image in range(20)
        for value in [rng.uniform(1, 10)]
        for i in range(10)
    ]
    alone = [verdict(row.id, row.value) for row in rows]
    (clustered,), (independent,) = (evaluate(PLAIN, r, "exclude", 0) for r in (rows, alone))
    assert clustered.high - clustered.low > 2 * (independent.high - independent.low)


def test_truncated_answers_are_counted_where_they_are() -> None:
    rows = [verdict("a", 9, group="see", truncated=True), verdict("b", 5, group="hear")]
    assert [m.n_truncated for m in evaluate(GROUPED, rows, "exclude", 0)] == [1, 1, 0]


def test_judge_error_rate_of_nothing_asked() -> None:
    assert judge_error_rate(0, {"no_response": 5, "refused": 1}) is None
    assert judge_error_rate(3, {"unparsed": 1, "no_response": 9}) == 0.25


def test_weights_count_in_means_of_groups_and_not_between_them() -> None:
    rows = [
        verdict("a", 2, group="see", weight=3.0),
        verdict("b", 6, group="see"),
        verdict("c", 9, group="hear", weight=100.0),
    ]
    headline, see, hear = evaluate(GROUPED, rows, "exclude", 0)
    assert (see.value, hear.value, headline.value) == (3.0, 9.0, 6.0)


def test_a_missing_answer_enters_with_its_weight() -> None:
    rows = [verdict("a", 10, weight=1.0), verdict("b", None, "unparsed", weight=3.0)]
    assert evaluate(PLAIN, rows, "zero", 0)[0].value == 2.5
    assert evaluate(PLAIN, rows, "exclude", 0)[0].value == 10


def test_nothing_of_any_weight_is_no_value() -> None:
    (metric,) = evaluate(PLAIN, [verdict("a", 5, weight=0.0), verdict("b", 6, weight=0.0)], "exclude", 0)
    assert (metric.value, metric.low) == (None, None)
    assert metric.reason == "nothing scored of 2: 2 of weight 0"


def test_a_weight_is_as_many_equal_rows_of_one_cluster() -> None:
    rng = random.Random(1)
    values = [rng.uniform(1, 10) for _ in range(30)]
    weighted = [verdict(f"s{i}", value, weight=float(1 + i % 3)) for i, value in enumerate(values)]
    repeated = [
        verdict(f"s{i}", value, repeat=k, cluster=f"s{i}")
        for i, value in enumerate(values)
        for k in range(1 + i % 3)
    ]
    (one,), (other,) = (evaluate(PLAIN, rows, "exclude", 5) for rows in (weighted, repeated))
    assert (one.value, one.low, one.high) == pytest.approx((other.value, other.low, other.high))


PARTS = Means(overall="synergy", components=("text-image", "text-audio"), low=0, high=1)


def test_components_are_metrics_of_their_own_under_the_headline() -> None:
    rows = [
        verdict("a", 0.5, components={"text-image": 0.2, "text-audio": 0.8}),
        verdict("b", 0.7, components={"text-image": 0.7, "text-audio": None}),
        verdict("c", 0.9, components={"text-image": 0.9, "other": 5.0}),
        verdict("d", None, "judge_error"),
    ]
    headline, image, audio = evaluate(PARTS, rows, "exclude", 0, planned=6)
    assert [m.name for m in (headline, image, audio)] == ["synergy", "text-image", "text-audio"]
    assert [m.headline for m in (headline, image, audio)] == [True, False, False]
    assert headline.value == pytest.approx(0.7) and image.value == pytest.approx(0.6)
    assert (image.n, image.n_scored, image.n_missing) == (6, 3, {"judge_error": 1})
    assert (audio.value, audio.n_scored, audio.n_missing) == (0.8, 1, {"judge_error": 1, "unparsed": 2})
    assert image.low is not None and image.high is not None and 0.2 <= image.low < image.high <= 0.9
    assert audio.low is None
    assert audio.interval_reason == "an interval needs 2 independent samples or more, here: 1"


def test_a_missing_component_is_imputed_as_a_missing_score_is() -> None:
    rows = [verdict("a", 0.5, components={"text-image": 0.6}), verdict("b", 0.5, components={})]
    _, image, audio = evaluate(PARTS, rows, "floor", 0)
    assert (image.value, image.n_imputed) == (0.3, 1)
    assert (audio.value, audio.n_imputed) == (0.0, 2)


def test_components_move_with_the_headline_draw_by_draw() -> None:
    rng = random.Random(2)
    values = [rng.random() for _ in range(40)]
    rows = [
        verdict(f"s{i}", value, components={"text-image": value, "text-audio": 1 - value})
        for i, value in enumerate(values)
    ]
    headline, image, audio = measure(PARTS, rows, "exclude", 0)
    assert headline.draws is not None and image.draws is not None and audio.draws is not None
    assert image.draws == pytest.approx(headline.draws)
    assert audio.draws == pytest.approx(1 - headline.draws)
    assert image.result.low == pytest.approx(headline.result.low)


@pytest.mark.parametrize("crossing", [False, True])
def test_components_are_means_over_all_groups(crossing: bool) -> None:
    means = Means(overall="x", groups=("see", "hear"), components=("part",), low=0, high=10)
    rng = random.Random(3)
    rows = [
        verdict(
            f"{group}{i}",
            rng.uniform(0, 10),
            group=group,
            cluster=f"c{i}" if crossing else "",
            components={"part": float(i % 4)},
        )
        for group, n in (("see", 30), ("hear", 10))
        for i in range(n)
    ]
    _, part, *_ = found = evaluate(means, rows, "exclude", 0)
    assert [m.name for m in found] == ["x", "part", "see", "hear"]
    values = [row.components["part"] for row in rows]
    assert part.value == pytest.approx(sum(v for v in values if v is not None) / 40)
    assert part.low is not None and part.high is not None and 0.8 < part.low < part.value < part.high < 2.2


VERDICTS = st.lists(
    st.builds(
        Verdict,
        id=st.text(max_size=3),
        repeat=st.integers(0, 3),
        group=st.sampled_from(["see", "hear", "smell", ""]),
        cluster=st.sampled_from(["", "x", "y"]),
        state=st.sampled_from(STATES),
        value=st.none() | st.floats(1, 10),
        truncated=st.booleans(),
        weight=st.just(1.0) | st.floats(0.1, 5),
        components=st.dictionaries(st.sampled_from(["part", "other"]), st.none() | st.floats(1, 10)),
    ),
    max_size=12,
    unique_by=lambda row: (row.id, row.repeat),
)


@settings(max_examples=40, deadline=None)
@given(
    rows=VERDICTS, policy=st.sampled_from(["exclude", "floor", "zero"]), seed=st.integers(), data=st.data()
)
def test_order_of_rows_never_matters_and_counts_always_add_up(
    rows: list[Verdict], policy: Any, seed: int, data: st.DataObject
) -> None:
    parts = [msgspec.structs.replace(means, components=("part",)) for means in (PLAIN, GROUPED)]
    for means in (PLAIN, GROUPED, *parts):
        found = evaluate(means, rows, policy, seed)
        assert found == evaluate(means, data.draw(st.permutations(rows)), policy, seed)
        for metric in found:
            assert metric.n >= metric.n_scored + sum(metric.n_missing.values())
            assert (metric.value is None) == bool(metric.reason)
            assert (metric.low is None) == bool(metric.interval_reason)
            if policy != "zero" and metric.value is not None:
                assert 1 - 1e-9 <= metric.value <= 10 + 1e-9
        assert found[0].n == len(rows)
