"""The policy and its reference: the weights before training, without dropout, in memory once."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import pytest
import tiny_models
import torch
import train_kit
from method_kit import LORA, batch_for, loss_of, method_of, nudge, records
from train_kit import FAMILIES, MAKERS

from eval_anything_train.logprobs import token_logprobs
from eval_anything_train.lora import has_adapters
from eval_anything_train.policy import evaluating
from eval_anything_train.settings import Lora


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.tiny_llama(tmp_path_factory.mktemp("m") / "llama")


@pytest.mark.parametrize("lora", [None, LORA], ids=["weights", "adapters"])
def test_an_unchanged_policy_has_a_dpo_loss_of_log_two(lora: Lora | None, folder: Path) -> None:
    method = method_of("dpo", folder, lora=lora)
    batch = batch_for(method, records("dpo"))
    loss, metrics = loss_of(method, batch)
    assert loss.item() == pytest.approx(math.log(2), abs=1e-6)
    assert abs(float(metrics["margin"])) < 1e-5
    loss.backward()
    moved = [p for p in method.trained().parameters() if p.grad is not None and p.grad.abs().sum() > 0]
    assert moved


def with_dropout(folder: Path, target: Path) -> Path:
    """The same model, with dropout in its attention."""
    shutil.copytree(folder, target)
    config = json.loads((target / "config.json").read_text())
    (target / "config.json").write_text(json.dumps({**config, "attention_dropout": 0.5}))
    return target


@pytest.mark.parametrize("lora", [None, Lora(rank=4, dropout=0.5)], ids=["weights", "adapters"])
def test_the_reference_has_no_dropout_and_the_policy_keeps_its_own(
    lora: Lora | None, folder: Path, tmp_path: Path
) -> None:
    """peft's `disable_adapter` alone leaves the dropout of the checkpoint itself on."""
    method = method_of("dpo", with_dropout(folder, tmp_path / "m"), lora=lora)
    nudge(method.trained())
    batch = batch_for(method, records("dpo"))
    plain = train_kit.policy(folder, reference=False)
    plain.model.eval()
    with torch.no_grad():
        expected_logprobs = token_logprobs(plain.model, batch)[0]
    model = method.trained()
    modes = [m.training for m in model.modules()]
    for _ in range(2):
        with method.policy.reference(model) as reference:
            found = token_logprobs(reference, batch)[0]
        torch.testing.assert_close(found, expected_logprobs, rtol=0, atol=1e-5)
        assert not found.requires_grad
    assert [m.training for m in model.modules()] == modes
    assert any(modes)
    with torch.no_grad():
        noisy = [token_logprobs(model, batch)[0] for _ in range(2)]
    assert float((noisy[0] - noisy[1]).abs().max()) > 1e-3


def test_modes_come_back_after_a_fault(folder: Path) -> None:
    policy = train_kit.policy(folder, lora=LORA)
    modes = [m.training for m in policy.model.modules()]
    with pytest.raises(RuntimeError, match="on purpose"), policy.reference(policy.model):
        raise RuntimeError("on purpose")
    assert [m.training for m in policy.model.modules()] == modes
    policy.model.eval()
    with evaluating(policy.model):
        pass
    assert not any(m.training for m in policy.model.modules())


def test_the_reference_under_adapters_is_the_same_weights(folder: Path) -> None:
    method = method_of("dpo", folder, lora=LORA)
    policy = method.policy
    assert policy.frozen is None
    base = train_kit.policy(folder, reference=False)
    size = sum(p.numel() for p in base.model.parameters())
    adapters = sum(p.numel() for p in policy.model.parameters() if p.requires_grad)
    storages = {p.untyped_storage().data_ptr(): p.numel() for p in policy.model.parameters()}
    assert sum(storages.values()) == size + adapters
    batch = batch_for(method, records("dpo"))
    with policy.reference(policy.model) as reference:
        assert reference is policy.model
        before = token_logprobs(reference, batch)[0]
    nudge(policy.model, 0.1)
    with policy.reference(policy.model) as reference:
        after = token_logprobs(reference, batch)[0]
    assert after.equal(before)
    assert not token_logprobs(policy.model, batch)[0].allclose(before)
    loss_of(method, batch)[0].backward()
    with_gradient = {n for n, p in policy.model.named_parameters() if p.grad is not None}
    assert with_gradient == {n for n, p in policy.model.named_parameters() if "lora_" in n}


@pytest.mark.parametrize("family", FAMILIES)
def test_adapters_are_in_the_language_model_alone(family: str, tmp_path: Path) -> None:
    policy = train_kit.policy(MAKERS[family](tmp_path / "m"), lora=LORA)
    placed = {n.split(".lora_")[0] for n, p in policy.model.named_parameters() if p.requires_grad}
    assert has_adapters(policy.model)
    layers = policy.model.get_base_model().config.get_text_config().num_hidden_layers
    assert len(placed) == 7 * layers
    assert not any(word in n for n in placed for word in ("vis", "audio_tower", "projector", "lm_head"))
