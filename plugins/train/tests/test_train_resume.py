"""A run that was interrupted and goes on is the run that was not, bit for bit."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest
import tiny_models
import torch
from safetensors.torch import load_file
from servers.media_files import png
from tiny_training import Imitate, demonstrations, run_tiny, settings_of
from torch import Tensor

from eval_anything.errors import DataError, RunConflict
from eval_anything_train.collate import Batch
from eval_anything_train.manifest import read_manifest
from eval_anything_train.methods.base import Metrics
from eval_anything_train.metrics import Metrics as MetricsFile
from eval_anything_train.metrics import read_metrics
from eval_anything_train.settings import Lora, Settings


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.tiny_llama(tmp_path_factory.mktemp("llama"))


class Stopped(Exception):
    """The power went."""


class Stopping(Imitate):
    """Stops at a forward pass, which is in the middle of a step where batches are accumulated."""

    at = 0

    def loss(self, module: torch.nn.Module, batch: Batch) -> tuple[Tensor, Metrics]:
        type(self).at -= 1
        if type(self).at == 0:
            raise Stopped
        return super().loss(module, batch)


def lines(settings: Settings) -> list[dict[str, Any]]:
    """Metrics without what a clock says."""
    found = read_metrics(Path(settings.out) / "metrics.jsonl")
    return [{name: value for name, value in line.items() if name != "seconds"} for line in found]


def tensors(folder: Path) -> dict[str, Tensor]:
    """Of all checkpoints in a run."""
    return {
        f"{file.relative_to(folder)}/{name}": value
        for file in folder.rglob("*.safetensors")
        for name, value in load_file(file).items()
    }


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


FORMS: dict[str, dict[str, Any]] = {
    "all weights": {"accumulate": 2},
    "adapters with dropout": {"lora": Lora(rank=2, dropout=0.3), "weight_decay": 0.1},
    "bfloat16": {"dtype": "bfloat16"},
}


@pytest.mark.parametrize(("form", "stops"), list(zip(FORMS, [(4, 7), (10,), (8,)], strict=True)))
def test_interrupted_runs_end_in_the_same_bits(
    llama: Path, tmp_path: Path, form: str, stops: tuple[int, ...]
) -> None:
    records = demonstrations(11)
    straight, broken = (
        settings_of(llama, tmp_path / name, save_every=3, keep=9, **FORMS[form])
        for name in ("straight", "broken")
    )
    run_tiny(straight, records)
    for stop in stops:
        Stopping.at = stop
        with pytest.raises(Stopped):
            run_tiny(broken, records, Stopping)
        assert not (tmp_path / "broken" / "final").exists()
    outcome = run_tiny(broken, records)
    assert lines(broken) == lines(straight)
    assert same(tensors(tmp_path / "broken"), tensors(tmp_path / "straight"))
    assert len(outcome.manifest.resumed) == len(stops)


def test_weights_that_idle_at_first_have_no_averages_until_they_are_used(tmp_path: Path) -> None:
    model = tiny_models.tiny_qwen2_vl(tmp_path / "model")
    (tmp_path / "a.png").write_bytes(png())
    straight, broken = (
        settings_of(model, tmp_path / name, batch_size=1, save_every=1, keep=9, epochs=1)
        for name in ("straight", "broken")
    )
    records = demonstrations(5, tmp_path / "a.png")
    run_tiny(straight, records)
    for stop in (2, 3, 4):
        Stopping.at = 2
        with pytest.raises(Stopped):
            run_tiny(broken, records, Stopping)
        assert len(lines(broken)) == stop - 1
    run_tiny(broken, records)
    assert lines(broken) == lines(straight)
    assert same(tensors(tmp_path / "broken"), tensors(tmp_path / "straight"))
    # With all of the images at the end, the encoder's averages must not be there before.
    seen = [
        any("visual" in name for name in load_file(folder / "trainer" / "optimizer.safetensors"))
        for folder in sorted((tmp_path / "straight" / "checkpoints").iterdir())
    ]
    assert seen == sorted(seen) and seen[-1]


def test_a_run_that_stopped_before_its_first_checkpoint_begins_again(llama: Path, tmp_path: Path) -> None:
    settings = settings_of(llama, tmp_path / "out", epochs=1)
    Stopping.at = 3
    with pytest.raises(Stopped):
        run_tiny(settings, demonstrations(8), Stopping)
    assert len(lines(settings)) == 2
    run_tiny(settings, demonstrations(8))
    assert [line["step"] for line in lines(settings)] == [1, 2, 3, 4]


@pytest.fixture
def stopped(llama: Path, tmp_path: Path) -> Settings:
    """A run with a checkpoint after step 2 that stopped in step 4."""
    settings = settings_of(llama, tmp_path / "out", save_every=2)
    Stopping.at = 4
    with pytest.raises(Stopped):
        run_tiny(settings, demonstrations(8), Stopping)
    return settings


def test_another_configuration_is_refused_with_the_differences(stopped: Settings, llama: Path) -> None:
    def refused(records: int = 8, **changes: Any) -> str:
        with pytest.raises(RunConflict) as fault:
            run_tiny(msgspec.structs.replace(stopped, **changes), demonstrations(records))
        return str(fault.value)

    said = refused(lr=2e-3, lora=Lora(rank=2))
    assert "holds a run of another configuration" in said
    assert "settings.lr: 0.001 -> 0.002" in said and "settings.lora" in said
    assert "data: " in refused(records=9)
    other = tiny_models.tiny_qwen2_vl(llama.with_name("other"))
    assert "parent: " in refused(model=str(other))
    assert len(lines(stopped)) == 3  # nothing of it was touched


def test_what_does_not_decide_the_result_may_change(stopped: Settings, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(stopped.model, moved)
    changed = {"model": str(moved), "workers": 1, "save_every": 3, "keep": 1, "log_every": 1}
    run_tiny(msgspec.structs.replace(stopped, **changed), demonstrations(8))
    assert [line["step"] for line in lines(stopped)] == list(range(1, 9))


def test_a_finished_run_is_not_done_again(stopped: Settings) -> None:
    first = run_tiny(stopped, demonstrations(8))
    Stopping.at = 1
    again = run_tiny(stopped, demonstrations(8), Stopping)
    assert again.manifest == first.manifest and again.folder == first.folder


def test_a_run_killed_before_it_said_that_it_is_finished(stopped: Settings) -> None:
    folder = Path(stopped.out)
    unfinished = (folder / "manifest.json").read_bytes()
    run_tiny(stopped, demonstrations(8))
    (folder / "manifest.json").write_bytes(unfinished)
    again = run_tiny(stopped, demonstrations(8))
    assert again.manifest.finished is not None and again.manifest.metrics["step"] == 8
    assert read_manifest(folder) == again.manifest


def test_a_second_process_is_kept_out(stopped: Settings) -> None:
    held = MetricsFile(Path(stopped.out))
    with pytest.raises(RunConflict, match="another process is writing this run"):
        run_tiny(stopped, demonstrations(8))
    held.close()


def test_a_run_killed_before_its_manifest_was_written_can_be_begun_again(llama: Path, tmp_path: Path) -> None:
    (tmp_path / "out" / "checkpoints").mkdir(parents=True)
    (tmp_path / "out" / "metrics.jsonl").touch()
    (tmp_path / "out" / ".partial-manifest.json").write_text("{")
    run_tiny(settings_of(llama, tmp_path / "out", epochs=1), demonstrations(4))
    assert not (tmp_path / "out" / ".partial-manifest.json").exists()


def test_a_folder_of_something_else_is_left_alone(llama: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("")
    with pytest.raises(RunConflict, match="is no training run"):
        run_tiny(settings_of(llama, tmp_path / "out"), demonstrations(4))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.tex"]
    with pytest.raises(RunConflict, match=r"thesis\.tex exists and is no training run"):
        run_tiny(settings_of(llama, tmp_path / "out" / "thesis.tex"), demonstrations(4))


@pytest.mark.parametrize("file", ["weights.safetensors", "optimizer.safetensors", "state.json"])
def test_a_damaged_checkpoint_is_named_and_an_older_one_can_be_used(stopped: Settings, file: str) -> None:
    path = Path(stopped.out) / "checkpoints" / "step-00000002" / "trainer" / file
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(DataError, match=f"step-00000002/trainer/{file}.*delete this checkpoint's folder"):
        run_tiny(stopped, demonstrations(8))
    shutil.rmtree(path.parents[1])
    run_tiny(stopped, demonstrations(8))
    assert [line["step"] for line in lines(stopped)] == list(range(1, 9))
