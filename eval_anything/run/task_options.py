"""Options of several tasks at once: `[TASK:]key=value`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from eval_anything.errors import UnknownName
from eval_anything.suggest import unknown


class TaskOptions:
    """Options given for all tasks (`key`) or for one (`TASK:key`, where the last colon splits).

    A general one goes to every task that knows it, and must be known to one of them; one that names its task
    must be known to it.
    """

    def __init__(self, flag: str, options: Mapping[str, Any], tasks: Iterable[str]) -> None:
        """Raises UnknownName where `TASK:key` names a task that is not run."""
        self._flag = flag
        self._general = {k: v for k, v in options.items() if ":" not in k}
        self._own: dict[str, dict[str, Any]] = {task: {} for task in tasks}
        self._known: set[str] = set()
        for key, value in options.items():
            task, colon, name = key.rpartition(":")
            if colon and task not in self._own:
                raise UnknownName(f"{flag} {key}: {unknown('task', task, self._own)}")
            if colon:
                self._own[task][name] = value

    def take(self, task: str, known: Iterable[str]) -> dict[str, Any]:
        """What holds for `task`, whose options are `known`; the ones that name it win."""
        names = set(known)
        self._known |= names
        return {k: v for k, v in self._general.items() if k in names} | self._own[task]

    def check(self) -> None:
        """After all tasks have taken theirs: raises UnknownName for a general option that nobody knows."""
        for key in self._general:
            if key not in self._known:
                raise UnknownName(f"{self._flag}: {unknown('option', key, self._known)}")
