from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from eval_anything.results.combine import combine
from eval_anything.results.results import build
from eval_anything.results.table import FORMATS, render
from eval_anything.stats.aggregate import Means
from eval_anything.stats.metrics import Verdict, measure

SELECT = Means(overall="Select", components=("alpha text-image",), low=0, high=1)


def measured(values: list[float], means: Means = SELECT) -> Any:
    rows = [
        Verdict(
            id=f"s{i}",
            repeat=0,
            group="",
            cluster="",
            state="scored",
            value=value,
            components=dict.fromkeys(means.components, value / 2),
        )
        for i, value in enumerate(values)
    ]
    return measure(means, rows, "exclude", 0)


def test_no_groups_nothing_combined() -> None:
    assert combine((), {"amg_selection": measured([0.1, 0.2])}, 0) == ([], [])


def test_a_group_that_is_not_there_is_a_note() -> None:
    found, notes = combine(("amgg",), {}, 0)
    assert found == []
    (note,) = notes
    assert note.startswith(
        "no combined numbers of group 'amgg': unknown group 'amgg'; did you mean 'amg'? (known: amg"
    )


def test_a_column_has_the_very_interval_of_its_metric() -> None:
    metrics = measured([0.1, 0.2, 0.6, 0.3])
    found, _ = combine(("amg",), {"amg_selection": metrics}, 0)
    (select,) = [combined for combined in found if combined.name == "Select"]
    result = metrics[0].result
    assert (select.value, select.group) == (result.value, "amg")
    assert (select.low, select.high) == (pytest.approx(result.low), pytest.approx(result.high))


def test_a_metric_without_an_interval_says_why() -> None:
    found, _ = combine(("amg",), {"amg_selection": measured([0.4])}, 0)
    (select,) = [combined for combined in found if combined.name == "Select"]
    assert (select.value, select.low) == (0.4, None)
    assert select.reason == "an interval needs 2 independent samples or more, here: 1"


def test_tasks_of_one_size_are_resampled_independently() -> None:
    """With the rest at 1, AMG is S_T + S_V + S_A. Drawn independently, its interval is sqrt(3) as wide as
    that of each; drawn from one seed in step, it would be 3 times as wide."""
    values = np.random.default_rng(0).uniform(0, 10, 200).tolist()
    names = ("amg_instruction_text", "amg_instruction_image", "amg_instruction_audio")
    tasks = {name: measured(values, Means(overall="score", low=0, high=10)) for name in names}
    tasks["amg_selection"] = measured([1.0, 1.0])
    pairs = ("text-image", "text-audio", "image-audio")
    tasks["amg_synergy"] = measured([2.0, 2.0], Means(overall="synergy", components=pairs))
    found, _ = combine(("amg",), tasks, 0)
    by_name = {combined.name: combined for combined in found}
    one, whole = (by_name[name] for name in ("S_T", "AMG"))
    assert one.value is not None and one.low is not None and one.high is not None
    assert whole.low is not None and whole.high is not None
    assert whole.value == pytest.approx(3 * one.value)
    assert (whole.high - whole.low) / (one.high - one.low) == pytest.approx(3**0.5, rel=0.1)


def test_components_and_figures_of_a_run_are_shown(run: Any) -> None:
    run.manifest(run.plan(name="amg_selection", aggregation=SELECT, planned=3))
    for i, value in enumerate((0.2, 0.4, 0.9)):
        run.response(f"s{i}", task="amg_selection")
        components = {
            "alpha text-image": value / 2,
            "regret": 1 - value,
            "chosen/t": float(i == 0),
            "chosen/ti": float(i > 0),
        }
        run.score(f"s{i}", value, task="amg_selection", components=components, weight=2.0 if i == 2 else 1.0)
    results = build(run.save())
    (task,) = results.tasks
    assert [(m.name, m.value) for m in task.metrics] == [
        ("Select", pytest.approx(0.6)),
        ("alpha text-image", pytest.approx(0.3)),
    ]
    assert task.figures == pytest.approx({"regret": 0.4, "chosen/t": 0.25, "chosen/ti": 0.75})
    text = render(results, "table")
    assert "  alpha text-image" in text
    assert "mean regret: 0.40\nmean chosen: t 0.25, ti 0.75" in text
    assert results.combined == [] and "group of tasks" not in text


def test_a_negative_weight_is_damage(run: Any) -> None:
    from eval_anything.errors import DataError

    run.manifest(run.plan())
    run.response("a")
    run.score("a", 5, weight=-1.0)
    with pytest.raises(DataError, match=r"line 2: damaged: .*weight"):
        build(run.save())


def test_combined_numbers_are_in_every_format_and_in_the_rows(run: Any) -> None:
    run.manifest(
        run.plan(name="amg_selection", aggregation=SELECT, planned=2, protocol_judge=False), groups=("amg",)
    )
    for i in range(2):
        run.scored(f"s{i}", 0.5, task="amg_selection")
    results = build(run.save())
    for format in FORMATS:
        text = render(results, format)
        assert "AMG" in text and "amg" in text
    assert "! made of numbers that are not comparable with published ones" in render(results, "table")
    rows = results.rows()
    assert len({tuple(row) for row in rows}) == 1
    select = next(row for row in rows if row["task"] == "amg" and row["metric"] == "Select")
    assert (select["value"], select["n"], select["comparable"], select["interval_reason"]) == (
        0.5,
        None,
        False,
        "",
    )


def test_shares_are_shown_with_three_decimals_and_scores_with_two(run: Any) -> None:
    run.manifest(
        run.plan(name="amg_selection", aggregation=SELECT, planned=2),
        run.plan(name="amg_instruction_text", aggregation=Means(overall="text", high=10), planned=2),
        groups=("amg",),
    )
    for i, value in enumerate((0.1, 0.2126)):
        run.scored(f"s{i}", value, task="amg_selection")
        run.scored(f"s{i}", 10 * value, task="amg_instruction_text")
    text = render(build(run.save()), "table")
    assert len(re.findall(r"Select +0\.156 +\[0\.100, 0\.213\]", text)) == 2
    assert len(re.findall(r"(?:text|S_T) +1\.56 +\[1\.00, 2\.13\]", text)) == 2
