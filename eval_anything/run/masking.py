"""Masking: modalities that a model cannot take, or that an ablation leaves out, are dropped and recorded."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from eval_anything.values import Message, Modality, Sample, part_modality


def mask(sample: Sample, allowed: Collection[Modality]) -> Sample:
    """`sample` without the parts of modalities outside `allowed` (as in the paper, Table 4)."""
    dropped: set[Modality] = set()
    messages = []
    for message in sample.messages:
        kept = []
        for part in message.parts:
            modality = part_modality(part)
            if modality is None or modality in allowed:
                kept.append(part)
            else:
                dropped.add(modality)
        messages.append(Message(message.role, tuple(kept)))
    if not dropped:
        return sample
    return msgspec.structs.replace(
        sample, messages=tuple(m for m in messages if m.parts), masked=tuple(sorted(dropped))
    )
