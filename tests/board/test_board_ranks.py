"""Places, averages and which models can be told apart, against numbers worked out by hand and simulations."""

import math
import random
from statistics import NormalDist

import pytest
from board_lab import AMU, RunLab

from eval_anything.board.definition import Column, Definition
from eval_anything.board.entry import read_entries
from eval_anything.board.numbers import Number, average
from eval_anything.board.ranks import RESAMPLES, Place, p_value, places, winners
from eval_anything.board.rows import rows
from eval_anything.board.sheets import sheets
from eval_anything.paired.compare import Terms, compare
from eval_anything.paired.values import MetricChange


def number(
    value: float | None, low: float | None = None, high: float | None = None, **more: object
) -> Number:
    return Number(value=value, low=low, high=high, **more)  # type: ignore[arg-type]


def change(difference: float, p: float, error: float = 0.1, better: bool = True) -> MetricChange:
    return MetricChange(
        name="m", depth=0, before=0.0, after=difference, difference=difference, error=error, p=p,
        higher_is_better=better,
    )  # fmt: skip


def test_a_place_is_one_more_than_the_better_ones_up_to_all_but_the_worse_ones() -> None:
    numbers = [number(9.0), number(8.0), number(8.1), number(2.0), number(None), number(7.0, finished=False)]
    # 0 beats 3; 1 beats 3; 0 beats 1; 2 is told apart from none.
    won = {(0, 3): 0, (1, 3): 1, (0, 1): 0}
    found = places(list("abcdef"), numbers, won)
    assert found == [
        Place(1, 2, (), ("d", "b")),
        Place(2, 3, ("a",), ("d",)),
        Place(1, 4, (), ()),
        Place(3, 4, ("a", "b"), ()),
        None,
        None,
    ]


def test_pairs_without_a_test_are_told_apart_by_intervals_that_do_not_overlap() -> None:
    numbers = [number(5, 4, 6), number(7, 6.5, 8), number(6, 5.9, 6.4), number(9)]
    assert winners(numbers, {}) == {(0, 1): 1, (1, 2): 1}
    lower = [msg(one) for one in numbers]
    assert winners(lower, {}) == {(0, 1): 0, (1, 2): 2}


def msg(one: Number) -> Number:
    import msgspec

    return msgspec.structs.replace(one, higher_is_better=False)


def test_tests_of_all_pairs_of_a_column_are_corrected_together() -> None:
    numbers = [number(1.0), number(2.0), number(3.0)]
    raw = {(0, 1): change(1.0, 0.03), (0, 2): change(2.0, 0.01), (1, 2): change(1.0, 0.04)}
    # Holm: 0.01 * 3 = 0.03 is below 0.05; 0.03 * 2 = 0.06 is not, and ends it.
    assert winners(numbers, raw) == {(0, 2): 2}
    assert winners(numbers, {(0, 1): change(-1.0, 0.001, better=False)}) == {(0, 1): 1}


def test_the_tail_of_a_p_value_at_the_floor_is_that_of_the_normal_distribution() -> None:
    floor = 1 / (1 + RESAMPLES)
    assert p_value(change(0.5, floor)) == pytest.approx(5.733e-7, rel=1e-3)  # 2 * (1 - Phi(5)), from tables
    assert p_value(change(0.2, floor)) == floor  # the tail of 2 errors is larger: the draws are right
    assert p_value(change(0.5, 0.01)) == 0.01
    assert p_value(change(0.5, floor, error=0.0)) == floor


def test_the_average_and_its_interval_are_those_of_the_formula() -> None:
    columns = (
        Column(title="a", task="a", weight=1),
        Column(title="b", task="b", weight=3),
        Column(title="c", task="c"),
    )
    definition = Definition(columns=columns)
    numbers = [
        number(5.5, 5.0, 6.5, scale=(1, 10)),
        number(20.0, 10.0, 25.0, scale=(0, 100), higher_is_better=False),
        number(1.0),
    ]
    found = average(definition, numbers)
    # 1/4 * 50 + 3/4 * 80; distances 5/9 and 10/9 tenths below and above, 5 and 10 of the second, turned.
    assert found.value == pytest.approx(0.25 * 50 + 0.75 * 80)
    below = math.hypot(0.25 * 100 * 0.5 / 9, 0.75 * 5)
    above = math.hypot(0.25 * 100 * 1.0 / 9, 0.75 * 10)
    assert (found.low, found.high) == pytest.approx((72.5 - below, 72.5 + above))
    lacking = average(definition, [numbers[0], number(None), numbers[2]])
    assert (lacking.value, lacking.reason) == (None, "no b")


def test_the_interval_of_an_average_holds_its_truth_as_often_as_it_says() -> None:
    """1,000 pairs of normal estimates with their own 95 % intervals."""
    generator, z = random.Random(5), NormalDist().inv_cdf(0.975)
    definition = Definition(columns=tuple(Column(title=t, task=t, weight=1) for t in "ab"))
    held = 0
    for _ in range(1000):
        numbers = []
        for truth, error in ((0.4, 0.02), (0.7, 0.05)):
            value = generator.gauss(truth, error)
            numbers.append(number(value, value - z * error, value + z * error, scale=(0, 1)))
        found = average(definition, numbers)
        assert found.low is not None and found.high is not None
        held += found.low <= 55 <= found.high
    assert 930 <= held <= 970


def test_models_of_one_strength_are_seldom_told_apart(lab: RunLab) -> None:
    """30 leaderboards of 3 models with no true difference: at most 5 % of them may tell any two apart."""
    template = rows(read_entries(lab.run("a", "org/a", 5.0, n=24).parent))[0].only(["amu"])
    (task,) = template.tasks
    import msgspec

    wrong = 0
    for trial in range(30):
        runs = []
        for model in range(3):
            draw = random.Random(f"{trial} {model}")
            verdicts = tuple(
                msgspec.structs.replace(v, value=draw.uniform(1, 10), group=AMU[i % 4])
                for i, v in enumerate(task.verdicts)
            )
            held = msgspec.structs.replace(task, verdicts=verdicts)
            runs.append(msgspec.structs.replace(template, tasks=(held,)))
        found = {
            (i, j): compare(runs[i], runs[j], Terms(resamples=RESAMPLES)).tasks[0].headline
            for i, j in ((0, 1), (0, 2), (1, 2))
        }
        wrong += bool(winners([number(1.0)] * 3, found))
    assert wrong <= 5


def test_the_best_stand_first_and_share_a_place_where_they_cannot_be_told_apart(lab: RunLab) -> None:
    for name, level in (("a", 7.0), ("b", 7.02), ("c", 3.0)):
        lab.run(name, f"org/{name}", level)
    found = rows(read_entries(lab.folder))
    definition = Definition(columns=(Column(title="AMU", task="amu", metric="AMU"),))
    (sheet,) = sheets(found, definition)
    assert {line.row.name: line.places[0][:2] for line in sheet.lines if line.places[0]} == {
        "org/a": (1, 2),
        "org/b": (1, 2),
        "org/c": (3, 3),
    }
    assert sheet.lines[-1].row.name == "org/c"
