"""What `train synergy` is told, and its recipe. Nothing here imports torch."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from eval_anything_train.settings import Link, NotNegative, Workplace

RECIPE = Path(__file__).parent / "recipe.yaml"


class SynergySettings(Workplace, frozen=True, kw_only=True):
    """Everything else is in the recipe."""

    recipe: str = ""
    """File with the stages; our own (synergy/recipe.yaml) unless given."""
    exam: Annotated[int, msgspec.Meta(ge=0)] = 1000
    """Held-out preferences of each kind of pair on which agreement is measured. 0: none."""
    exam_seed: str = "0"
    """Which preferences those are."""


class Stage(Link, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One training: of an encoder (sight, hearing), of projectors alone, or of language model as well."""

    method: Literal["sight", "hearing", "projectors", "everything"]
    words: NotNegative = 0.0
    """Weight of the cross-entropy of the better answer's words beside the preferences' loss."""


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the judge is made."""

    stages: tuple[Stage, ...]


@dataclasses.dataclass(frozen=True)
class SynergyOutcome:
    """A trained and examined judge."""

    folder: Path
    manifest: Recipe
    text: str
    """For people."""
