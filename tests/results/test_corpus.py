"""Numbers that a task makes of all scores at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import eval_anything
from eval_anything.results import corpus
from eval_anything.results.results import build
from eval_anything.results.values import TaskResult
from eval_anything.stats.metrics import MetricResult

PLUGIN = str(Path(__file__).parents[1] / "plugins" / "median_task.py")


def run(folder: Path, n: int = 20, **options: Any) -> TaskResult:
    given = {"data": f"synthetic:n={n}", "include": [PLUGIN], "out": folder, **options}
    return eval_anything.evaluate("fake/echo", "median_task", **given).tasks[0]


def metrics(task: TaskResult) -> dict[str, MetricResult]:
    return {metric.name: metric for metric in task.metrics}


def test_they_are_what_the_task_makes_of_the_rows_that_they_are_over(tmp_path: Path) -> None:
    found = metrics(run(tmp_path / "run"))
    assert (found["median"].value, found["of the low"].value, found["mean"].value) == (9.5, 4.5, 9.5)
    assert found["by group"].value == 2
    assert (found["median"].n, found["median"].n_scored, found["of the low"].n_scored) == (20, 20, 10)
    assert found["median"].headline and found["median"].higher_is_better
    assert not found["broken"].higher_is_better


def test_intervals_come_from_resamples_of_each_group_by_itself(tmp_path: Path) -> None:
    found = metrics(run(tmp_path / "run"))
    median = found["median"]
    assert median.low is not None and median.high is not None
    assert 4.5 < median.low < 9.5 < median.high < 14.5
    assert (found["by group"].low, found["by group"].high) == (2, 2)
    low = found["of the low"]
    assert low.low is not None and 0 <= low.low < 4.5 < (low.high or 0) <= 9


def test_rebuilt_results_are_the_same(tmp_path: Path) -> None:
    assert run(tmp_path / "run", seed=5).metrics == build(tmp_path / "run").tasks[0].metrics


def test_a_number_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    found = metrics(run(tmp_path / "run"))
    assert (found["broken"].value, found["broken"].low) == (None, None)
    assert found["broken"].reason == "ZeroDivisionError: nothing to divide by"
    assert found["absent"].reason == "no score has 'nothing'"


def test_one_row_has_no_interval_and_none_has_no_number(tmp_path: Path) -> None:
    alone = metrics(run(tmp_path / "one", n=1))["median"]
    assert (alone.value, alone.low) == (0.0, None)
    assert "2 independent samples or more, here: 1" in alone.interval_reason
    fault = {"fault": "bad_request"}
    lost = metrics(run(tmp_path / "none", n=2, model_options=fault, error_budget=1.0))["median"]
    assert (lost.value, lost.reason) == (None, "nothing scored of 2: 2 no_response")


def test_what_takes_long_is_not_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "_SLOW_S", -1.0)
    median = metrics(run(tmp_path / "run"))["median"]
    assert median.value == 9.5 and median.low is None
    assert median.interval_reason == "one computation takes too long to repeat it for resamples"


def test_a_run_whose_plug_in_is_gone_says_so(tmp_path: Path) -> None:
    import shutil

    own = tmp_path / "plugin.py"
    shutil.copy(PLUGIN, own)
    given = {"data": "synthetic:n=4", "include": [str(own)], "out": tmp_path / "run"}
    eval_anything.evaluate("fake/echo", "median_task", **given)
    own.unlink()
    found = metrics(build(tmp_path / "run").tasks[0])
    assert found["median"].value is None and "no such file" in found["median"].reason
    assert found["mean"].value == 1.5
