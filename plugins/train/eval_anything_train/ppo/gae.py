"""Rewards of single tokens and generalised advantage estimation. Columns are tokens; all is float32."""

from __future__ import annotations

import torch
from torch import Tensor


def token_rewards(
    scores: Tensor, log_ratios: Tensor, mask: Tensor, kl_coeff: float, clip_range_score: float
) -> Tensor:
    """(B, T): -kl_coeff * log_ratio at every token of the answer; the clipped score at its last one besides.

    `scores` (B,), of whole answers; `log_ratios` (B, T), log p - log p_ref; `mask` (B, T) bool, true in one
    unbroken stretch of each row. Stiennon et al., arXiv 2009.01325, with the KL spread over the tokens.
    """
    rewards = -kl_coeff * log_ratios * mask
    last = mask.shape[1] - 1 - mask.flip(1).int().argmax(dim=1, keepdim=True)
    clipped = scores.clamp(-clip_range_score, clip_range_score)
    return rewards.scatter_add(1, last, clipped[:, None].to(rewards.dtype))


def advantages(rewards: Tensor, values: Tensor, mask: Tensor, gamma: float, gae_lambda: float) -> Tensor:
    """(B, T): the sum over later tokens k of (gamma * lambda)^k * (r + gamma * V_next - V).

    `values` (B, T): what the critic expects before each token; after the answer's last token it is 0.
    Zero outside of the mask. Schulman et al., arXiv 1506.02438, equation 16.
    """
    rewards, values = rewards * mask, values * mask
    following = torch.cat([values[:, 1:], torch.zeros_like(values[:, :1])], dim=1)
    found = rewards + gamma * following - values
    for column in range(mask.shape[1] - 2, -1, -1):
        found[:, column] += gamma * gae_lambda * found[:, column + 1] * mask[:, column + 1]
    return found * mask


def whitened(values: Tensor, mask: Tensor, total: float, sums: tuple[float, float]) -> Tensor:
    """`values` shifted and scaled to mean 0 and deviation 1 over `total` tokens, whose sum and sum of squares
    are `sums`; they may be those of many batches."""
    mean = sums[0] / total
    variance = max(sums[1] / total - mean * mean, 0.0)
    return (values - mean) * mask / (variance + 1e-8) ** 0.5
