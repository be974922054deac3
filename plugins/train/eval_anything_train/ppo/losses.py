"""PPO's losses as functions of tensors alone. Columns are tokens; all is float32.

Losses are sums over the answers' tokens by `count`: the number of those tokens in the whole optimiser step,
so that the sum over its micro batches is the mean over all its tokens, however the step is divided.
Schulman et al., arXiv 1707.06347; the forms are those of align-anything.
"""

from __future__ import annotations

import torch
from torch import Tensor


def actor(
    logprobs: Tensor, old: Tensor, advantages: Tensor, mask: Tensor, clip_range: float, count: float
) -> Tensor:
    """-sum(min(A * ratio, A * clip(ratio, 1 - clip_range, 1 + clip_range))) / count; ratio = p / p_old.

    (B, T) each, `mask` bool; equation 7.
    """
    ratio = ratios(logprobs, old, mask)
    clipped = ratio.clamp(1 - clip_range, 1 + clip_range)
    return -masked_sum(torch.minimum(advantages * ratio, advantages * clipped), mask) / count


def critic(
    values: Tensor, old: Tensor, returns: Tensor, mask: Tensor, clip_range: float, count: float
) -> Tensor:
    """0.5 * sum(max((V - R)^2, (V_clipped - R)^2)) / count; V_clipped: V within `clip_range` of the old one.

    (B, T) each, `mask` bool.
    """
    clipped = old + (values - old).clamp(-clip_range, clip_range)
    misses = [torch.where(mask, found - returns, 0.0).square() for found in (values, clipped)]
    return 0.5 * torch.maximum(*misses).sum() / count


def ratios(logprobs: Tensor, old: Tensor, mask: Tensor) -> Tensor:
    """p / p_old; 1 outside of the mask."""
    return torch.where(mask, logprobs - old, 0.0).exp()


def beyond(ratio: Tensor, mask: Tensor, clip_range: float) -> Tensor:
    """How many of the mask's tokens have a ratio outside of the range."""
    return ((ratio - 1).abs() > clip_range).logical_and(mask).sum()


def masked_sum(values: Tensor, mask: Tensor) -> Tensor:
    """The sum over the mask's entries; what is elsewhere counts nothing, even if it is no number."""
    return torch.where(mask, values, 0.0).sum()
