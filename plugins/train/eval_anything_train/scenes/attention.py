"""Attention of an encoder over many media in one call, where transformers makes one call for each medium."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention

NAME = "flash_padded"
"""Kernels with "flash" in their names are given all media at once, and where each begins."""


def attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float,
    cu_seq_lens_q: Tensor,
    **_: Any,
) -> tuple[Tensor, None]:
    """(1, heads, tokens of all media, width) to (1, tokens, heads, width): each medium attends to itself."""
    lengths = (cu_seq_lens_q[1:] - cu_seq_lens_q[:-1]).tolist()
    longest = max(lengths)
    mask = None
    if min(lengths) == longest:
        q, k, v = (x[0].unflatten(1, (len(lengths), longest)).transpose(0, 1) for x in (query, key, value))
    else:
        q, k, v = (_padded(x[0], lengths, longest) for x in (query, key, value))
        held = (
            torch.arange(longest, device=query.device) < torch.tensor(lengths, device=query.device)[:, None]
        )
        mask = held[:, None, None, :]
    found = scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scaling).transpose(1, 2)
    if mask is not None:
        return found[held][None], None
    return found.flatten(0, 1)[None], None


def _padded(values: Tensor, lengths: list[int], longest: int) -> Tensor:
    """(heads, tokens, width) to (media, heads, longest, width)."""
    each = values.split(lengths, dim=1)
    return torch.stack([pad(one, (0, 0, 0, longest - one.shape[1])) for one in each])


def use(model: Any) -> None:
    """Let both encoders of a thinker attend so. Needs `load.libraries()` first."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, attend)
    for encoder in (model.model.visual, model.model.audio_tower):
        encoder.config._attn_implementation = NAME
