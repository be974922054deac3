"""Sampling that does not depend on the batch: each row draws from a generator of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from eval_anything.values import Request


def row_seed(request: Request) -> int:
    """The seed of one request's draws, 63 bits: from `params.seed`, which sample it is for, and which draw.

    A request without origin is told from others by what it says.
    """
    origin = request.origin
    whose = (
        msgspec.json.encode(request.messages).decode()
        if origin is None
        else [origin.task, origin.sample_id, origin.repeat, *([origin.part] if origin.part else [])]
    )
    key = msgspec.json.encode([request.params.seed or 0, request.draw, whose])
    return int.from_bytes(hashlib.sha256(key).digest()[:8], "big") >> 1


class GumbelSampler:
    """A logits processor after which the arg-max is a sample from softmax(scores / temperature).

    The Gumbel-max trick: arg-max of log-probabilities plus independent Gumbel noise is distributed as the
    probabilities (Gumbel 1954; Maddison, Tarlow and Minka 2014). Top-k, then top-p narrow the choice first;
    top-p keeps the smallest set whose probability reaches `top_p` (Holtzman et al. 2020).
    """

    def __init__(
        self, seeds: Sequence[int], temperature: float, top_k: int | None, top_p: float | None, device: Any
    ) -> None:
        import torch

        self.temperature, self.top_k, self.top_p = temperature, top_k, top_p
        self.generators = [torch.Generator(device=device).manual_seed(seed) for seed in seeds]

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """`scores`: (rows, vocabulary); returns the same shape, in float32."""
        import torch

        scores = scores.float() / self.temperature
        if self.top_k is not None and 0 < self.top_k < scores.shape[-1]:
            least = torch.topk(scores, self.top_k, dim=-1).values[:, -1:]
            scores = scores.masked_fill(scores < least, -torch.inf)
        if self.top_p is not None and self.top_p < 1.0:
            scores = self._nucleus(scores, self.top_p)
        noise = torch.empty_like(scores)
        for row, generator in zip(noise, self.generators, strict=True):
            row.exponential_(generator=generator)
        return scores - noise.log()  # minus the log of a unit exponential is Gumbel noise

    @staticmethod
    def _nucleus(scores: Any, top_p: float) -> Any:
        import torch

        ordered, index = torch.sort(scores, dim=-1, descending=True)
        probabilities = ordered.softmax(dim=-1)
        before = probabilities.cumsum(dim=-1) - probabilities
        dropped = before >= top_p
        dropped[:, 0] = False
        return scores.masked_fill(dropped.scatter(-1, index, dropped), -torch.inf)
