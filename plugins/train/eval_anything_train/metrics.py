"""`metrics.jsonl`: one line for each optimiser step, for plots."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from eval_anything.errors import DataError
from eval_anything.stores.lines import LineFile

FILE = "metrics.jsonl"


class Metrics:
    """The writer; its lock keeps a second process out of the run."""

    def __init__(self, folder: Path) -> None:
        """Raises RunConflict while another process writes to `folder`, StorageError where that cannot be."""
        self._lines = LineFile(folder / FILE)
        self.last: dict[str, Any] = {}
        """The newest line."""
        self.skipped = 0
        """Records that were left out, over all lines."""

    def cut(self, step: int) -> None:
        """Forget the steps after `step`: they are about to be done again."""
        end = 0
        self.last, self.skipped = {}, 0
        for line, beyond in _lines(self._lines.path):
            if line["step"] > step:
                break
            self._took(line)
            end = beyond
        if self.last.get("step", 0) != step:
            raise DataError(f"{self._lines.path}: ends at step {self.last.get('step', 0)}, expected {step}")
        self._lines.cut(end)

    def append(self, values: Mapping[str, Any]) -> None:
        """`values` hold `step`, from 1. Raises StorageError where the disk is full."""
        line = dict(values)
        self._lines.append(msgspec.json.encode(line))
        self._took(line)

    def _took(self, line: dict[str, Any]) -> None:
        self.last = line
        self.skipped += line.get("skipped", 0)

    def sync(self) -> None:
        """Return when all lines are on the disk."""
        self._lines.sync()

    def close(self) -> None:
        self._lines.close()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a metrics file; a half-written last one is left out. Raises DataError for damage."""
    return [line for line, _ in _lines(path)]


def _lines(path: Path) -> Iterator[tuple[dict[str, Any], int]]:
    """Each line, and where in the file it ends."""
    end = 0
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            if not raw.endswith(b"\n"):
                return
            end += len(raw)
            try:
                line = msgspec.json.decode(raw, type=dict[str, Any])
            except msgspec.MsgspecError as fault:
                raise DataError(f"{path}, line {number}: damaged: {fault}") from None
            if not isinstance(line.get("step"), int):
                raise DataError(f"{path}, line {number}: damaged: no step")
            yield line, end
