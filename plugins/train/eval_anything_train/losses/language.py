"""Cross-entropy on the answers' tokens."""

from __future__ import annotations

from torch import Tensor


def sft(logprobs: Tensor, mask: Tensor) -> Tensor:
    """The mean of -log p over the answers' tokens of the whole batch; (B, L), (B, L) bool.

    `logprobs` is zero where `mask` is false.
    """
    return -logprobs.sum() / mask.sum().clamp(min=1)


def sums(logprobs: Tensor, mask: Tensor) -> Tensor:
    """(B,): log-probability of each whole answer."""
    return (logprobs * mask).sum(dim=1)


def means(logprobs: Tensor, mask: Tensor, lengths: Tensor | None = None) -> Tensor:
    """(B,): log-probability of each answer by its number of tokens, or by `lengths`."""
    count = mask.sum(dim=1) if lengths is None else lengths
    return sums(logprobs, mask) / count.clamp(min=1)
