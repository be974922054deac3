"""What `train scenes` is told, and its recipe. Nothing here imports torch."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from eval_anything_train.settings import Count, Link, Workplace

RECIPE = Path(__file__).parent / "recipe.yaml"


class ScenesSettings(Workplace, frozen=True, kw_only=True):
    """Everything else is in the recipe."""

    recipe: str = ""
    """File with the stages; our own (scenes/recipe.yaml) unless given."""
    exam: Annotated[int, msgspec.Meta(ge=0)] = 100
    """Held-out questions of each kind that the trained model is asked. 0: none."""
    exam_seed: str = "0"
    """Which questions those are."""


class Course(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a stage teaches, and how hard it is."""

    objects: Annotated[int, msgspec.Meta(ge=1, le=4)] = 4
    """Objects of a scene at most."""
    lookups: bool = False
    """Only short questions about what is there: no descriptions, no agents, nothing from other tasks."""
    terse: bool = False
    """Each question has one answer, the shortest one."""
    questions: Count = 10
    """Lessons of a row at most."""
    tokens: Count = 448
    """Tokens of a row at most: what is beyond is left out."""


class Stage(Link, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One training: of the encoders (perceive), or of the language model (study)."""

    method: Literal["perceive", "study"]
    course: Course = Course()
    """Of a study."""


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the model is made."""

    stages: tuple[Stage, ...]


@dataclasses.dataclass(frozen=True)
class ScenesOutcome:
    """A trained and examined model."""

    folder: Path
    manifest: Recipe
    text: str
    """For people."""
