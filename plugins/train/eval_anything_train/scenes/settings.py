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
    video: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.4
    """Share of scenes that are clips."""
    only: Literal["seen", "heard"] | None = None
    """In a course of lookups: the side that is shown in every row."""
    lookups: bool = False
    """Only short questions about what is there, some with options to choose from: no descriptions, no agents,
    nothing else from other tasks."""
    terse: bool = False
    """Each question has one answer, the shortest one."""
    more: dict[str, Annotated[float, msgspec.Meta(gt=0)]] = {}
    """Questions of world.py, by the names of their functions, that are asked so many times as often."""
    questions: Count = 10
    """Lessons of a row at most."""
    tokens: Count = 448
    """Tokens of a row at most: what is beyond is left out."""


class Stage(Link, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One training: of the encoders (perceive), or of the language model (study)."""

    method: Literal["perceive", "study"]
    course: Course = Course()
    """Of a study."""
