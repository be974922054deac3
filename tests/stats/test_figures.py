from __future__ import annotations

from typing import Any

import pytest

from eval_anything.stats.aggregate import Means
from eval_anything.stats.cell import Verdict
from eval_anything.stats.figures import figures

MEANS = Means(overall="Select", components=("alpha",))


def verdict(id: str, components: dict[str, Any], state: Any = "scored", weight: float = 1.0) -> Verdict:
    return Verdict(
        id=id,
        repeat=0,
        group="",
        cluster="",
        state=state,
        value=0.5,
        components=components,
        weight=weight,
    )


def test_means_of_what_is_no_metric_in_the_order_of_the_scores() -> None:
    rows = [
        verdict("b", {"regret": 0.5, "alpha": 1.0, "late": 3.0}),
        verdict("a", {"entropy": 1.0, "regret": 0.0}),
        verdict("c", {"regret": 9.0}, "judge_error"),
        verdict("d", {"entropy": None}),
    ]
    found = figures(MEANS, rows)
    assert found == {"entropy": 1.0, "regret": 0.25, "late": 3.0}
    assert list(found) == ["entropy", "regret", "late"]


def test_weights_count() -> None:
    rows = [verdict("a", {"x": 1.0}, weight=3.0), verdict("b", {"x": 5.0})]
    assert figures(MEANS, rows) == {"x": pytest.approx(2.0)}
    assert figures(MEANS, [verdict("a", {"x": 1.0}, weight=0.0)]) == {}
