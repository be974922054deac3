"""Media that a model's reply holds: where they are from, and how they are kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from eval_anything.errors import GarbageReply, MediaError
from eval_anything.models.tally import last_user_text
from eval_anything.values import Lineage, MediaPart, Modality, Request

if TYPE_CHECKING:
    from eval_anything.media.store import ArtifactStore


def lineage_of(
    request: Request, spec: str, seed: int | None, details: Mapping[str, Any] | None = None
) -> Lineage:
    """Of what the model `spec` made for `request`."""
    return Lineage(
        source="model", name=spec, prompt=last_user_text(request), seed=seed, details=dict(details or {})
    )


def keep(store: "ArtifactStore", data: bytes, modality: Modality, lineage: Lineage) -> MediaPart:
    """The medium, checked and stored. Raises GarbageReply for one that is broken or beyond all limits."""
    try:
        artifact = store.add_bytes(data, modality, lineage=lineage, name=f"{modality} in the reply")
    except MediaError as fault:
        raise GarbageReply(f"broken {modality}: {fault}") from None
    return store.part(artifact)
