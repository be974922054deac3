"""Log-probabilities of the answers' tokens, computed for those tokens alone."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from eval_anything_train.collate import Batch


def token_logprobs(model: Any, batch: Batch, temperature: float = 1.0) -> tuple[Tensor, Tensor]:
    """(log-probabilities, mask), each (B, L - 1): column t is about token t + 1; float32.

    Zero where the mask is false: tokens of prompts, media and padding are in no loss.
    """
    targets, mask = batch.inputs["input_ids"][:, 1:], batch.response[:, 1:]
    logits, start = answer_logits(model, batch)
    kept_targets, kept = targets[:, start:], mask[:, start:]
    chosen = gathered(logits[kept], kept_targets[kept], temperature)
    found = chosen.new_zeros(kept.shape).masked_scatter(kept, chosen)
    if start:
        found = torch.cat([found.new_zeros(len(found), start), found], dim=1)
    return found, mask


def answer_logits(model: Any, batch: Batch) -> tuple[Tensor, int]:
    """The logits (B, L - 1 - start, V) from the first column on that any answer needs, and that column.

    The head over the vocabulary is the widest layer of a small model: it is not asked about prompts where the
    model lets one choose.
    """
    columns = batch.response[:, 1:].any(dim=0).nonzero()
    start = int(columns[0]) if len(columns) else 0
    length = batch.response.shape[1]
    keep = {"logits_to_keep": length - start} if _lets_choose(type(unwrapped(model)).forward) else {}
    logits = model(**batch.inputs, use_cache=False, **keep).logits
    return logits[:, (0 if keep else start) : -1], start


def gathered(logits: Tensor, targets: Tensor, temperature: float = 1.0) -> Tensor:
    """log softmax(logits / temperature) at `targets`: (N, V), (N,) -> (N,), in float32."""
    scaled = logits.float() if temperature == 1.0 else logits.float() / temperature
    return scaled.gather(-1, targets[:, None]).squeeze(-1) - scaled.logsumexp(dim=-1)


def unwrapped(model: Any) -> Any:
    """The model itself, inside of adapters and of wrappers for several processes."""
    inner = getattr(model, "module", model)
    return inner.get_base_model() if hasattr(inner, "get_base_model") else inner


@lru_cache
def _lets_choose(forward: Callable[..., Any]) -> bool:
    return "logits_to_keep" in inspect.signature(forward).parameters
