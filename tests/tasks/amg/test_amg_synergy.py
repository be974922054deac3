"""Modality synergy: the same instructions, all three modalities asked for, one component for each pair."""

from pathlib import Path
from typing import Any

import pytest
from servers.openai_server import OpenAIServer, completion, in_thread

import eval_anything
from eval_anything.task import DataSource
from eval_anything.tasks.amg import data
from eval_anything.tasks.amg.selection import Selection, SelectionOptions
from eval_anything.tasks.amg.synergy import PAIRS, Synergy, SynergyOptions
from eval_anything.values import Response


def test_the_instructions_of_selection_to_be_answered_in_all_three(tmp_path: Path) -> None:
    Selection.write_synthetic(tmp_path / "a", 8, 3)
    Synergy.write_synthetic(tmp_path / "b", 8, 3)
    assert (tmp_path / "a" / data.JSONL).read_bytes() == (tmp_path / "b" / data.JSONL).read_bytes()
    source = DataSource(kind="path", path=tmp_path / "a")
    selection, synergy = Selection(SelectionOptions()), Synergy(SynergyOptions())
    chosen, together = selection.open(source), synergy.open(source)
    assert chosen.revision == together.revision
    asked = list(synergy.samples(together))
    assert [s.messages for s in asked] == [s.messages for s in selection.samples(chosen)]
    assert [s.id for s in asked] == [row.instruction_uid for row in data.read_instructions(tmp_path / "a")]
    assert synergy.outputs == synergy.required == ("text", "image", "audio")
    assert synergy.settled(asked[0], Response()) is None


def test_one_component_for_each_pair_between_zero_and_one() -> None:
    means = Synergy(SynergyOptions()).aggregation()
    assert (means.overall, means.components, means.low, means.high) == ("synergy", PAIRS, 0, 1)


def test_offline_an_answer_that_says_shows_and_plays_the_same_goes_together(tmp_path: Path) -> None:
    def in_all_three(call: Any) -> Any:
        asked = call.body["messages"][-1]["content"]
        text = asked if isinstance(asked, str) else asked[-1]["text"]
        slots = ("response", "image_instruction", "audio_instruction")
        return completion("\n".join(f"[[{slot}]]: {text}" for slot in slots))

    with in_thread(OpenAIServer(in_all_three)) as server:
        result = eval_anything.evaluate(
            model="openai/agent",
            model_options={"base_url": server.url},
            tasks=["amg_synergy"],
            data="synthetic:n=4,seed=1",
            judge="scene",
            agent="text-protocol",
            out=tmp_path / "run",
        ).tasks[0]
    assert result.judge == "scene"
    by_name = {m.name: m for m in result.metrics}
    assert list(by_name) == ["synergy", *PAIRS]
    assert all(m.n_scored == 4 for m in by_name.values())
    assert by_name["text-image"].value == pytest.approx(1)
    assert by_name["text-audio"].value == pytest.approx(1)
    assert (by_name["synergy"].value or 0) > 0.7
