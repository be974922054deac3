"""Muon for hidden matrices beside AdamW, as one optimiser whose state comes back."""

from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny_models
import torch
from safetensors.torch import load_file
from test_train_resume import Stopped, Stopping
from tiny_training import demonstrations, run_tiny, settings_of

from eval_anything.errors import UsageError
from eval_anything_train.learner import Learner
from eval_anything_train.optimizers import Joined, muon, optimizer_for
from eval_anything_train.settings import Settings


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.tiny_llama(tmp_path_factory.mktemp("llama"))


def tiny() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Embedding(7, 4), torch.nn.Linear(4, 4), torch.nn.LayerNorm(4), torch.nn.Linear(4, 3)
    )


def asked(**more: object) -> Settings:
    return Settings(model="m", data="d", out="o", optimizer="muon", lr=0.01, **more)  # type: ignore[arg-type]


def test_matrices_of_layers_are_muons_and_the_rest_is_adams() -> None:
    module = tiny()
    found = muon(module, asked())
    first, second = found.parts
    assert isinstance(first, torch.optim.Muon) and isinstance(second, torch.optim.AdamW)
    shapes = [tuple(p.shape) for group in first.param_groups for p in group["params"]]
    assert shapes == [(4, 4), (3, 4)]  # not the embedding
    total = sum(len(group["params"]) for group in found.param_groups)
    assert total == len(list(module.parameters()))


def test_state_comes_back() -> None:
    module, inputs = tiny(), torch.tensor([1, 2, 3])

    def step(optimizer: Joined, net: torch.nn.Module) -> None:
        net(inputs).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    optimizer = muon(module, asked())
    for _ in range(3):
        step(optimizer, module)
    other = tiny()
    other.load_state_dict(module.state_dict())
    again = muon(other, asked())
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))  # torch does not copy
    for net, one in ((module, optimizer), (other, again)):
        step(one, net)
    for a, b in zip(module.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)


def test_divided_weights_are_refused() -> None:
    """DeepSpeed's and FSDP's learners begin alike."""
    session: Any = SimpleNamespace(divided=True)
    with pytest.raises(UsageError, match="muon needs whole weights"):
        Learner(session, tiny(), asked(), 1)


def test_nothing_to_train() -> None:
    with pytest.raises(UsageError, match="no parameter is trained"):
        optimizer_for(tiny().requires_grad_(False), asked())


def test_a_resumed_run_ends_with_the_same_weights(llama: Path, tmp_path: Path) -> None:
    records = demonstrations(12)

    def weights(name: str, stop_at: int) -> dict[str, torch.Tensor]:
        settings = settings_of(
            llama, tmp_path / name, optimizer="muon", lr=1e-3, save_every=2, epochs=2, batch_size=4
        )
        if stop_at:
            Stopping.at = stop_at
            with pytest.raises(Stopped):
                run_tiny(settings, records, Stopping)
        return load_file(run_tiny(settings, records, Stopping).folder / "model.safetensors")

    straight, resumed = weights("a", 0), weights("b", 4)
    assert all(torch.equal(value, resumed[name]) for name, value in straight.items())
