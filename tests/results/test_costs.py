"""What results say of costs, and of models that changed: from the journal and the manifest alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from run_files import RunFiles

from eval_anything.results.results import build
from eval_anything.results.table import render
from eval_anything.results.values import Results
from eval_anything.stores.manifest import Billed, Repeated
from eval_anything.values import Price, Usage

PRICE = Price(input=1.0, source="https://example.org", date="2026-01-01")
MODEL = Billed(purpose="model", model="openai/m", price=PRICE)
JUDGE = Billed(purpose="judge", model="openai/gpt-4o", price=PRICE)
TOOL = Billed(purpose="tools", model="openai_images/x", price=PRICE)
LOCAL = Billed(purpose="model", model="hf/x", local=True)


def built(run: RunFiles, *billing: Billed, **changes: Any) -> Results:
    run.manifest(run.plan(), billing=billing, **changes)
    return build(run.save())


@pytest.fixture
def run(tmp_path: Path) -> RunFiles:
    return RunFiles(tmp_path)


def shown(results: Results) -> list[tuple[str, float | None, str]]:
    return [(cost.of, cost.usd, cost.reason) for cost in results.costs]


def test_each_part_and_all_of_it(run: RunFiles) -> None:
    run.response("a", usage=Usage(requests=1, cost_usd=0.5), tool_usage=Usage(requests=1, cost_usd=0.125))
    run.score("a", 4, usage=Usage(requests=1, cost_usd=0.25))
    results = built(run, MODEL, JUDGE, TOOL)
    assert shown(results) == [
        ("model", 0.5, ""),
        ("judge", 0.25, ""),
        ("tools", 0.125, ""),
        ("all", 0.875, ""),
    ]
    assert "cost: $0.88 (model $0.50, judge $0.25, agent's tools $0.12)" in render(results, "table")


def test_a_part_that_is_not_known_leaves_the_whole_unknown(run: RunFiles) -> None:
    run.response("a", usage=Usage(requests=1, cost_usd=0.5))
    run.score("a", 4, usage=Usage(requests=1, unpriced=1))
    unpriced = Billed(purpose="judge", model="openai/gpt-4o")
    results = built(run, MODEL, unpriced)
    why = "no price is known for openai/gpt-4o"
    assert shown(results) == [("model", 0.5, ""), ("judge", None, why), ("all", None, f"judge: {why}")]
    assert results.costs[-1].at_least_usd == 0.5
    assert f"cost: at least $0.50 (model $0.50, judge cost not known); judge: {why}" in str(results)
    run.response("b", usage=Usage(requests=1, cost_usd=0.5, unpriced=1))
    assert "model at least $1.00" in str(built(run, MODEL, unpriced))


def test_a_local_model_beside_a_judge_that_is_billed(run: RunFiles) -> None:
    run.response("a", usage=Usage(requests=1))
    run.score("a", 4, usage=Usage(requests=1, cost_usd=0.25))
    results = built(run, LOCAL, JUDGE)
    assert shown(results) == [
        ("model", None, "hf/x: local, nobody bills"),
        ("judge", 0.25, ""),
        ("all", 0.25, ""),
    ]
    assert "cost: $0.25 (judge $0.25)" in str(results)


def test_runs_from_before_there_were_prices(run: RunFiles) -> None:
    run.scored("a", 4)
    results = built(run)
    assert {cost.reason for cost in results.costs} == {"not recorded"}
    assert "cost:" not in str(results)


def test_nothing_asked_is_no_cost(run: RunFiles) -> None:
    assert built(run, MODEL).costs == []


def test_changes_are_counted_over_all_tasks(run: RunFiles) -> None:
    names = ["m (fp_1)"] * 3 + ["m (fp_2)"]
    for number, name in enumerate(names):
        run.response(str(number), usage=Usage(requests=1, served={"openai/m": {name: 1}}))
        run.score(str(number), 4, usage=Usage(requests=1, served={"openai/m": {"judge-1": 1}}))
    results = built(run, MODEL, JUDGE)
    said = "openai/m (model) changed under way: m (fp_1) (3), m (fp_2) (1)"
    assert results.changes == [said]
    assert f"! {said}" in render(results, "table")


def test_what_a_repeat_was_served_by_is_compared(run: RunFiles) -> None:
    run.response("a", usage=Usage(requests=1, served={"openai/m": {"m-2": 1}}))
    earlier = Repeated(
        folder="runs/a",
        created="2026-01-01",
        differs=("versions.numpy: '1' -> '2'",),
        served={"model": {"openai/m": ("m-1",)}, "judge": {"openai/j": ("j-1",)}},
    )
    assert built(run, MODEL, repeats=earlier).notes == [
        "repeats runs/a of 2026-01-01",
        "differs from it: versions.numpy: '1' -> '2'",
        "differs from it: openai/m (model) was served as m-1, and now as m-2",
    ]
