"""What `train synergy` is told, and its stages. Nothing here imports torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from eval_anything_train.settings import ChainSettings, Link, NotNegative

RECIPE = Path(__file__).parent / "recipe.yaml"


class SynergySettings(ChainSettings, frozen=True, kw_only=True):
    exam: Annotated[int, msgspec.Meta(ge=0)] = 1000
    """Held-out preferences of each kind of pair on which agreement is measured. 0: none."""


class Stage(Link, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One training: of an encoder (sight, hearing), of the language model (reading), or on preferences: of
    the projectors alone, or of everything but the encoders."""

    method: Literal["sight", "hearing", "reading", "projectors", "everything"]
    words: NotNegative = 0.0
    """Of reading: weight of the cross-entropy of true words beside what the heads tell."""
