"""The methods on tiny models: their losses from plain logits, their batches and metrics."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import msgspec
import pytest
import tiny_models
import torch
import train_kit
from method_kit import KINDS, batch_for, loss_of, method_of, nudge, records
from torch import Tensor
from train_kit import MAKERS, pairs, turn

from eval_anything.errors import UnknownName
from eval_anything.values import Text
from eval_anything_train.collate import Batch
from eval_anything_train.logprobs import token_logprobs
from eval_anything_train.losses import language
from eval_anything_train.methods.base import Method
from eval_anything_train.methods.kto import KTOBatch
from eval_anything_train.methods.registry import method_class, names
from eval_anything_train.policy import Policy


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.tiny_llama(tmp_path_factory.mktemp("m") / "llama")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> train_kit.Media:
    return train_kit.media(tmp_path_factory.mktemp("media"))


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
