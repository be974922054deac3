"""Rewards of tokens, advantages and losses: by hand, at their edges, and as definitions rather than loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from eval_anything_train.ppo import losses
from eval_anything_train.ppo.gae import advantages, token_rewards


def mask_of(*rows: str) -> Tensor:
    """x: a token of the answer."""
    return torch.tensor([[c == "x" for c in row] for row in rows])


MASK = mask_of("..xxx.", ".x....", "xxxxxx", "...xxx")
GAPS = mask_of("..xxx.", ".x..xx", "xxxxxx", "x.x.x.")
"""Between an answer's tokens may stand some that the model was given."""


def noise(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_the_score_comes_at_the_last_token_and_the_price_at_each() -> None:
    ratios = torch.full((4, 6), 0.5)
    found = token_rewards(torch.tensor([3.0, -2.0, 80.0, -80.0]), ratios, MASK, 0.1, 50.0)
    expected = [
        [0, 0, -0.05, -0.05, 2.95, 0],
        [0, -2.05, 0, 0, 0, 0],
        [-0.05, -0.05, -0.05, -0.05, -0.05, 49.95],
        [0, 0, 0, -0.05, -0.05, -50.05],
    ]
    torch.testing.assert_close(found, torch.tensor(expected))


@pytest.mark.parametrize("mask", [MASK, GAPS])
@pytest.mark.parametrize(("gamma", "lam"), [(1.0, 0.95), (0.9, 0.7), (1.0, 1.0), (0.9, 0.0), (0.0, 0.5)])
def test_advantages_are_the_discounted_sum_of_surprises(gamma: float, lam: float, mask: Tensor) -> None:
    """By the definition, for each token by itself; what stands outside of the answers does not matter."""
    rewards, values = noise(0, 4, 6), noise(1, 4, 6)
    found = advantages(rewards, values, mask, gamma, lam)
    for row in range(4):
        places = mask[row].nonzero()[:, 0].tolist()
        v = [*values[row, places].tolist(), 0.0]
        surprises = [rewards[row, p] + gamma * v[k + 1] - v[k] for k, p in enumerate(places)]
        for k, place in enumerate(places):
            ahead = sum((gamma * lam) ** (j - k) * surprises[j] for j in range(k, len(places)))
            assert found[row, place] == pytest.approx(float(ahead), rel=1e-5, abs=1e-6)
    assert not found[~mask].any()
    other = torch.where(mask, rewards, math.nan), torch.where(mask, values, math.inf)
    torch.testing.assert_close(advantages(*other, mask, gamma, lam), found)


def test_with_lambda_one_returns_are_what_was_paid_from_there_on() -> None:
    rewards, values = noise(2, 4, 6), noise(3, 4, 6)
    found = (advantages(rewards, values, MASK, 1.0, 1.0) + values)[MASK]
    paid = torch.where(MASK, rewards, 0.0).flip(1).cumsum(1).flip(1)[MASK]
    torch.testing.assert_close(found, paid)


@pytest.mark.parametrize(
    ("ratio", "advantage", "expected", "slope"),
    [
        (1.0, 2.0, -2.0, -2.0),
        (1.5, 2.0, -2.4, 0.0),  # already likelier than the range: nothing more to gain
        (1.5, -2.0, 3.0, 3.0),  # likelier though it was bad: the whole way back
        (0.5, 2.0, -1.0, -1.0),
        (0.5, -2.0, 1.6, 0.0),
    ],
)
def test_the_ratio_is_clipped_where_that_is_the_lower_bound(
    ratio: float, advantage: float, expected: float, slope: float
) -> None:
    logprobs = torch.tensor([[math.log(ratio) - 1.0]], requires_grad=True)
    one = torch.ones(1, 1, dtype=torch.bool)
    loss = losses.actor(logprobs, torch.tensor([[-1.0]]), torch.tensor([[advantage]]), one, 0.2, 1.0)
    loss.backward()
    assert loss.item() == pytest.approx(expected)
    assert logprobs.grad is not None
    assert logprobs.grad.item() == pytest.approx(slope, abs=1e-6)


@pytest.mark.parametrize(
    ("value", "old", "target", "expected", "slope"),
    [
        (1.0, 0.0, 3.0, 2.0, -2.0),
        (7.0, 0.0, 8.0, 4.5, 0.0),  # further than it may go in one step, and towards the target
        (7.0, 0.0, 3.0, 8.0, 4.0),  # past the target: the whole way back
    ],
)
def test_the_critic_is_clipped_where_that_is_the_upper_bound(
    value: float, old: float, target: float, expected: float, slope: float
) -> None:
    values = torch.tensor([[value]], requires_grad=True)
    one = torch.ones(1, 1, dtype=torch.bool)
    loss = losses.critic(values, torch.tensor([[old]]), torch.tensor([[target]]), one, 5.0, 1.0)
    loss.backward()
    assert loss.item() == pytest.approx(expected)
    assert values.grad is not None
    assert values.grad.item() == pytest.approx(slope)


def test_losses_are_means_over_all_tokens_however_rows_are_divided() -> None:
    new, old, gains = noise(4, 4, 6) * 0.1, noise(5, 4, 6) * 0.1, noise(6, 4, 6)
    count = float(MASK.sum())
    whole = losses.actor(new, old, gains, MASK, 0.2, count)
    parts = [losses.actor(new[k], old[k], gains[k], MASK[k], 0.2, count) for k in (slice(0, 1), slice(1, 4))]
    torch.testing.assert_close(sum(parts), whole)
    ratio = np.exp((new - old)[MASK].numpy())
    a = gains[MASK].numpy()
    plain = -np.minimum(a * ratio, a * np.clip(ratio, 0.8, 1.2)).mean()
    assert whole.item() == pytest.approx(plain, rel=1e-5)
    critic = losses.critic(new, old, gains, MASK, 0.05, count)
    free = (new - gains)[MASK].numpy() ** 2
    bound = (old + (new - old).clamp(-0.05, 0.05) - gains)[MASK].numpy() ** 2
    assert critic.item() == pytest.approx(0.5 * np.maximum(free, bound).mean(), rel=1e-5)


def test_what_is_outside_of_the_mask_has_no_part_in_loss_or_gradient() -> None:
    junk = torch.where(MASK, noise(7, 4, 6), math.nan).requires_grad_()
    loss = losses.actor(junk, torch.where(MASK, 0.0, math.inf), noise(8, 4, 6), MASK, 0.2, 1.0)
    loss.backward()
    assert loss.isfinite()
    assert junk.grad is not None
    assert not junk.grad[~MASK].any()
    values = torch.where(MASK, noise(7, 4, 6), math.nan).requires_grad_()
    loss = losses.critic(values, torch.zeros(4, 6), noise(9, 4, 6), MASK, 5.0, 1.0)
    loss.backward()
    assert loss.isfinite()
    assert values.grad is not None
    assert not values.grad[~MASK].any()


def test_tokens_beyond_the_range_are_counted_on_both_sides() -> None:
    ratio = torch.tensor([[1.0, 1.3, 0.7, 1.1, 5.0]])
    assert losses.beyond(ratio, mask_of("xxxx."), 0.2) == 2
