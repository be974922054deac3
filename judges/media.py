"""Media of an answer, and whether a judging model can be shown them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eval_anything.errors import UsageError
from eval_anything.values import Audio, Image, MediaPart, Modality, Response, Video

if TYPE_CHECKING:
    from eval_anything.run.endpoint import Endpoint


def media_of(response: Response) -> tuple[MediaPart, ...]:
    """The images, recordings and videos of the answer, in its order."""
    return tuple(part for part in response.parts if isinstance(part, Image | Audio | Video))


def check_inputs(endpoint: Endpoint, outputs: tuple[Modality, ...]) -> None:
    """Raises UsageError where the judging model cannot be shown answers in `outputs`."""
    inputs = endpoint.capabilities().inputs
    lacking = [modality for modality in outputs if modality not in inputs]
    if lacking:
        raise UsageError(
            f"judge {endpoint.label} does not take {', '.join(lacking)} (it takes: {', '.join(inputs)}):"
            " name one that does with --judge"
        )
