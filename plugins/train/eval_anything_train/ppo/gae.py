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
    rewards, values = torch.where(mask, rewards, 0.0), torch.where(mask, values, 0.0)
    following = torch.cat([values[:, 1:], torch.zeros_like(values[:, :1])], dim=1)
    found = rewards + gamma * following - values
    for column in range(mask.shape[1] - 2, -1, -1):
        found[:, column] += gamma * gae_lambda * found[:, column + 1] * mask[:, column + 1]
    return found * mask
