from __future__ import annotations

import math
import random
import time
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from eval_anything.stats import bootstrap
from eval_anything.stats.aggregate import Means, Metric, Tree
from eval_anything.stats.cell import Verdict
from eval_anything.stats.metrics import MetricResult, evaluate, measure


def verdict(id: str, value: float | None = None, state: Any = "scored", **fields: Any) -> Verdict:
    return Verdict(
        **{"id": id, "repeat": 0, "group": "", "cluster": "", "state": state, "value": value, **fields}
    )


def group(name: str, **fields: Any) -> Metric:
    return Metric(name=name, groups=(name,), **fields)


def by_name(
    tree: Tree, rows: list[Verdict], policy: Any = "exclude", **fields: Any
) -> dict[str, MetricResult]:
    return {found.name: found for found in evaluate(tree, rows, policy, 0, **fields)}


# AIR-Bench: items pooled in three categories, the mean of two means in the fourth, the mean of the four.
AIR = Tree(
    headline=Metric(
        name="average",
        parts=(
            Metric(name="speech", pooled=True, parts=(group("speech_qa"), group("dialogue"))),
            Metric(name="mixed", parts=(group("with_sound"), group("with_music"))),
        ),
    ),
    others=(Metric(name="win rate", column="win", factor=100, low=0, high=100),),
    low=1,
    high=10,
)
SIZES = {"speech_qa": 40, "dialogue": 10, "with_sound": 20, "with_music": 30}


def air_rows(seed: int = 0) -> list[Verdict]:
    rng = random.Random(seed)
    return [
        verdict(f"{name}{i}", float(rng.randint(1, 10)), group=name, components={"win": float(i % 2)})
        for name, size in SIZES.items()
        for i in range(size)
    ]


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def test_categories_of_groups() -> None:
    rows = air_rows()
    values = {name: [row.value or 0.0 for row in rows if row.group == name] for name in SIZES}
    found = by_name(AIR, rows)
    speech = mean(values["speech_qa"] + values["dialogue"])
    mixed = (mean(values["with_sound"]) + mean(values["with_music"])) / 2
    assert found["speech"].value == pytest.approx(speech)
    assert found["mixed"].value == pytest.approx(mixed)
    assert found["average"].value == pytest.approx((speech + mixed) / 2)
    assert found["win rate"].value == 50.0
    assert [(m.name, m.depth, m.headline) for m in found.values()] == [
        ("average", 0, True),
        ("speech", 1, False),
        ("speech_qa", 2, False),
        ("dialogue", 2, False),
        ("mixed", 1, False),
        ("with_sound", 2, False),
        ("with_music", 2, False),
        ("win rate", 0, False),
    ]
    assert [(m.n, m.n_scored) for m in found.values()] == [
        *((100, 100), (50, 50), (40, 40), (10, 10), (50, 50), (20, 20), (30, 30), (100, 100))
    ]
    assert (found["win rate"].scale_low, found["win rate"].scale_high) == (0, 100)
    assert (found["speech"].scale_low, found["speech"].scale_high) == (1, 10)
    assert all(m.low is not None and m.high is not None and m.low < m.high for m in found.values())


def test_all_metrics_come_from_the_same_draws() -> None:
    draws = {found.result.name: found.draws for found in measure(AIR, air_rows(), "exclude", 0)}
    assert all(d is not None and len(d) == bootstrap.RESAMPLES for d in draws.values())
    mixed = (draws["with_sound"] + draws["with_music"]) / 2
    assert draws["mixed"] == pytest.approx(mixed)
    assert draws["speech"] == pytest.approx((40 * draws["speech_qa"] + 10 * draws["dialogue"]) / 50)
    assert draws["average"] == pytest.approx((draws["speech"] + draws["mixed"]) / 2)


def test_means_are_a_tree_of_two_levels() -> None:
    means = Means(overall="all", groups=("a", "b"), low=1, high=10)
    tree = Tree(headline=Metric(name="all", parts=(group("a"), group("b"))), low=1, high=10)
    rng = random.Random(1)
    rows = [
        verdict(f"s{i}", rng.choice([None, rng.uniform(1, 10)]), group="ab"[i % 2], weight=rng.random())
        for i in range(60)
    ]
    for policy in ("exclude", "floor", "zero"):
        assert evaluate(means, rows, policy, 5) == evaluate(tree, rows, policy, 5)


# LLaVA-Bench: 100 times the sum of the model's ratings by that of the reference's.
RELATIVE: dict[str, Any] = {"per": "reference", "factor": 100.0}
LLAVA = Tree(
    headline=Metric(
        name="relative", pooled=True, parts=(group("conv", **RELATIVE), group("detail", **RELATIVE))
    ),
    others=(
        Metric(name="model", low=1, high=10),
        Metric(name="reference", column="reference", low=1, high=10),
    ),
    high=100,
)


