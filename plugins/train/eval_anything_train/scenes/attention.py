"""Attention of an encoder over many media in one call, where transformers makes one call for each medium."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

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
    starts = cu_seq_lens_q[:-1, None]
    lengths = (cu_seq_lens_q[1:] - cu_seq_lens_q[:-1]).tolist()
    media, longest = len(lengths), max(lengths)
    mask = held = None
    place = torch.arange(longest, device=query.device)
    if min(lengths) != longest:
        held = place < cu_seq_lens_q[1:, None] - starts
        mask = held[:, None, None, :]
        rows = (starts + place).clamp(max=query.shape[2] - 1).flatten()
        query, key, value = (x.index_select(2, rows) for x in (query, key, value))
    q, k, v = (x[0].unflatten(1, (media, longest)).transpose(0, 1) for x in (query, key, value))
    found = scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scaling).transpose(1, 2)
    return (found.flatten(0, 1) if held is None else found[held])[None], None


def use(model: Any) -> None:
    """Let both encoders of a thinker attend so. Needs `load.libraries()` first."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, attend)
    for encoder in (model.model.visual, model.model.audio_tower):
        encoder.config._attn_implementation = NAME
