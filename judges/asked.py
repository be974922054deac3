"""What was asked for, in words."""

from __future__ import annotations

from eval_anything.values import Sample, Text


def user_text(sample: Sample) -> str:
    """The text of all user turns, in their order."""
    return "\n".join(
        part.text
        for message in sample.messages
        if message.role == "user"
        for part in message.parts
        if isinstance(part, Text)
    )