def llava_rows(n: int = 60) -> list[Verdict]:
    rng = random.Random(2)
    return [
        verdict(
            f"s{i}",
            float(rng.randint(1, 10)),
            group=("conv", "detail")[i % 3 == 0],
            cluster=f"image{i % 20}",
            components={"reference": float(rng.randint(5, 10))},
        )
        for i in range(n)
    ]


def test_a_ratio_is_one_of_sums() -> None:
    rows = llava_rows()
    model, reference = [r.value or 0.0 for r in rows], [r.components["reference"] or 0.0 for r in rows]
    found = by_name(LLAVA, rows)
    assert found["relative"].value == pytest.approx(100 * sum(model) / sum(reference))
    conv = [i for i, row in enumerate(rows) if row.group == "conv"]
    assert found["conv"].value == pytest.approx(
        100 * sum(model[i] for i in conv) / sum(reference[i] for i in conv)
    )
    assert found["model"].value == pytest.approx(mean(model))
    draws = {m.result.name: m.draws for m in measure(LLAVA, rows, "exclude", 0)}
    assert draws["relative"] == pytest.approx(100 * draws["model"] / draws["reference"])


def test_the_interval_of_a_ratio_agrees_with_the_delta_method() -> None:
    rng = np.random.default_rng(3)
    reference = rng.uniform(4, 10, 3000)
    model = reference * 0.8 + rng.normal(0, 1, 3000)
    rows = [
        verdict(f"s{i:05}", float(v), components={"reference": float(d)})
        for i, (v, d) in enumerate(zip(model, reference, strict=True))
    ]
    found = evaluate(Tree(headline=Metric(name="x", per="reference")), rows, "exclude", 0)[0]
    ratio = model.mean() / reference.mean()
    half = 1.96 * (model - ratio * reference).std() / reference.mean() / math.sqrt(3000)
    assert found.value == pytest.approx(ratio)
    assert found.low == pytest.approx(ratio - half, abs=0.1 * half)
    assert found.high == pytest.approx(ratio + half, abs=0.1 * half)


def test_a_ratio_to_nothing_is_no_number() -> None:
    rows = [verdict(f"s{i}", 1.0, components={"reference": 0.0}) for i in range(4)]
    (found,) = evaluate(Tree(headline=Metric(name="x", per="reference")), rows, "exclude", 0)
    assert (found.value, found.low) == (None, None)
    assert found.reason == "the mean of 'reference', by which it is divided, is 0"
    assert found.interval_reason == "no value"


def test_rounding_quirks_are_of_the_number_not_of_its_interval() -> None:
    rows = [
        verdict(f"s{i}", v, components={"reference": d})
        for i, (v, d) in enumerate([(1.0, 3.0), (2.0, 7.0), (2.0, 9.0)])
    ]
    plain = Metric(name="plain", per="reference", factor=100)
    rounded = Metric(name="rounded", per="reference", factor=100, round_means=1)
    shown = Metric(name="shown", per="reference", factor=100, digits=1)
    tree = Tree(headline=Metric(name="x", parts=(plain, rounded, shown), round_means=0), high=100)
    found = by_name(tree, rows)
    assert found["plain"].value == pytest.approx(500 / 19)
    assert found["rounded"].value == pytest.approx(100 * 1.7 / 6.3)
    assert found["shown"].value == 26.3
    assert found["x"].value == 27.0  # of 26.316, 26.984 and 26.3: 26.533
    assert found["plain"].low == found["rounded"].low == found["shown"].low


STANDS_IN = [
    verdict("a", 8.0, components={"reference": 8.0}),
    verdict("b", -1.0, "unparsed", components={"reference": -1.0}),
    verdict("c", 0.0, "no_response"),
    verdict("d", None, "unparsed"),
    verdict("e", None, "judge_error"),
]


@pytest.mark.parametrize(
    ("policy", "value", "imputed"),
    [("exclude", Fraction(7, 3), 2), ("floor", Fraction(8, 4), 3), ("zero", Fraction(7, 4), 3)],
)
def test_what_the_protocol_lets_stand_in(policy: Any, value: Fraction, imputed: int) -> None:
    for aggregation in (Means(overall="x", low=1, high=10), Tree(headline=Metric(name="x"), low=1, high=10)):
        (found,) = evaluate(aggregation, STANDS_IN, policy, 0)
        assert found.value == pytest.approx(float(value))
        assert (found.n, found.n_scored, found.n_imputed, found.n_stand_in) == (5, 1, imputed, 2)
        assert found.n_missing == {"judge_error": 1, "no_response": 1, "unparsed": 2}


