"""Rewards of single tokens and generalised advantage estimation. Columns are tokens; all is float32."""

from __future__ import annotations

import torch
from torch import Tensor


def token_rewards(
    scores: Tensor, log_ratios: Tensor, mask: Tensor, kl_coeff: float, clip_range_score: float
) -> Tensor:
    """(B, T): -kl_coeff * log_ratio at every token of the answer; the clipped score at its last one besides.

    `scores` (B,), of whole answers; `log_ratios` (B, T), log p - log p_ref; `mask` (B, T) bool, true
    somewhere in each row. Stiennon et al., arXiv 2009.01325, with the KL spread over the tokens.
    """
    rewards = -kl_coeff * log_ratios * mask
    last = mask.shape[1] - 1 - mask.flip(1).int().argmax(dim=1, keepdim=True)
    clipped = scores.clamp(-clip_range_score, clip_range_score)
    return rewards.scatter_add(1, last, clipped[:, None].to(rewards.dtype))


def advantages(rewards: Tensor, values: Tensor, mask: Tensor, gamma: float, gae_lambda: float) -> Tensor:
    """(B, T): the sum over later tokens k of (gamma * lambda)^k * (r + gamma * V_next - V).

    `values` (B, T): what the critic expects before each token; after the answer's last token it is 0.
    Tokens outside of the mask are not there, those between an answer's own as well; zero for them.
    Schulman et al., arXiv 1506.02438, equation 16.
    """
    count = mask.sum(dim=1)
    # The places of each answer's tokens in their order, then others.
    order = mask.int().argsort(dim=1, descending=True, stable=True)[:, : int(count.max())]
    there = torch.arange(order.shape[1], device=mask.device) < count[:, None]
    reward, value = (torch.where(there, x.gather(1, order), 0.0) for x in (rewards, values))
    following = torch.cat([value[:, 1:], torch.zeros_like(value[:, :1])], dim=1)
    found = reward + gamma * following - value
    for column in range(order.shape[1] - 2, -1, -1):
        found[:, column] += gamma * gae_lambda * found[:, column + 1]
    return torch.zeros_like(rewards).scatter(1, order, found * there)
