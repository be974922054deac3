"""The loop: batches, accumulation, records that are too long, losses that are no number, precision."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
import tiny_models
import torch
from safetensors.torch import load_file
from tiny_training import Imitate, Poisoned, demonstrations, run_tiny, settings_of
from torch import Tensor

from eval_anything.errors import DataError
from eval_anything.values import Text
from eval_anything_train.collate import Batch
from eval_anything_train.learner import NotFinite
from eval_anything_train.methods.base import Metrics
from eval_anything_train.metrics import read_metrics
from eval_anything_train.optimizers import adamw
from eval_anything_train.policy import policy_for
from eval_anything_train.session import Session
from eval_anything_train.settings import Lora, Settings
from eval_anything_train.values import Demonstration


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.tiny_llama(tmp_path_factory.mktemp("model"))


def lines(settings: Settings) -> list[dict[str, Any]]:
    return read_metrics(Path(settings.out) / "metrics.jsonl")


def column(settings: Settings, name: str) -> list[Any]:
    return [line[name] for line in lines(settings)]


def test_a_model_learns_and_says_how(model: Path, tmp_path: Path) -> None:
    settings = settings_of(model, tmp_path / "out", epochs=6, lr=3e-3)
    outcome = run_tiny(settings, demonstrations(8))
    losses = column(settings, "loss")
    assert len(losses) == 24
    assert sum(losses[-4:]) < 0.5 * sum(losses[:4])
    first = lines(settings)[0]
    assert (first["step"], first["epoch"], first["records"], first["skipped"]) == (1, 0.25, 2, 0)
    assert (
        first["tokens"] > 20 and first["grad_norm"] > 0 and 0 < first["likely"] < 1 and first["seconds"] > 0
    )
    assert max(column(settings, "lr")) == 3e-3
    assert outcome.folder == tmp_path / "out" / "final"
    assert outcome.manifest.metrics == lines(settings)[-1]


@pytest.mark.parametrize(("size", "accumulate"), [(2, 2), (1, 4)])
def test_accumulated_gradients_are_those_of_one_batch(
    model: Path, tmp_path: Path, size: int, accumulate: int
) -> None:
    # Answers have different lengths: the mean over a step's tokens is not the mean of its batches' means.
    whole = settings_of(model, tmp_path / "whole", batch_size=4, epochs=1)
    parts = settings_of(model, tmp_path / "parts", batch_size=size, accumulate=accumulate, epochs=1)
    for settings in (whole, parts):
        run_tiny(settings, demonstrations(10))
    for name in ("loss", "grad_norm", "likely"):
        assert column(parts, name) == pytest.approx(column(whole, name), rel=2e-5)
    for name in ("tokens", "records", "lr"):
        assert column(parts, name) == column(whole, name)
    assert column(whole, "records") == [4, 4, 2]


@pytest.mark.parametrize(("clip", "norm"), [(0.5, 0.5), (0.0, None)])
def test_the_gradient_is_clipped(model: Path, tmp_path: Path, clip: float, norm: float | None) -> None:
    settings = settings_of(model, tmp_path / "out", clip=clip)
    method = Imitate(policy_for(settings), settings)
    learner = Session(settings).learner(method.trained(), settings, steps=1)
    batch = method.collate([method.encode(record) for record in demonstrations(2)])
    learner.backward(method.loss(learner.module, batch)[0], last=True)
    before = float(learner.gradient_norm())
    gradients = [p.grad for p in method.policy.model.parameters() if p.grad is not None]
    assert before > 5
    assert float(torch.nn.utils.get_total_norm(gradients)) == pytest.approx(norm or before, rel=1e-4)


def test_norms_and_biases_do_not_decay() -> None:
    module = torch.nn.Sequential(
        torch.nn.Linear(3, 4), torch.nn.LayerNorm(4), torch.nn.Linear(4, 1, bias=False)
    )
    module[2].weight.requires_grad_(False)
    optimizer = adamw(module, settings_of(Path("m"), Path("o"), weight_decay=0.1))
    groups = {group["weight_decay"]: [p.shape for p in group["params"]] for group in optimizer.param_groups}
    assert groups == {0.1: [(4, 3)], 0.0: [(4,), (4,), (4,)]}


def long_ones(count: int, *too_long: int) -> list[Demonstration]:

    records = demonstrations(count)
    for number in too_long:
        records[number] = msgspec.structs.replace(records[number], answer=(Text("no " * 200),))
    return records


def test_records_that_are_too_long_are_named_or_skipped_and_counted(model: Path, tmp_path: Path) -> None:
    records = long_ones(6, 1, 4)
    named = settings_of(model, tmp_path / "named", max_length=100)
    with pytest.raises(DataError, match=r"record 'r[14]': .* max_length is 100"):
        run_tiny(named, records)
    skipping = settings_of(model, tmp_path / "skipping", max_length=100, too_long="skip")
    outcome = run_tiny(skipping, records)
    assert sum(column(skipping, "records")) == 8 and sum(column(skipping, "skipped")) == 4
    assert outcome.manifest.skipped == 4
    cutting = settings_of(model, tmp_path / "cutting", max_length=100, too_long="cut")
    run_tiny(cutting, records)
    assert sum(column(cutting, "records")) == 12


def test_a_run_of_nothing_but_skipped_records_is_an_error_and_leaves_no_model(
    model: Path, tmp_path: Path
) -> None:
    settings = settings_of(model, tmp_path / "out", max_length=4, too_long="skip", save_every=1)
    for _ in range(2):  # the same when it is gone on with
        with pytest.raises(DataError, match="every record is longer than max_length, 4 tokens"):
            run_tiny(settings, demonstrations(4))
    assert not (tmp_path / "out" / "final").exists()


def test_a_step_of_nothing_but_skipped_records_changes_nothing(model: Path, tmp_path: Path) -> None:
    settings = settings_of(
        model, tmp_path / "out", batch_size=1, epochs=1, max_length=100, too_long="skip", save_every=1, keep=9
    )
    run_tiny(settings, long_ones(3, 0))
    empty = column(settings, "loss").index(None) + 1
    assert lines(settings)[empty - 1]["skipped"] == 1
    folders = tmp_path / "out" / "checkpoints"
    if empty > 1:
        before, after = (
            load_file(folders / f"step-{step:08d}" / "trainer" / "weights.safetensors")
            for step in (empty - 1, empty)
        )
        assert all(torch.equal(before[name], after[name]) for name in before)


class Steep(Imitate):
    """Its loss is a number whose gradient is none, for one record."""

    def loss(self, module: torch.nn.Module, batch: Batch) -> tuple[Tensor, Metrics]:
        loss, metrics = super().loss(module, batch)
        return (loss + (loss * 0).sqrt() if "r3" in batch.ids else loss), metrics


@pytest.mark.parametrize(
    ("method", "what", "named"),
    [(Poisoned, "the loss is nan", 1), (Steep, "the gradient's norm is nan", 2)],
)
def test_a_loss_that_is_no_number_stops_before_the_update_and_names_the_records(
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    method: type[Imitate],
    what: str,
    named: int,
) -> None:
    monkeypatch.setattr(Poisoned, "record", "r3")
    settings = settings_of(
        model, tmp_path / "out", batch_size=1, accumulate=2, epochs=1, save_every=1, keep=9
    )
    with pytest.raises(NotFinite, match=what) as fault:
        run_tiny(settings, demonstrations(8), method)
    assert "'r3'" in str(fault.value) and str(fault.value).count("'r") == named
    done = len(lines(settings))
    assert f"step {done + 1}:" in str(fault.value)
    kept = sorted(path.name for path in (tmp_path / "out" / "checkpoints").iterdir())
    assert kept == [f"step-{step:08d}" for step in range(1, done + 1)]
    assert not (tmp_path / "out" / "final").exists()


def test_no_records_no_run(model: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no records"):
        run_tiny(settings_of(model, tmp_path / "out"), [])
    assert not (tmp_path / "out").exists()


def test_a_missing_medium_is_found_before_training(model: Path, tmp_path: Path) -> None:
    records = demonstrations(2, tmp_path / "gone.png")
    with pytest.raises(DataError, match=r"record 'r0': .*gone\.png: No such file"):
        run_tiny(settings_of(model, tmp_path / "out"), records)
    assert not (tmp_path / "out").exists()


class Watched(Imitate):
    """Remembers in what precision it computes."""

    seen: Sequence[torch.dtype] = ()

    def loss(self, module: torch.nn.Module, batch: Batch) -> tuple[Tensor, Metrics]:
        logits = module(**batch.inputs).logits
        held = {p.dtype for p in module.parameters() if p.requires_grad}
        type(self).seen = (logits.dtype, *held)
        return super().loss(module, batch)


@pytest.mark.parametrize("lora", [None, Lora(rank=2)])
def test_bfloat16_computes_over_float32_weights(model: Path, tmp_path: Path, lora: Lora | None) -> None:
    settings = settings_of(model, tmp_path / "out", epochs=1, dtype="bfloat16", lora=lora, save_every=2)
    outcome = run_tiny(settings, demonstrations(8), Watched)
    assert tuple(Watched.seen) == (torch.bfloat16, torch.float32)
    written = load_file(outcome.folder / "model.safetensors")
    assert {value.dtype for value in written.values()} == {torch.bfloat16}
    state = load_file(tmp_path / "out" / "checkpoints" / "step-00000002" / "trainer" / "weights.safetensors")
    assert {value.dtype for value in state.values()} == {torch.float32}
    exact = settings_of(model, tmp_path / "exact", epochs=1, lora=lora)
    run_tiny(exact, demonstrations(8))
    assert column(settings, "loss") == pytest.approx(column(exact, "loss"), rel=0.05)


def test_gradient_checkpointing_gives_the_same_numbers(model: Path, tmp_path: Path) -> None:
    found = []
    for again in (False, True):
        settings = settings_of(
            model,
            tmp_path / str(again),
            epochs=1,
            gradient_checkpointing=again,
            lora=Lora(rank=2, dropout=0.3),
        )
        run_tiny(settings, demonstrations(6))
        found.append(column(settings, "grad_norm"))
    assert found[1] == pytest.approx(found[0], rel=1e-5)
