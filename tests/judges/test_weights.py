"""Tensors in files; what whole checkpoints do is tested with the judges that load them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from eval_anything.errors import UsageError
from eval_anything.judges import weights


def test_a_tensor_in_two_files_is_refused(tmp_path: Path) -> None:
    save_file({"a": torch.ones(2)}, tmp_path / "one.safetensors")
    torch.save({"a": torch.ones(2)}, tmp_path / "two.pt")
    with (
        pytest.raises(UsageError, match=r"two\.pt: tensor a is in .*one\.safetensors as well"),
        weights.opened([tmp_path / "one.safetensors", tmp_path / "two.pt"]),
    ):
        pass


@pytest.mark.parametrize("inner", ["", "state_dict", "other"])
def test_tensors_are_the_inner_entry_where_it_is_one(tmp_path: Path, inner: str) -> None:
    torch.save({"state_dict": {"a": torch.ones(2, 3)}}, tmp_path / "w.pt")
    if inner != "state_dict":
        with (
            pytest.raises(UsageError, match=r"w\.pt: 'state_dict' is not a plain tensor"),
            weights.opened([tmp_path / "w.pt"], inner),
        ):
            pass
        return
    with weights.opened([tmp_path / "w.pt"], inner) as held:
        assert held["a"].shape == (2, 3)
        assert held["a"].read().tolist() == [[1.0] * 3] * 2


def test_a_model_is_filled_and_what_is_exact_stays_so(tmp_path: Path) -> None:
    def build() -> nn.Module:
        return nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.5), nn.Linear(3, 1))

    assert weights.shapes(build) == {"0.weight": (3, 2), "0.bias": (3,), "2.weight": (1, 3), "2.bias": (1,)}
    source = build()
    save_file(source.state_dict(), tmp_path / "w.safetensors")
    with weights.opened([tmp_path / "w.safetensors"]) as held:
        weights.check(tmp_path, "a model", held, weights.shapes(build))
        model = weights.filled(build, held, "cpu", "bfloat16", exact=("2.",))
    assert not model.training
    assert [p.dtype for p in model.parameters()] == [torch.bfloat16] * 2 + [torch.float32] * 2
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert torch.equal(model[2].weight, source[2].weight)


def test_names_that_are_spare_may_be_there_or_not(tmp_path: Path) -> None:
    save_file({"a": torch.ones(1), "spare.b": torch.ones(1)}, tmp_path / "w.safetensors")
    with weights.opened([tmp_path / "w.safetensors"]) as held:
        weights.check(tmp_path, "a model", held, {"a": (1,)}, ("spare.", "never."))
        with pytest.raises(UsageError, match=r"not the tensors of a model: 1 unexpected: spare\.b$"):
            weights.check(tmp_path, "a model", held, {"a": (1,)})
        with pytest.raises(
            UsageError, match=r"1 missing: c; 1 of the wrong shape: a \(1 in place of scalar\)$"
        ):
            weights.check(tmp_path, "a model", held, {"a": (), "c": (2,)}, ("spare.",))
