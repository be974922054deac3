"""A whole step of PPO against plain NumPy in double precision: rewards, advantages, both losses, imitation,
their gradients, clipping and AdamW. The model is embedding, norm and head."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from ppo_kit import bigrams, demonstrations, metrics_of, prompts, reward_model, run_ppo, settings_of
from safetensors.torch import load_file

from eval_anything_train.policy import policy_for
from eval_anything_train.ppo.rollouts import Question, Sampler, gathered
from eval_anything_train.ppo.settings import PPOSettings
from eval_anything_train.reward_model import HEAD
from eval_anything_train.session import Session
from eval_anything_train.values import Demonstration

Array = np.ndarray
EMBED, NORM, OUT, VALUE = "model.embed_tokens.weight", "model.norm.weight", "lm_head.weight", "head"
EPS = 1e-6  # of the norm


@dataclasses.dataclass
class Row:
    """One answer: the tokens before and at each of its places, and its score."""

    before: Array
    tokens: Array
    score: float = 0.0


class Net:
    """Forward and backward passes; `weights` has the head over the vocabulary or the critic's."""

    def __init__(self, weights: dict[str, Array]) -> None:
        self.weights = {name: value.astype(np.float64) for name, value in weights.items()}
        self.averages = {name: (np.zeros_like(v), np.zeros_like(v)) for name, v in self.weights.items()}
        self.updates = 0

    def states(self, ids: Array) -> tuple[Array, Array, Array]:
        held = self.weights[EMBED][ids]
        size = np.sqrt((held**2).mean(axis=1, keepdims=True) + EPS)
        return held, size, held / size * self.weights[NORM]

    def log_softmax(self, ids: Array, temperature: float) -> Array:
        logits = self.states(ids)[2] @ self.weights[OUT].T / temperature
        logits -= logits.max(axis=1, keepdims=True)
        return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))

    def logprobs(self, row: Row, temperature: float) -> Array:
        return self.log_softmax(row.before, temperature)[np.arange(len(row.tokens)), row.tokens]

    def values(self, row: Row) -> Array:
        return (self.states(row.before)[2] @ self.weights[VALUE].T)[:, 0]

    def backward(self, ids: Array, head: str, outer: Array, found: dict[str, Array]) -> None:
        """Add to `found` the gradients for `outer`, that of the head's outputs."""
        held, size, normed = self.states(ids)
        found[head] += outer.T @ normed
        inner = outer @ self.weights[head]
        found[NORM] += (inner * held / size).sum(axis=0)
        scaled = inner * self.weights[NORM]
        pull = held * (scaled * held).mean(axis=1, keepdims=True) / size**3
        np.add.at(found[EMBED], ids, scaled / size - pull)

    def logprob_backward(self, row: Row, by: Array, temperature: float, found: dict[str, Array]) -> None:
        """The same for `by`, the gradient of each token's log-probability."""
        outer = -np.exp(self.log_softmax(row.before, temperature)) * by[:, None]
        outer[np.arange(len(row.tokens)), row.tokens] += by
        self.backward(row.before, OUT, outer / temperature, found)

    def zeros(self) -> dict[str, Array]:
        return {name: np.zeros_like(value) for name, value in self.weights.items()}

    def adamw(self, found: dict[str, Array], lr: float, s: PPOSettings) -> float:
        """Clip and update; the norm before."""
        norm = np.sqrt(sum((g**2).sum() for g in found.values()))
        self.updates += 1
        for name, weight in self.weights.items():
            g = found[name] * min(1.0, s.clip / (norm + 1e-6))
            if weight.ndim > 1:
                weight *= 1 - lr * s.weight_decay
            first, second = self.averages[name]
            first += (1 - s.betas[0]) * (g - first)
            second += (1 - s.betas[1]) * (g**2 - second)
            mean = first / (1 - s.betas[0] ** self.updates)
            square = second / (1 - s.betas[1] ** self.updates)
            weight -= lr * mean / (np.sqrt(square) + 1e-8)
        return float(norm)


def token_rewards(log_ratios: Array, score: float, s: PPOSettings) -> Array:
    rewards = -s.kl_coeff * log_ratios
    rewards[-1] += min(max(score, -s.clip_range_score), s.clip_range_score)
    return rewards


