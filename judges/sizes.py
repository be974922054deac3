"""Bounds of what a checkpoint may say of its own size."""

from __future__ import annotations

from typing import Annotated

import msgspec

# A hostile or damaged file must not make the loader build a network of a million layers.
Width = Annotated[int, msgspec.Meta(ge=1, le=65536)]
Depth = Annotated[int, msgspec.Meta(ge=1, le=512)]
Vocabulary = Annotated[int, msgspec.Meta(ge=1, le=1 << 24)]
