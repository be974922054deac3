"""The numbers of groups of tasks: several metrics put together, with an interval from all their draws."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from eval_anything.errors import UsageError
from eval_anything.group import Combined, Group, Measured
from eval_anything.results.values import CombinedResult
from eval_anything.stats.metrics import Measurement

if TYPE_CHECKING:
    from eval_anything.stats.bootstrap import Floats

_NO_DRAWS = "a part of it has no interval"


def combine(
    names: Sequence[str], tasks: Mapping[str, Sequence[Measurement]], seed: int
) -> tuple[list[CombinedResult], list[str]]:
    """The combined numbers of the groups `names`, and a note for each group that cannot be had.

    `tasks` are the measurements of each task, the headline first.
    """
    from eval_anything.registry import Plugins

    measured = _measured(tasks, seed) if names else {}
    found: list[CombinedResult] = []
    notes: list[str] = []
    registry = Plugins().groups
    for name in names:
        try:
            group: Group = registry.get(name)()
        except UsageError as fault:
            notes.append(f"no combined numbers of group {name!r}: {fault}")
            continue
        found += [_result(name, combined) for combined in group.combine(measured)]
    return found, notes


def _measured(tasks: Mapping[str, Sequence[Measurement]], seed: int) -> dict[tuple[str, str], Measured]:
    found = {}
    for task, measurements in tasks.items():
        for measurement in measurements:
            result = measurement.result
            draws = None if measurement.draws is None else _apart(measurement.draws, task, seed)
            reason = result.reason or result.interval_reason
            value = Measured(value=result.value, reason=reason, draws=draws)
            found[task, result.name] = value
            if result.headline:
                found[task, ""] = value
    return found


def _apart(draws: Floats, task: str, seed: int) -> Floats:
    """The draws in an order of the task's own.

    Every task is resampled from the same seed, so draw k of two tasks of one size is of the same rows.
    Shuffled, they are independent from task to task, and still belong together within one.
    """
    import numpy as np

    digest = hashlib.sha256(f"{seed}\0{task}".encode()).digest()
    order = np.random.default_rng(int.from_bytes(digest[:8], "big")).permutation(len(draws))
    shuffled: Floats = draws[order]
    return shuffled


def _result(group: str, combined: Combined) -> CombinedResult:
    low = high = None
    reason = combined.reason
    if combined.value is not None:
        if combined.draws is not None:
            from eval_anything.stats.bootstrap import percentiles

            low, high = percentiles(combined.draws)
        else:
            reason = reason or _NO_DRAWS
    return CombinedResult(
        group=group, name=combined.name, value=combined.value, low=low, high=high, reason=reason
    )
