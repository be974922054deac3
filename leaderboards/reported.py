"""The reported results that come with the project: the YAML files of this folder, one for each source."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from eval_anything.reported import Reported, ReportedResults, read

FOLDER = Path(__file__).parent


class Published(ReportedResults):
    name = "published"
    summary = "what papers and leaderboards print for the built-in tasks"

    def results(self) -> Iterable[Reported]:
        return _all()


def reported(task: str) -> list[Reported]:
    """What is reported for `task` (or a group), in the order of the files; empty where nothing is."""
    return [row for row in _all() if row.task == task]


@cache
def _all() -> tuple[Reported, ...]:
    return tuple(row for file in sorted(FOLDER.glob("*.yaml")) for row in read(file))
