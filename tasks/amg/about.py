"""What the card of every AMG task says alike."""

from __future__ import annotations

CITATION = (
    "Ji et al., Align Anything: Training All-Modality Models to Follow Instructions with Language Feedback,"
    " arXiv 2412.15838, 2024"
)
LICENCE = "CC BY-NC 4.0 (data)"
HUB = "https://huggingface.co/datasets/"
