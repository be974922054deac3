"""What all generators share: what they are asked for, by which seed, and their answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eval_anything.errors import BadRequest, GarbageReply, MediaError
from eval_anything.models.hf.sampling import row_seed
from eval_anything.models.tally import count_usage, last_user_text
from eval_anything.values import Lineage, MediaPart, Modality, Request, Response

if TYPE_CHECKING:
    from eval_anything.media.store import ArtifactStore


def prompt_of(request: Request, spec: str) -> str:
    """The user's text. Raises BadRequest where there is none: nothing could be made by it."""
    prompt = last_user_text(request).strip()
    if not prompt:
        raise BadRequest(f"{spec}: the last user message has no text to make anything by")
    return prompt


def check_asked(request: Request, made: Modality, spec: str) -> None:
    """Raises BadRequest unless the request asks for what the model makes."""
    if made not in request.output_modalities:
        asked = ", ".join(request.output_modalities)
        raise BadRequest(f"{spec}: makes {made}, and was asked for {asked}")


def seed_of(request: Request) -> int:
    """The seed of one request's generation, at most 63 bits.

    `params.seed` itself for the first draw, as protocols state it; else a hash that tells samples and draws
    apart and is the same in every run.
    """
    if request.params.seed is not None and request.draw == 0:
        return request.params.seed
    return row_seed(request)


def keep(store: "ArtifactStore", data: bytes, modality: Modality, lineage: Lineage) -> MediaPart:
    """The medium, checked and stored. Raises GarbageReply where it is broken, empty or beyond all limits."""
    try:
        part = store.part(store.add_bytes(data, modality, lineage=lineage))
    except MediaError as fault:
        raise GarbageReply(f"{lineage.name}: what it made is no usable {modality}: {fault}") from None
    if part.artifact.duration_s is not None and part.artifact.duration_s <= 0:
        raise GarbageReply(f"{lineage.name}: the {modality} that it made has no duration")
    return part


def answer(request: Request, *parts: MediaPart, notes: tuple[str, ...] = ()) -> Response:
    return Response(parts=parts, usage=count_usage(request, parts), finish_reason="stop", notes=notes)