def advantages(rewards: Array, values: Array, s: PPOSettings) -> Array:
    found, ahead = np.zeros(len(rewards)), 0.0
    for t in reversed(range(len(rewards))):
        following = values[t + 1] if t + 1 < len(values) else 0.0
        ahead = rewards[t] + s.gamma * following - values[t] + s.gamma * s.gae_lambda * ahead
        found[t] = ahead
    return found


def whitened(found: list[Array]) -> list[Array]:
    every = np.concatenate(found)
    return [(one - every.mean()) / np.sqrt(every.var() + 1e-8) for one in found]


def step(nets: tuple[Net, Net, Net], rows: list[Row], shown: list[Row], s: PPOSettings) -> dict[str, float]:
    """One step with all its updates; the metrics. `nets`: actor, critic, reference."""
    actor, critic, reference = nets
    count = sum(len(row.tokens) for row in rows)
    old = [actor.logprobs(row, s.temperature) for row in rows]
    moved = [o - reference.logprobs(row, s.temperature) for row, o in zip(rows, old, strict=True)]
    values = [critic.values(row) for row in rows]
    gained = [
        advantages(token_rewards(m, row.score, s), v, s)
        for row, m, v in zip(rows, moved, values, strict=True)
    ]
    returns = [a + v for a, v in zip(gained, values, strict=True)]
    gained = whitened(gained) if s.whiten else gained
    held: list[dict[str, float]] = []
    for _ in range(s.update_iters):
        at = dict.fromkeys(("loss", "critic_loss", "ptx_loss", "ratio", "clipped"), 0.0)
        found = actor.zeros()
        for row, o, a in zip(rows, old, gained, strict=True):
            ratio = np.exp(actor.logprobs(row, s.temperature) - o)
            limit = np.clip(ratio, 1 - s.clip_range_ratio, 1 + s.clip_range_ratio)
            at["loss"] -= np.minimum(a * ratio, a * limit).sum() / count
            at["ratio"] += ratio.sum() / count
            at["clipped"] += (np.abs(ratio - 1) > s.clip_range_ratio).sum() / count
            by = -np.where(a * ratio <= a * limit, a * ratio, 0.0) / count
            actor.logprob_backward(row, by, s.temperature, found)
        words = sum(len(row.tokens) for row in shown)
        for row in shown:
            at["ptx_loss"] -= actor.logprobs(row, 1.0).sum() / words
            by = np.full(len(row.tokens), -s.ptx_coeff / words)
            actor.logprob_backward(row, by, 1.0, found)
        at["grad_norm"] = actor.adamw(found, s.lr, s)
        found = critic.zeros()
        for row, v, r in zip(rows, values, returns, strict=True):
            now = critic.values(row)
            limit = np.clip(now, v - s.clip_range_value, v + s.clip_range_value)
            free, bound = (now - r) ** 2, (limit - r) ** 2
            at["critic_loss"] += 0.5 * np.maximum(free, bound).sum() / count
            by = np.where(free >= bound, now - r, np.where(limit == now, now - r, 0.0)) / count
            critic.backward(row.before, VALUE, by[:, None], found)
        at["critic_grad_norm"] = critic.adamw(found, s.critic_lr, s)
        held.append(at)
    means = {name: sum(one[name] for one in held) / len(held) for name in held[0]}
    return {**means, "kl": float(np.mean([m.sum() for m in moved]))}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bigrams(tmp_path_factory.mktemp("bigrams"))


