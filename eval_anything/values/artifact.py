"""Media as content-addressed artifacts: what is known of the bytes, never the bytes themselves."""

from __future__ import annotations

from typing import Any

import msgspec


class Lineage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where an artifact came from."""

    source: str
    """"data" (a benchmark's file), "model" (native output) or "tool" (made by a media tool)."""
    name: str = ""
    """File path inside the data set, model spec, or tool name."""
    prompt: str = ""
    """What a generator was asked for."""
    seed: int | None = None
    details: dict[str, Any] = {}
    """Anything else that is needed to make it again (steps, size, the scene behind a synthetic file)."""


class Artifact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One media file. `sha256` (hex) is its identity and its address in an `ArtifactStore`."""

    sha256: str
    mime: str
    bytes_size: int
    width: int | None = None
    """Pixels (images and video)."""
    height: int | None = None
    duration_s: float | None = None
    """Seconds (audio and video)."""
    sample_rate: int | None = None
    """Hertz (audio)."""
    lineage: Lineage | None = None
