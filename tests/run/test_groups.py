"""Groups of tasks in runs: expanded, summed up, and what of them may be left out."""

from pathlib import Path
from typing import Any

import pytest

import eval_anything
from eval_anything.errors import UsageError
from eval_anything.registry import Plugins
from eval_anything.run.assembly import expand

SLOTS = "[[response]]: a red circle [[image_instruction]]: a red circle [[audio_instruction]]: two beeps"


def test_a_group_stands_for_its_tasks_and_each_is_named_once() -> None:
    plugins = Plugins()
    tasks, groups, optional = expand(plugins, ("amg_selection", "amg", "amu"))
    assert tasks[0] == "amg_selection"
    assert len(set(tasks)) == len(tasks) == 7
    assert groups == ("amg",)
    assert optional == {"amg_instruction_video"}
    assert expand(plugins, ("amg", "amg_instruction_video"))[2] == frozenset()


@pytest.fixture
def twins(tmp_path: Path) -> Path:
    """Folders of all tasks of AMG, as `synth` writes them."""
    plugins = Plugins()
    for name in plugins.groups.get("amg").tasks:
        (tmp_path / "twins").mkdir(exist_ok=True)
        plugins.tasks.get(name).write_synthetic(tmp_path / "twins" / name, 4, 0)
    return tmp_path / "twins"


def run(twins: Path, out: Path, *tasks: str, **tools: str) -> Any:
    return eval_anything.evaluate(
        "fake/constant",
        tasks,
        data=str(twins),
        out=out,
        agent="text-protocol",
        agent_options=tools,
        model_options={"reply": SLOTS, "outputs": "text"},
        judge={"*": "fake/rater", "amg_synergy": "scene"},
        judge_options={"parse": "original"},
        error_budget=1.0,
    )


def test_without_a_video_tool_amg_is_measured_without_videos_and_says_so(twins: Path, tmp_path: Path) -> None:
    tools = {"image": "synthetic/scene", "audio": "synthetic/scene"}
    results = run(twins, tmp_path / "run", "amg", **tools)
    assert "amg_instruction_video" not in [task.name for task in results.tasks]
    assert any("amg_instruction_video was left out" in note for note in results.notes)
    assert "amg_instruction_video was left out" in str(results)
    assert {c.name for c in results.combined} >= {"Select", "S_V", "AMG"}


def test_a_task_that_was_named_is_never_left_out(twins: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="amg_instruction_video needs a tool for video"):
        run(
            twins,
            tmp_path / "run",
            "amg",
            "amg_instruction_video",
            image="synthetic/scene",
            audio="synthetic/scene",
        )


def test_a_task_of_the_group_that_is_not_optional_needs_its_tool(twins: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs a tool for audio"):
        run(twins, tmp_path / "run", "amg", image="synthetic/scene")