@pytest.fixture(scope="module")
def judge(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return reward_model(tmp_path_factory.mktemp("judge") / "folder", folder)


def weights(folder: Path) -> dict[str, Array]:
    return {name: v.float().numpy() for name, v in load_file(folder / "model.safetensors").items()}


def with_head(folder: Path) -> dict[str, Array]:
    held = weights(folder)
    del held[OUT]  # nothing of the critic's loss depends on it
    return {**held, VALUE: load_file(folder / HEAD)["weight"].numpy()}


def rollouts(s: PPOSettings, folder: Path, number: int = 0) -> list[Row]:
    """What the policy in `folder` answers in step `number`."""
    policy = policy_for(msgspec.structs.replace(s, model=str(folder)))
    questions = [Question(r, policy.encoder.prompt(r.messages, r.id)) for r in prompts(4)]
    rollout = Sampler(Session(s), policy, policy.model, s).answer(gathered(questions, policy.pad), number)
    found = []
    for ids, mask in zip(rollout.batch.inputs["input_ids"], rollout.batch.response, strict=True):
        places = mask.nonzero()[:, 0]
        found.append(Row(ids[places - 1].numpy(), ids[places].numpy()))
    return found


def scored(rows: list[Row], judge: Path) -> list[Row]:
    """With the reward model's scores: the values of the last tokens."""
    net = Net(with_head(judge))
    for row in rows:
        row.score = float((net.states(row.tokens[-1:])[2] @ net.weights[VALUE].T)[0, 0])
    return rows


def as_rows(s: PPOSettings, shown: list[Demonstration]) -> list[Row]:
    encoder = policy_for(s).encoder
    found = []
    for one in shown:
        encoded = encoder.conversation(one.messages, one.answer, one.id)
        places = encoded.response.nonzero()[:, 0]
        found.append(Row(encoded.input_ids[places - 1].numpy(), encoded.input_ids[places].numpy()))
    return found


PLAIN: dict[str, Any] = {"kl_coeff": 0.1, "batch_size": 4, "critic_lr": 4e-4}
CASES: dict[str, dict[str, Any]] = {
    "one update": PLAIN,
    "several updates, divided, clipped": {
        **{"batch_size": 1, "accumulate": 4, "update_iters": 3, "temperature": 0.7, "weight_decay": 0.1},
        **{"clip_range_ratio": 0.01, "clip_range_value": 0.005, "clip_range_score": 0.4, "clip": 0.5},
        **{"kl_coeff": 0.1, "gamma": 0.9, "gae_lambda": 0.8},
    },
    "imitation": {**PLAIN, "batch_size": 2, "accumulate": 2, "update_iters": 2, "ptx_coeff": 3.0},
    "whitened": {**PLAIN, "whiten": True, "batch_size": 2, "accumulate": 2},
    "a second step": {**PLAIN, "epochs": 2, "schedule": "constant"},
}


@pytest.mark.parametrize("case", CASES)
def test_a_step_is_that_of_plain_numpy(case: str, folder: Path, judge: Path, tmp_path: Path) -> None:
    s = settings_of(folder, tmp_path / "out", reward=str(judge), save_every=1, **CASES[case])
    shown = demonstrations() if case == "imitation" else []
    run_ppo(s, prompts(4), shown)

    before = [folder, tmp_path / "out/checkpoints/step-00000001"]
    nets = Net(weights(folder)), Net(with_head(judge)), Net(weights(folder))
    for number, line in enumerate(metrics_of(s)):
        rows = scored(rollouts(s, before[number], number), judge)
        expected = step(nets, rows, as_rows(s, shown), s)
        for name in expected.keys() & line.keys():
            assert line[name] == pytest.approx(expected[name], rel=1e-5, abs=1e-6), name
        assert line.keys() >= expected.keys() - {"ptx_loss"}
        assert ("ptx_loss" in line) == bool(shown)
        assert line["reward"] == pytest.approx(np.mean([row.score for row in rows]), rel=1e-5)
    same(weights(tmp_path / "out" / "final"), nets[0].weights)
    trainer = load_file(tmp_path / f"out/checkpoints/step-0000000{s.epochs}/trainer/weights.safetensors")
    critic = {name.removeprefix("critic/model."): value.numpy() for name, value in trainer.items()}
    same({**critic, VALUE: critic["critic/head.weight"]}, nets[1].weights)


def same(found: dict[str, Array], expected: dict[str, Array]) -> None:
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=1e-5, rtol=0, err_msg=name)


def test_the_cases_reach_what_they_are_to_compare(folder: Path, judge: Path, tmp_path: Path) -> None:
    """Or clipping would not be seen."""
    s = settings_of(folder, tmp_path, reward=str(judge), **CASES["several updates, divided, clipped"])
    rows = scored(rollouts(s, folder), judge)
    nets = Net(weights(folder)), Net(with_head(judge)), Net(weights(folder))
    before = [nets[1].values(row) for row in rows]
    assert step(nets, rows, [], s)["clipped"] > 0.1
    moved = np.concatenate([nets[1].values(row) - b for row, b in zip(rows, before, strict=True)])
    assert (np.abs(moved) > s.clip_range_value).any()
    assert any(abs(row.score) > s.clip_range_score for row in rows)
