"""Groups of tasks that are named and summed up together: `amg`, `external`."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import msgspec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Combined(msgspec.Struct, frozen=True, kw_only=True):
    """One number made of several metrics, with draws from the joint bootstrap behind it."""

    name: str
    value: float | None
    reason: str = ""
    """Why there is no value, or no draws."""
    draws: "NDArray[np.float64] | None" = None
    """Bootstrap draws of the value, for its interval; None where a part has no interval."""


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """A metric as a group sees it."""

    value: float | None
    reason: str = ""
    """Why there is no value, or no draws."""
    draws: "NDArray[np.float64] | None" = None


class Group(abc.ABC):
    """Tasks that run together under one name."""

    name: ClassVar[str]
    summary: ClassVar[str]
    tasks: ClassVar[tuple[str, ...]]
    optional: ClassVar[tuple[str, ...]] = ()
    """Tasks of it that a run leaves out, and says so, where no tool makes the media that they ask for."""

    @abc.abstractmethod
    def combine(self, metrics: Mapping[tuple[str, str], Measured]) -> list[Combined]:
        """The group's own numbers, in the order in which they are shown; `metrics` by (task, metric) of
        whatever tasks were run, the headline of each also as (task, ""). Draws of different tasks are
        independent. Empty where there is nothing to combine."""
