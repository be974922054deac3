"""Modality synergy: the same instructions, all three modalities asked for, one component for each pair."""

from pathlib import Path

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


def test_offline_pairs_are_compared_by_their_scenes(tmp_path: Path) -> None:
    result = eval_anything.evaluate(
        model="fake/echo",
        tasks=["amg_synergy"],
        data="synthetic:n=4,seed=1",
        agent="text-protocol",
        out=tmp_path / "run",
    ).tasks[0]
    assert result.judge == "scene"
    assert [m.name for m in result.metrics] == ["synergy", *PAIRS]
