"""The methods on real tiny models: their losses from plain logits, the reference, adapters, reward models."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import tiny_models
import torch
import train_kit
from torch import Tensor
from train_kit import FAMILIES, MAKERS, pairs, turn

from eval_anything.errors import UnknownName, UsageError
from eval_anything.values import Text
from eval_anything_train.collate import Batch
from eval_anything_train.logprobs import token_logprobs
from eval_anything_train.lora import has_adapters
from eval_anything_train.losses import language
from eval_anything_train.methods import settings as of
from eval_anything_train.methods.base import Method
from eval_anything_train.methods.kto import KTOBatch
from eval_anything_train.methods.registry import method_class, names
from eval_anything_train.policy import Policy, evaluating
from eval_anything_train.reward_model import RewardModel, end_scores, load_head
from eval_anything_train.settings import Lora, Settings
from eval_anything_train.values import Critiqued, Demonstration, Feedback, Labelled, Pair

KINDS: dict[str, type[Settings]] = {
    "sft": Settings,
    "feedback": Settings,
    "reward": of.RewardSettings,
    "dpo": of.DPOSettings,
    "kto": of.KTOSettings,
    "simpo": of.SimPOSettings,
    "orpo": of.ORPOSettings,
}
LORA = Lora(rank=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.tiny_llama(tmp_path_factory.mktemp("m") / "llama")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> train_kit.Media:
    return train_kit.media(tmp_path_factory.mktemp("media"))


def method_of(name: str, folder: Path, *, lora: Lora | None = None, **settings: Any) -> Method[Any, Any]:
    kind = method_class(name)
    asked = KINDS[name](model=str(folder), data="tiny", out="unused", **settings)
    return kind(train_kit.policy(folder, lora=lora, reference=kind.needs_reference), asked)


def records(name: str, files: train_kit.Media | None = None) -> list[Any]:
    held = pairs(3, files)
    if name in ("sft", "feedback"):
        made: dict[str, Callable[[Pair], Any]] = {
            "sft": lambda p: Demonstration(id=p.id, messages=p.messages, answer=p.chosen),
            "feedback": lambda p: Critiqued(
                id=p.id,
                messages=p.messages,
                answer=p.rejected,
                feedback=Feedback(critique="The image is blue", refinement="say yes"),
            ),
        }
        return [made[name](pair) for pair in held]
    if name == "kto":
        good = [Labelled(id=p.id, messages=p.messages, answer=p.chosen, desirable=True) for p in held]
        bad = Labelled(id="bad", messages=held[0].messages, answer=held[0].rejected, desirable=False)
        return [*good, bad]
    return held


def batch_for(method: Method[Any, Any], found: list[Any]) -> Batch:
    batch: Batch = method.collate([method.encode(r) for r in found])
    return batch.to("cpu", torch.float32)


def loss_of(method: Method[Any, Any], batch: Batch) -> tuple[Tensor, dict[str, Any]]:
    loss, metrics = method.loss(method.trained(), batch)
    return loss, dict(metrics)


def nudge(module: torch.nn.Module, size: float = 0.02) -> None:
    """Move the trained weights a little, as training would."""
    noise = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for p in module.parameters():
            if p.requires_grad:
                p.add_(size * torch.randn(p.shape, generator=noise))


def plain_logprobs(model: Any, batch: Batch) -> Tensor:
    """(B, L - 1) from the whole logits; zero outside of the answers."""
    with torch.no_grad():
        logits = model(**batch.inputs).logits[:, :-1]
    found = torch.log_softmax(logits.double(), -1).gather(-1, batch.inputs["input_ids"][:, 1:, None])
    return found.squeeze(-1) * batch.response[:, 1:]


def log_sigmoid(x: Tensor) -> Tensor:
    return -torch.log1p(torch.exp(-x))


def expected(name: str, method: Method[Any, Any], batch: Batch, frozen: Any) -> Tensor:
    """The loss from whole logits, in float64, formulas written out once more."""
    policy, s = method.policy, method.settings
    per_token = plain_logprobs(policy.model, batch)
    count = batch.response[:, 1:].sum(1)
    if name in ("sft", "feedback"):
        return -per_token.sum() / count.sum()
    total = per_token.sum(1)
    if name == "kto":
        assert isinstance(batch, KTOBatch)
        before = plain_logprobs(frozen, batch).sum(1)
        other = plain_logprobs(policy.model, batch.mismatched) - plain_logprobs(frozen, batch.mismatched)
        kl = other.sum(1).mean().clamp(min=0)
        sign = torch.where(batch.labels["desirable"], 1, -1)
        return (1 - torch.sigmoid(s.beta * sign * (total - before - kl))).mean()
    if name == "reward":
        last = batch.inputs["attention_mask"].sum(1) - 1
        with torch.no_grad():
            states = policy.model(**batch.inputs, output_hidden_states=True).hidden_states[-1]
            ends = states[torch.arange(len(last)), last].double()
            total = ends @ method.trained().head.weight[0].double()  # type: ignore[union-attr, index, operator]
    half = len(total) // 2
    chosen, rejected = total[:half], total[half:]
    if name == "reward":
        pull = (chosen**2 + rejected**2).mean() / 2
        return -log_sigmoid(chosen - rejected).mean() + s.regularization * pull
    if name == "dpo":
        before = plain_logprobs(frozen, batch).sum(1)
        return -log_sigmoid(s.beta * (chosen - before[:half] - rejected + before[half:])).mean()
    length = count if s.length == "answer" else batch.inputs["attention_mask"].sum(1)
    chosen, rejected = chosen / length[:half], rejected / length[half:]
    if name == "simpo":
        return -log_sigmoid(s.beta * (chosen - rejected) - s.gamma).mean()
    odds = [torch.exp(side) / (1 - torch.exp(side)) for side in (chosen, rejected)]
    return -chosen.mean() - s.odds_weight * log_sigmoid(torch.log(odds[0] / odds[1])).mean()


@pytest.mark.parametrize("name", KINDS)
def test_losses_are_their_formulas_on_plain_logits(name: str, folder: Path) -> None:
    method = method_of(name, folder)
    frozen = method.policy.frozen
    nudge(method.trained())
    method.trained().eval()
    batch = batch_for(method, records(name))
    loss, metrics = loss_of(method, batch)
    assert loss.item() == pytest.approx(float(expected(name, method, batch, frozen)), rel=1e-5)
    assert all(torch.as_tensor(v).ndim == 0 and math.isfinite(v) for v in metrics.values())
    assert not any(torch.as_tensor(v).requires_grad for v in metrics.values())


@pytest.mark.parametrize("name", ["simpo", "orpo"])
def test_the_released_length_counts_the_prompt_too(name: str, folder: Path) -> None:
    losses = {}
    for length in ("answer", "whole"):
        method = method_of(name, folder, length=length)
        method.trained().eval()
        batch = batch_for(method, records(name))
        losses[length] = loss_of(method, batch)[0].item()
        assert losses[length] == pytest.approx(float(expected(name, method, batch, None)), rel=1e-5)
    assert losses["answer"] != pytest.approx(losses["whole"], rel=0.01)


def test_kto_in_the_released_form_differs_in_its_sign_alone(folder: Path) -> None:
    paper, quirk = (method_of("kto", folder, form=form) for form in ("paper", "align-anything"))
    bad = [r for r in records("kto") if not r.desirable] * 2
    for method in (paper, quirk):
        nudge(method.trained())
    first, second = (loss_of(m, batch_for(m, bad))[0] for m in (paper, quirk))
    assert first.item() == pytest.approx(-second.item())


@pytest.mark.parametrize("name", KINDS)
def test_batches_of_every_makeup_have_the_same_metrics(name: str, folder: Path) -> None:
    method = method_of(name, folder)
    found = records(name)
    seen = {tuple(loss_of(method, batch_for(method, part))[1]) for part in (found, found[:1], found[-1:])}
    assert len(seen) == 1


@pytest.mark.parametrize("name", [n for n in KINDS if n != "kto"])
def test_micro_batches_add_up_to_the_batch(name: str, folder: Path) -> None:
    """Gradients of parts, weighted as the loop weights them, are those of the whole."""
    method = method_of(name, folder)
    nudge(method.trained())
    found = records(name)

    def gradient(parts: list[list[Any]]) -> Tensor:
        method.trained().zero_grad()
        batches = [batch_for(method, part) for part in parts]
        total = sum(method.weight(batch) for batch in batches)
        for batch in batches:
            (loss_of(method, batch)[0] * (method.weight(batch) / total)).backward()
        return torch.cat([p.grad.flatten() for p in method.trained().parameters() if p.grad is not None])

    whole, parts = gradient([found]), gradient([found[:1], found[1:]])
    assert float((whole - parts).norm() / whole.norm()) < 1e-4


def test_kto_mismatches_prompts_with_the_next_records_answer(folder: Path) -> None:
    method = method_of("kto", folder)
    found = records("kto")
    batch = batch_for(method, found)
    assert isinstance(batch, KTOBatch)
    other = batch.mismatched
    decode = method.policy.encoder.tokenizer.decode
    ends = method.policy.encoder.end
    for n, record in enumerate(found):
        ids = other.inputs["input_ids"][n][other.response[n]].tolist()
        assert ids[-1] == ends
        assert decode(ids[:-1]) == found[(n + 1) % len(found)].answer[0].text
        kept = other.inputs["attention_mask"][n].bool() & ~other.response[n]
        prompt = method.policy.encoder.prompt(record.messages)
        assert other.inputs["input_ids"][n][kept].equal(prompt.input_ids)


def test_kto_has_no_divergence_for_a_record_alone(folder: Path) -> None:
    """Its own answer is none of another record: how far that has moved is no estimate."""
    method = method_of("kto", folder)
    nudge(method.trained())
    found = [loss_of(method, batch_for(method, [record]))[1] for record in records("kto")]
    assert [float(metrics["kl"]) for metrics in found] == [0.0] * len(found)
    # Guards the line above: of some the estimate would have been positive.
    assert max(float(m["margin"]) * (1 if m["desirable"] else -1) for m in found) > 0


def test_kto_has_no_gradient_through_the_divergence(folder: Path) -> None:
    method = method_of("kto", folder)
    nudge(method.trained())
    loss, metrics = loss_of(method, batch_for(method, records("kto")))
    assert loss.requires_grad
    assert not metrics["kl"].requires_grad


def test_kto_keeps_mismatched_rows_within_the_limit(folder: Path) -> None:
    method = method_of("kto", folder)
    found = records("kto")
    longest = max(len(method.encode(r).whole) for r in found)
    method.policy.encoder.max_length = longest
    batch = batch_for(method, found)
    assert isinstance(batch, KTOBatch)
    assert batch.mismatched.response.shape[1] <= longest
    assert bool(batch.mismatched.response.any(1).all())


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
    import shutil

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


@pytest.mark.parametrize(
    ("name", "family"), [("dpo", "omni"), ("dpo", "llava"), ("reward", "qwen2_vl"), ("reward", "qwen2_audio")]
)
def test_pairs_with_media_train(name: str, family: str, files: train_kit.Media, tmp_path: Path) -> None:
    method = method_of(name, MAKERS[family](tmp_path / "m"))
    held = pairs(2, files, train_kit.TAKES[family][0])
    batch = batch_for(method, held)
    optimizer = torch.optim.Adam(method.trained().parameters(), lr=3e-3)
    losses = []
    for _ in range(3):
        loss = loss_of(method, batch)[0]
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(math.log(2), abs=1e-5)
    assert losses[-1] < losses[0] - 0.02


@pytest.mark.parametrize("lora", [None, LORA], ids=["weights", "adapters"])
def test_a_reward_model_scores_alike_after_saving(lora: Lora | None, folder: Path, tmp_path: Path) -> None:
    method = method_of("reward", folder, lora=lora)
    nudge(method.trained())
    method.trained().eval()
    batch = batch_for(method, records("reward"))
    with torch.no_grad():
        scores = end_scores(method.trained(), batch)
    method.save(method.trained(), tmp_path / "saved")
    again = method_of("reward", tmp_path / "saved")
    again.trained().eval()
    with torch.no_grad():
        torch.testing.assert_close(end_scores(again.trained(), batch), scores, rtol=1e-4, atol=1e-5)


def test_a_score_is_read_at_the_end_of_turn_whatever_the_padding(folder: Path) -> None:
    method = method_of("reward", folder)
    nudge(method.trained())
    model = method.trained().eval()
    rows = [row for record in records("reward") for row in method.encode(record)]
    with torch.no_grad():
        alone = torch.cat([end_scores(model, train_kit.batch_of(method.policy, [row])) for row in rows])
        for side in ("right", "left"):
            together = end_scores(model, train_kit.batch_of(method.policy, rows, side))  # type: ignore[arg-type]
            torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)
    assert len(set(alone.tolist())) == len(rows)


def test_scores_are_float32_though_the_network_is_not(folder: Path) -> None:
    policy = train_kit.policy(folder, reference=False)
    model = RewardModel(policy.model.to(torch.bfloat16))
    assert model.head.weight.dtype == torch.float32
    nudge(model.head, 1.0)
    row = policy.encoder.conversation(turn("yes?"), (Text("no"),))
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        scores = model(**train_kit.batch_of(policy, [row]).inputs)
    assert scores.dtype == torch.float32
    assert not scores.to(torch.bfloat16).float().equal(scores)


def test_a_folder_that_is_no_reward_model(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"not a reward model: no reward_head\.safetensors"):
        load_head(folder)
    (tmp_path / "reward_head.safetensors").write_bytes(b"broken")
    with pytest.raises(UsageError, match=r"reward_head\.safetensors: damaged"):
        load_head(tmp_path)


def test_names() -> None:
    assert set(names()) >= set(KINDS)
    for name in names():
        assert method_class(name).name == name
    with pytest.raises(UnknownName, match="simpo"):
        method_class("sipmo")


def test_the_defaults_are_the_papers() -> None:
    given = {"model": "m", "data": "d", "out": "o"}
    plain = {name: msgspec.to_builtins(kind(**given)) for name, kind in KINDS.items()}
    assert plain["kto"]["form"] == "paper"
    assert plain["simpo"]["length"] == plain["orpo"]["length"] == "answer"
    assert plain["dpo"]["beta"] == 0.1
    assert plain["reward"]["regularization"] == 0.001


def test_a_feedback_model_learns_feedback_alone(folder: Path) -> None:
    """Its batch's answers are the feedback; prompt, response and cue stand before it."""
    method = method_of("feedback", folder)
    record = records("feedback")[0]
    row = method.encode(record)
    decode = method.policy.encoder.tokenizer.decode
    assert decode(row.input_ids[row.response][:-1].tolist()) == record.feedback.text
    asked = decode(row.input_ids[~row.response].tolist())
    said = record.answer[0].text
    shown = f"##Prompt: What is it? \n##Response: {said}\nYour critique and refinement:"
    assert shown in asked


def test_imitation_lowers_the_loss(folder: Path) -> None:
    method = method_of("sft", folder)
    batch = batch_for(method, records("sft"))
    optimizer = torch.optim.Adam(method.trained().parameters(), lr=3e-3)
    losses = []
    for _ in range(6):
        loss = loss_of(method, batch)[0]
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


def test_sums_over_a_whole_batch_do_not_see_masked_columns(folder: Path) -> None:
    """Even where something stands in them."""
    policy: Policy = train_kit.policy(folder, reference=False)
    batch = train_kit.batch_of(policy, [policy.encoder.conversation(turn("yes?"), (Text("no"),))])
    logprobs, mask = token_logprobs(policy.model, batch)
    assert not logprobs[~mask].any()
    dirty = logprobs + (~mask) * 7.0
    assert language.sums(dirty, mask).allclose(language.sums(logprobs, mask))
    nothing = dataclasses.replace(batch, response=torch.zeros_like(batch.response))
    assert token_logprobs(policy.model, nothing)[1].sum() == 0
