"""Adapters, and the checkpoints that are written of a model with and without them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny_models
import torch
from safetensors.torch import load_file
from tiny_training import Imitate, demonstrations, settings_of
from torch import Tensor
from train_kit import FAMILIES, MAKERS

from eval_anything.errors import UsageError
from eval_anything_train.collate import Batch
from eval_anything_train.lora import bare, linear_layers, merged_weights, with_adapters, without_adapters
from eval_anything_train.policy import Policy, open_policy, policy_for, save_policy
from eval_anything_train.settings import Lora


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.tiny_llama(tmp_path_factory.mktemp("llama"))


def opened(folder: Path, **more: Any) -> Policy:
    return open_policy(str(folder), {"max_length": 500}, device="cpu", **more)


def changed(policy: Policy) -> Policy:
    """With adapters, or weights, that differ from those of the checkpoint."""
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in policy.model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn_like(parameter))
    policy.model.eval()
    return policy


def batch_for(policy: Policy) -> Batch:
    method = Imitate(policy, None)
    return method.collate([method.encode(record) for record in demonstrations(3)])


def logits(policy: Policy) -> Tensor:
    with torch.no_grad():
        found: Tensor = policy.model(**batch_for(policy).inputs).logits
    return found


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("lora", [None, Lora(rank=4)], ids=["weights", "adapters"])
def test_what_is_written_is_the_model_in_training(tmp_path: Path, family: str, lora: Lora | None) -> None:
    parent = MAKERS[family](tmp_path / "parent")
    policy = changed(opened(parent, lora=lora))
    before = {name: value.clone() for name, value in policy.model.state_dict().items()}
    save_policy(policy, policy.model, tmp_path / "child")
    child = opened(tmp_path / "child")
    child.model.eval()
    assert torch.allclose(logits(policy), logits(child), atol=1e-4)
    assert not torch.allclose(logits(policy), logits(opened(parent)), atol=1e-2)
    assert child.opened.capabilities == policy.opened.capabilities
    # What is in training is as it was.
    after = policy.model.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[n], after[n]) for n in before)


def test_processor_template_and_generation_settings_are_the_parents_files(tmp_path: Path) -> None:
    parent = tiny_models.tiny_llama(tmp_path / "parent")
    # Published checkpoints have settings that contradict each other, which today's libraries refuse to write.
    (parent / "generation_config.json").write_text('{"eos_token_id": 5, "do_sample": false, "top_p": 0.6}')
    policy = opened(parent)
    save_policy(policy, policy.model, tmp_path / "child")
    for name in ("generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        assert (tmp_path / "child" / name).read_bytes() == (parent / name).read_bytes()
    assert {p.name for p in (tmp_path / "child").iterdir()} == {p.name for p in parent.iterdir()}


def test_adapters_are_written_by_themselves_too(llama: Path, tmp_path: Path) -> None:
    policy = changed(opened(llama, lora=Lora(rank=2)))
    save_policy(policy, policy.model, tmp_path / "child")
    from peft import PeftModel

    base = opened(llama)
    adapted = PeftModel.from_pretrained(base.model, tmp_path / "child" / "adapter").eval()
    with torch.no_grad():
        theirs = adapted(**batch_for(base).inputs).logits
    assert torch.allclose(theirs, logits(policy), atol=1e-6)


def test_adapters_are_merged_in_float32_and_written_in_the_precision_of_computing(
    llama: Path, tmp_path: Path
) -> None:
    policy = changed(opened(llama, lora=Lora(rank=2), dtype="bfloat16"))
    weights = dict(merged_weights(policy.model))
    name = "model.layers.0.self_attn.q_proj.weight"
    layer = policy.model.get_base_model().model.layers[0].self_attn.q_proj
    delta = (layer.lora_B.default.weight @ layer.lora_A.default.weight) * layer.scaling["default"]
    assert weights[name].dtype == torch.float32
    assert torch.allclose(weights[name], layer.base_layer.weight.float() + delta, atol=1e-7)
    assert weights["lm_head.weight"].dtype == torch.bfloat16
    save_policy(policy, policy.model, tmp_path / "child")
    written = load_file(tmp_path / "child" / "model.safetensors")
    assert torch.equal(written[name], weights[name].to(torch.bfloat16))
    assert '"dtype": "bfloat16"' in (tmp_path / "child" / "config.json").read_text()


def test_weights_that_are_one_stay_one(tmp_path: Path) -> None:
    from transformers import LlamaForCausalLM

    parent = tiny_models.tiny_llama(tmp_path / "parent")
    model = LlamaForCausalLM.from_pretrained(parent)
    model.config.tie_word_embeddings = True
    model.tie_weights()
    model.save_pretrained(parent)
    assert "lm_head.weight" not in load_file(parent / "model.safetensors")
    policy = changed(opened(parent, lora=None))
    save_policy(policy, policy.model, tmp_path / "child")
    assert "lm_head.weight" not in load_file(tmp_path / "child" / "model.safetensors")
    child = opened(tmp_path / "child")
    child.model.eval()
    assert torch.allclose(logits(child), logits(policy), atol=1e-5)


def test_linear_layers_are_those_of_the_language_model(tmp_path: Path) -> None:
    model = opened(tiny_models.tiny_qwen2_vl(tmp_path)).model
    found = linear_layers(model)
    assert len(found) == 2 * 7
    assert all(".language_model.layers." in name for name in found)
    adapted = with_adapters(model, Lora(rank=2))
    trained = {name for name, p in adapted.named_parameters() if p.requires_grad}
    assert trained and all("language_model" in name and "lora_" in name for name in trained)


def test_named_targets_alone_get_adapters(llama: Path) -> None:
    adapted = with_adapters(opened(llama).model, Lora(rank=2, targets=("q_proj", "v_proj")))
    trained = {name.split(".")[-4] for name, p in adapted.named_parameters() if p.requires_grad}
    assert trained == {"q_proj", "v_proj"}


@pytest.mark.parametrize("target", ["layers.1.self_attn.q_proj", "model.layers.0.mlp.up_proj", "q_proj"])
def test_a_target_is_a_name_or_the_end_of_one(target: str, llama: Path) -> None:
    adapted = with_adapters(opened(llama).model, Lora(rank=2, targets=(target,)))
    trained = {name for name, p in adapted.named_parameters() if p.requires_grad}
    assert trained and all(f"{target}.lora_" in name for name in trained)


@pytest.mark.parametrize("target", ["q_prj", "proj", "foo", ""])
def test_a_target_that_is_no_layer_is_named_with_the_nearest(target: str, llama: Path) -> None:
    with pytest.raises(UsageError, match=rf"lora.targets: unknown layer '{target}'") as fault:
        with_adapters(opened(llama).model, Lora(rank=2, targets=("v_proj", target)))
    assert ("did you mean 'q_proj'?" in str(fault.value)) == (target == "q_prj")


def test_a_copy_without_values_has_the_structure(llama: Path) -> None:
    policy = opened(llama, lora=Lora(rank=2))
    empty = bare(policy.model)
    assert {tensor.device.type for tensor in empty.state_dict().values()} == {"meta"}
    assert {n: v.shape for n, v in empty.state_dict().items()} == {
        n: v.shape for n, v in policy.model.state_dict().items()
    }
    plain = opened(llama).model.state_dict()
    assert without_adapters(policy.model).state_dict().keys() == plain.keys()
    assert dict(merged_weights(policy.model)).keys() == plain.keys()


def test_fresh_adapters_follow_from_the_seed(llama: Path, tmp_path: Path) -> None:
    def first(seed: int) -> Tensor:
        policy = policy_for(settings_of(llama, tmp_path, lora=Lora(rank=2), seed=seed))
        layer = policy.model.get_base_model().model.layers[0].self_attn.q_proj
        weight: Tensor = layer.lora_A.default.weight
        return weight

    assert torch.equal(first(1), first(1)) and not torch.equal(first(1), first(2))