def test_stand_ins_of_both_terms_of_a_ratio() -> None:
    (found,) = evaluate(Tree(headline=Metric(name="x", per="reference")), STANDS_IN, "exclude", 0)
    assert found.value == 1.0  # (8 - 1) by (8 - 1)
    assert (found.n_scored, found.n_imputed, found.n_stand_in) == (1, 1, 1)


def test_a_missing_ratio_is_imputed_as_a_ratio() -> None:
    rows = [
        verdict("a", 4.0, components={"reference": 8.0}),
        verdict("b", 5.0, components={"reference": 4.0}),
        verdict("c", None, "unparsed"),
    ]
    metric = Metric(name="x", per="reference", factor=100)
    values = [
        evaluate(Tree(headline=metric, low=30, high=100), rows, policy, 0)[0].value
        for policy in ("exclude", "zero", "floor")
    ]
    # As if the third had a reference as the others, and 0 or 30 % of it.
    assert values == pytest.approx([100 * 9 / 12, 100 * 9 / 18, 100 * (9 + 0.3 * 6) / 18])


@pytest.mark.parametrize(("skip", "value"), [(False, None), (True, 3.0)])
def test_parts_without_any_value(skip: bool, value: float | None) -> None:
    tree = Tree(
        headline=Metric(name="x", skip_empty=skip, parts=(group("a"), group("b"), group("c"))), high=10
    )
    rows = [verdict(f"a{i}", 2.0, group="a") for i in range(3)]
    rows += [verdict(f"b{i}", 4.0, group="b") for i in range(3)] + [verdict("c", None, "refused", group="c")]
    found = by_name(tree, rows)["x"]
    assert (found.value, found.low, found.high) == (value, value, value)
    assert found.reason == ("" if skip else "group 'c': nothing scored of 1: 1 refused")
    assert (found.n, found.n_scored, found.missing) == (7, 6, 1)
    nothing = by_name(tree, [])["x"]
    assert (nothing.value, nothing.reason) == (None, "group 'a': no responses; 2 more without a score")


def test_a_part_of_a_part_without_value_says_where() -> None:
    found = by_name(AIR, [row for row in air_rows() if row.group != "with_music"])
    assert found["mixed"].reason == "group 'with_music': no responses"
    assert found["average"].reason == "'mixed': group 'with_music': no responses"
    assert found["average"].interval_reason == (
        "one group of scores: an interval needs 2 independent samples or more, here: 0"
    )
    assert found["speech"].value is not None


def test_repeats_share_the_weight_of_their_sample() -> None:
    rows = [verdict("a", 9.0, repeat=k) for k in range(3)] + [verdict("b", 1.0), verdict("c", 2.0)]
    tree = Tree(headline=Metric(name="s", each="sample"), others=(Metric(name="r"),))
    found = by_name(tree, rows)
    assert (found["s"].value, found["r"].value) == (4.0, 6.0)
    assert found["s"].n == found["r"].n == 5


def test_planned_responses_belong_to_what_is_over_all_rows() -> None:
    found = by_name(AIR, air_rows()[:20], planned=100)
    assert (found["average"].n, found["speech"].n, found["speech_qa"].n) == (100, 20, 20)
    assert found["win rate"].n == 20  # how many of those to come have the component, nobody knows
    assert by_name(LLAVA, llava_rows(), planned=90)["model"].n == 90


def test_metrics_over_all_rows_take_groups_that_no_other_names() -> None:
    rows = [verdict("a", 1.0, group="a"), verdict("b", 5.0, group="b")]
    found = by_name(Tree(headline=group("a"), others=(Metric(name="all"),)), rows)
    assert (found["a"].value, found["a"].n, found["a"].n_scored) == (1.0, 2, 1)
    assert found["all"].value == 3.0


def test_many_rows_in_many_groups_are_measured_quickly() -> None:
    ratio: dict[str, Any] = {"per": "reference", "factor": 100.0}
    categories = tuple(
        Metric(
            name=f"category {k}",
            pooled=k % 2 == 0,
            parts=tuple(group(f"g{5 * k + i}", **ratio) for i in range(5)),
        )
        for k in range(5)
    )
    tree = Tree(headline=Metric(name="all", parts=categories), others=(Metric(name="rating"),), high=100)
    rows = [
        verdict(f"s{i:05}", 1.0 + i * 7 % 10, group=f"g{i % 25}", components={"reference": 6.0 + i % 4})
        for i in range(20_000)
    ]
    took = []
    for _ in range(2):
        start = time.process_time()
        found = evaluate(tree, rows, "exclude", 0)
        took.append(time.process_time() - start)
    assert len(found) == 32 and all(metric.low is not None for metric in found)
    assert min(took) < 1.0  # several times of what it takes, as others may use the machine
