from typing import Any

import pytest

from eval_anything.run.assembly import assemble
from eval_anything.run.config import make_config
from eval_anything.run.fingerprint import identity
from eval_anything.stores.identity import differences, fingerprint


@pytest.fixture
def of(text_task: str) -> Any:
    """The fingerprint of text_task in a run with the given options."""

    def of(**options: Any) -> str:
        values = {
            "model": "fake/constant",
            "tasks": "text_task",
            "data": "synthetic:n=3",
            "include": [text_task],
        }
        parts = assemble(make_config({**values, "judge": "fake/rater", **options}))
        return fingerprint(identity(parts, parts.tasks[0]))

    return of


@pytest.mark.parametrize(
    "options",
    [
        {"model": "fake/echo"},
        {"model_options": {"reply": "no"}},
        {"model_options": {"temperature": 0.5}},
        {"judge": "fake/constant"},
        {"judge_options": {"temperature": 0.9}},
        {"judge_options": {"attempts": 1}},
        {"task_options": {"pad": 3}},
        {"data": "synthetic:n=4"},
        {"mask": "image"},
        {"seed": 1},
        {"missing": "zero"},
    ],
)
def test_what_can_change_a_number_changes_the_fingerprint(of: Any, options: dict[str, Any]) -> None:
    assert of(**options) != of()


@pytest.mark.parametrize(
    "options",
    [
        {"concurrency": 5},
        {"model_options": {"delay_s": 0.1, "retries": 2, "timeout_s": 9}},
        {"judge_options": {"concurrency": 3}},
        {"limit": 2},
        {"repeats": 3},
        {"error_budget": 0.5},
        {"out": "somewhere"},
    ],
)
def test_how_a_run_travels_does_not(of: Any, options: dict[str, Any]) -> None:
    assert of(**options) == of()


def test_differences_name_every_leaf() -> None:
    old = {"model": {"params": {"temperature": 0.0}, "name": "a"}, "gone": 1}
    new = {"model": {"params": {"temperature": 0.7}, "name": "a"}, "came": [1]}
    assert differences(old, new) == [
        "came: None -> [1]",
        "gone: 1 -> None",
        "model.params.temperature: 0.0 -> 0.7",
    ]
