"""What is known of the answers: labels of people in a file, another run's scores, or a twin's own truth."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from eval_anything.errors import DataError
from eval_anything.judged.verdicts import TaskSeries

Preference = Literal["A", "B", "tie"]
_WORTH: dict[Preference, float] = {"A": 1.0, "tie": 0.5, "B": 0.0}


class Row(msgspec.Struct, frozen=True):
    """One line of a file of labels; other keys are not read."""

    id: str | int
    label: float | Preference
    """A number on the judge's scale, or which is better: A the model's answer, B the reference answer."""
    task: str | None = None
    """None: of whatever task has such a sample."""


class Labels:
    """Labels by task and sample; several for one sample are those of several people."""

    def __init__(self, source: str, preferences: bool = False) -> None:
        self.source = source
        self.preferences = preferences
        """Whether they say which of two answers is better: 1 the model's, 0 the reference, 0.5 a tie."""
        self._of_sample: dict[tuple[str | None, str], list[float]] = {}
        self._of_answer: dict[tuple[str, str, str], float] = {}

    def add(self, task: str | None, sample: str, label: float) -> None:
        self._of_sample.setdefault((task, sample), []).append(label)

    def add_answer(self, task: str, sample: str, answer: str, label: float) -> None:
        """One that belongs to one answer alone."""
        self._of_answer[task, sample, answer] = label

    def of(self, task: str, sample: str, answer: str) -> list[float]:
        """Empty: there is none."""
        if (task, sample, answer) in self._of_answer:
            return [self._of_answer[task, sample, answer]]
        return self._of_sample.get((task, sample)) or self._of_sample.get((None, sample), [])

    def range(self) -> tuple[float, float]:
        """Lowest and highest label."""
        found = [label for labels in self._of_sample.values() for label in labels]
        found += self._of_answer.values()
        return min(found), max(found)

    def unused(self, known: set[tuple[str, str]]) -> list[str]:
        """Samples that are labelled and of which there is no verdict; `known`: (task, sample)."""
        ids = {sample for _, sample in known}
        return [
            sample if task is None else f"{task}: {sample}"
            for task, sample in self._of_sample
            if (sample not in ids if task is None else (task, sample) not in known)
        ]


def read_labels(path: Path) -> Labels:
    """Raises DataError naming the line that is no label, or that is of another kind than the first."""
    decoder = msgspec.json.Decoder(Row)
    labels: Labels | None = None
    try:
        lines = path.read_bytes().splitlines()
    except OSError as fault:
        raise DataError(f"--labels: {path}: {fault.strerror}") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"--labels: {path}, line {number}"
        try:
            row = decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
            raise DataError(
                f'{where}: expected {{"id": ..., "label": a number, "A", "B" or "tie"}}: {fault}'
            ) from None
        preference = isinstance(row.label, str)
        labels = labels or Labels(str(path), preference)
        if labels.preferences != preference:
            kinds = ("a number", "a preference")
            raise DataError(
                f"{where}: {kinds[preference]}, and {kinds[labels.preferences]} in the lines before"
            )
        labels.add(row.task, str(row.id), _WORTH[row.label] if isinstance(row.label, str) else row.label)
    if labels is None:
        raise DataError(f"--labels: {path}: no label in it")
    return labels


def of_run(tasks: list[TaskSeries], source: str) -> Labels:
    """The scores of another run on the very same answers; of a panel, the panel's own."""
    labels = Labels(source)
    for task in tasks:
        for verdict in task.series[0].verdicts:
            if verdict.value is not None:
                labels.add_answer(task.plan.name, verdict.id, verdict.answer, verdict.value)
    return labels
