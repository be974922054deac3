"""Modality selection: free choice, votes with each sample, the share of those who chose the same."""

from pathlib import Path
from typing import Any

import pytest

import eval_anything
from eval_anything.task import DataSource
from eval_anything.tasks.amg import data
from eval_anything.tasks.amg.selection import Selection, SelectionOptions
from eval_anything.values import Response, Text

REPLY = """[[response]]: a red square and a low tone
[[image_instruction]]: a red square
[[audio_instruction]]: a low tone
"""


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("amg") / "selection"
    Selection.write_synthetic(folder, 14, 0)
    return folder


def test_every_sample_carries_its_votes_and_nothing_is_required(twin: Path) -> None:
    task = Selection(SelectionOptions())
    dataset = task.open(DataSource(kind="path", path=twin))
    found = list(task.samples(dataset))
    rows = data.read_instructions(twin)
    assert dataset.size == len(found) == 14
    assert [s.metadata["selection"] for s in found] == [row.selection for row in rows]
    assert [s.messages[0].parts for s in found] == [(Text(row.instruction),) for row in rows]
    assert (task.outputs, task.required) == (("text", "image", "audio"), ())
    means = task.aggregation()
    assert (means.overall, means.low, means.high) == ("Select", 0, 1)
    assert task.settled(found[0], Response()) is None
    assert task.case(found[0], Response()).sample is found[0]


def test_video_is_offered_on_request_alone() -> None:
    assert Selection(SelectionOptions(video=True)).outputs == ("text", "image", "audio", "video")
    assert Selection.outputs == Selection(SelectionOptions()).outputs == ("text", "image", "audio")


def run(out: Path, **options: Any) -> Any:
    values = {"model": "fake/echo", "data": "synthetic:n=14,seed=0", "out": out, **options}
    return eval_anything.evaluate(tasks=["amg_selection"], **values).tasks[0]


def test_a_model_that_always_answers_in_everything_gets_the_share_of_all_three(
    tmp_path: Path, twin: Path
) -> None:
    result = run(tmp_path / "run")
    shares = [row.selection["tia"] for row in data.read_instructions(twin)]
    assert result.metrics[0].name == "Select"
    assert result.metrics[0].value == pytest.approx(sum(shares) / len(shares))
    assert result.metrics[0].n_scored == 14
    assert result.judge == "votes"


def test_a_choice_with_video_agrees_with_nobody(tmp_path: Path) -> None:
    result = run(tmp_path / "run", task_options={"video": True})
    assert result.metrics[0].value == 0


def test_a_judge_for_all_tasks_leaves_the_votes_to_judge_what_was_chosen(tmp_path: Path) -> None:
    """Where all three modalities come, their synergy would pass for the share of the votes."""
    by_votes, by_default = (
        run(tmp_path / name, **options) for name, options in (("a", {"judge": "scene"}), ("b", {}))
    )
    assert by_votes.judge == "votes"
    assert by_votes.headline == by_default.headline


def test_a_judge_of_synergy_does_not_rate_what_was_chosen(tmp_path: Path) -> None:
    result = run(
        tmp_path / "run",
        judge={"amg_selection": "scene"},
        agent="text-protocol",
        model="fake/constant",
        model_options={"reply": REPLY, "outputs": "text"},
        error_budget=1.0,
    )
    assert (result.headline.value, result.headline.n_missing) == (None, {"judge_error": 14})
