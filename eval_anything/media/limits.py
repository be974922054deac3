"""How large a media file or an archive may be before it is refused."""

from __future__ import annotations

from typing import Final

import msgspec


class MediaLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Generous for benchmarks, small enough that a hostile file cannot take the machine down."""

    max_bytes: int = 1 << 30
    """Bytes of one media file."""
    max_pixels: int = 100_000_000
    """Pixels of one image over all of its frames, or of one frame of a video."""
    max_duration_s: float = 3600.0
    """Seconds of one audio or video file."""
    max_archive_bytes: int = 50 << 30
    """Bytes that one archive may unpack to."""
    max_archive_members: int = 1_000_000


DEFAULT_LIMITS: Final = MediaLimits()
