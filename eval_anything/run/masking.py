"""Masking: modalities that a model cannot take, or that an ablation leaves out, are dropped and recorded."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from eval_anything.values import Message, Modality, Part, Sample, part_modality


def mask(sample: Sample, allowed: Collection[Modality]) -> Sample:
    """`sample` without the parts of modalities outside `allowed` (as in the paper, Table 4)."""
    dropped: set[Modality] = set()

    def kept(part: Part) -> bool:
        modality = part_modality(part)
        if modality is None or modality in allowed:
            return True
        dropped.add(modality)
        return False

    requests = [
        [Message(message.role, tuple(filter(kept, message.parts))) for message in messages]
        for messages in sample.requests
    ]
    if not dropped:
        return sample
    without = sample.with_requests([tuple(m for m in messages if m.parts) for messages in requests])
    return msgspec.structs.replace(without, masked=tuple(sorted(dropped)))
