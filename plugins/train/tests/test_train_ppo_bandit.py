"""Problems whose optimum is known are solved: one word that is paid for; a distribution in closed form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import tiny_models
import torch
from ppo_kit import by_text, metrics_of, next_token, settings_of
from train_kit import turn

from eval_anything_train.loop import train
from eval_anything_train.policy import Policy, policy_for
from eval_anything_train.ppo.method import PPO
from eval_anything_train.ppo.settings import PPOSettings
from eval_anything_train.settings import Lora
from eval_anything_train.values import Prompt


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.tiny_llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Tensors are so small that threads only wait for one another."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def same_question(count: int) -> list[Prompt]:
    return [Prompt(id=f"p{n}", messages=turn("what?")) for n in range(count)]


def words_of(policy: Policy) -> list[str]:
    tokenizer = policy.opened.tokenizer
    return [tokenizer.decode([n], skip_special_tokens=True) for n in range(len(tokenizer))]


def likeliest(policy: Policy, count: int) -> list[str]:
    """Tokens that say something which no other token says."""
    words = words_of(policy)
    order = next_token(policy, policy.model, same_question(1)[0]).argsort(descending=True)
    return [words[n] for n in order.tolist() if words[n] and words.count(words[n]) == 1][:count]


def solve(settings: PPOSettings, scores: dict[str, float], otherwise: float) -> torch.Tensor:
    """Probabilities of the first token after training; `scores` are of whole answers."""
    policy = policy_for(settings, reference=True)
    method = PPO(policy, settings, reward=by_text(lambda text: scores.get(text, otherwise)))
    train(method, same_question(settings.batch_size * settings.accumulate), settings, stream=None)
    policy.model.eval()
    return next_token(policy, policy.model, same_question(1)[0])


@pytest.mark.parametrize("lora", [None, Lora(rank=4)])
def test_the_word_that_is_paid_for_is_said(lora: Lora | None, llama: Path, tmp_path: Path) -> None:
    rates = {"lr": 3e-3, "critic_lr": 1e-2} if lora is None else {"lr": 2e-2, "critic_lr": 2e-2}
    s = settings_of(llama, tmp_path / "out", batch_size=32, epochs=15, max_new_tokens=1, lora=lora, **rates)
    policy = policy_for(s, reference=True)
    word = likeliest(policy, 3)[2]
    place = words_of(policy).index(word)
    assert next_token(policy, policy.model, same_question(1)[0])[place] < 0.1
    assert solve(s, {word: 1.0}, 0.0)[place] > 0.9
    lines = metrics_of(s)
    assert lines[0]["reward"] < 0.2
    assert lines[-1]["reward"] > 0.9
    assert lines[-1]["kl"] > 1.0
    assert abs(lines[-1]["value"] - 1.0) < 0.3  # the critic has learned what is paid


def test_the_price_of_distance_leads_to_the_reference_reweighted(llama: Path, tmp_path: Path) -> None:
    """Reward less kl_coeff * KL is highest at ref * exp(reward / kl_coeff), normalised, and nowhere else.

    Ziegler et al., arXiv 1909.08593, equation 2.
    """
    s = settings_of(
        llama,
        tmp_path / "out",
        **{"batch_size": 64, "epochs": 100, "max_new_tokens": 1, "kl_coeff": 1.0},
        **{"lr": 1e-3, "critic_lr": 2e-2},
    )
    policy = policy_for(s, reference=True)
    before, words = next_token(policy, policy.model, same_question(1)[0]), words_of(policy)
    paid = dict(zip(likeliest(policy, 6), (1.0, 0.8, 0.6, 0.4, 0.2, 0.0), strict=True))
    rewards = torch.tensor([paid.get(word, -2.0) for word in words], dtype=torch.float64)
    best = (before.log() + rewards / s.kl_coeff).softmax(-1)
    found = solve(s, paid, -2.0)

    def away(one: torch.Tensor) -> float:
        return 0.5 * float((one - best).abs().sum())

    assert away(before) > 0.3
    assert away(found) < 0.1
    for word in paid:
        place = words.index(word)
        assert float(found[place]) == pytest.approx(float(best[place]), abs=0.02)


def test_longer_answers_and_several_updates_of_each(llama: Path, tmp_path: Path) -> None:
    """The pay comes at the end, and the critic carries it to the tokens that earned it."""
    s = settings_of(
        llama,
        tmp_path / "out",
        **{"batch_size": 16, "accumulate": 2, "epochs": 25, "max_new_tokens": 4, "update_iters": 2},
        **{"lr": 3e-3, "critic_lr": 1e-2},
    )
    policy = policy_for(s, reference=True)
    letter = likeliest(policy, 1)[0]
    method = PPO(policy, s, reward=by_text(lambda text: float(text.count(letter))))
    train(method, same_question(32), s, stream=None)
    rewards: Sequence[float] = [line["reward"] for line in metrics_of(s)]
    assert rewards[0] < 1.0
    assert sum(rewards[-3:]) / 3 > 3.9  # of 4 at most
    assert any(line["clipped"] > 0 for line in metrics_of(s))
