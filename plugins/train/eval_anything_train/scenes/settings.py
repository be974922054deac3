"""What `train scenes` is told, and its stages. Nothing here imports torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from eval_anything_train.settings import ChainSettings, Count, Link

RECIPE = Path(__file__).parent / "recipe.yaml"


class ScenesSettings(ChainSettings, frozen=True, kw_only=True):
    exam: Annotated[int, msgspec.Meta(ge=0)] = 100
    """Held-out questions of each kind that the trained model is asked. 0: none."""


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
