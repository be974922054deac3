"""`history.jsonl`: one line for each checkpoint that has been scored; `watch.json`: how all of them were."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from eval_anything.errors import DataError, RunConflict
from eval_anything.results.results import write_atomically
from eval_anything.results.values import Results
from eval_anything.stores.identity import differences
from eval_anything.stores.lines import LineFile

HISTORY, SETTINGS = "history.jsonl", "watch.json"
_SHOWN = 8


class Number(msgspec.Struct, frozen=True):
    """One metric of a task, with its 95 % interval."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    """Answers with a score."""


class Gated(msgspec.Struct, frozen=True):
    """What the gate said."""

    outcome: str
    """pass, regression, cannot judge."""
    exit_code: int
    reasons: dict[str, list[str]]
    """By task."""
    baseline: str


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One line."""

    step: int
    checkpoint: str
    """Name of its folder."""
    time: str
    """When it was scored: ISO 8601, UTC."""
    model: str
    run: str
    """Folder of the run, beside the history."""
    tasks: dict[str, list[Number]]
    """The headline first."""
    gate: Gated | None = None


class History:
    """The writer; one at a time for each folder. A line is whole or not there, also after `kill -9`."""

    def __init__(self, folder: Path) -> None:
        """Raises RunConflict while another process writes it, DataError for a damaged line."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._lines = LineFile(folder / HISTORY)
        try:
            self.entries = read_history(folder / HISTORY)
        except DataError:
            self._lines.close()
            raise

    def knows(self, checkpoint: str) -> bool:
        return any(entry.checkpoint == checkpoint for entry in self.entries)

    def add(self, entry: Entry) -> None:
        self._lines.append(msgspec.json.encode(entry))
        self.entries.append(entry)

    def hold_to(self, settings: dict[str, Any]) -> None:
        """Remember how checkpoints are scored, or compare it with how those in the history were.

        Raises RunConflict, showing the differences: steps scored in different ways are no history.
        """
        path = self.folder / SETTINGS
        if not self.entries:
            text = msgspec.json.format(msgspec.json.encode(settings), indent=2)
            write_atomically(path, text + b"\n")
            return
        try:
            before = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        except OSError as fault:
            raise DataError(
                f"{path}: the history beside it cannot be gone on with: {fault.strerror}"
            ) from None
        except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
            raise DataError(f"{path}: damaged: {fault}") from None
        if lines := differences(before, settings):
            shown = "".join(f"\n  {line}" for line in lines[:_SHOWN])
            more = f"\n  and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
            raise RunConflict(f"{self.folder} holds a history of another configuration:{shown}{more}")

    def close(self) -> None:
        self._lines.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_history(path: Path) -> list[Entry]:
    """In the order in which they were scored. Raises DataError naming a damaged line."""
    decoder = msgspec.json.Decoder(Entry)
    entries = []
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True), 1):
        if not line.endswith(b"\n"):
            break  # of a process that was killed, or that is writing it now
        try:
            entries.append(decoder.decode(line))
        except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
            raise DataError(f"{path}, line {number}: damaged: {fault}") from None
    return entries


def numbers(results: Results) -> dict[str, list[Number]]:
    """All metrics of a run, by task."""
    return {
        task.name: [Number(m.name, m.value, m.low, m.high, m.n_scored) for m in task.metrics]
        for task in results.tasks
    }
