"""A task whose class makes numbers of all scores at once, and a judge that brings what they are made of."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from eval_anything.judge import Case, Judge, Rubric
from eval_anything.stats.aggregate import Metric, Tree
from eval_anything.task import Dataset, DataSource, Task
from eval_anything.values import Message, Response, Sample, Score, Text


class MedianTask(Task):
    name = "median_task"
    version = "1"
    title = "Medians"
    summary = "as many numbers as asked for, and their median"
    inputs = ("text",)
    data_kinds = ("synthetic",)
    protocol_judge = "counting"
    offline_judge = "counting"

    def open(self, source: DataSource) -> Dataset:
        n = int((source.path / "n.txt").read_text())
        return Dataset(kind=source.kind, root=source.path, revision=str(n), size=n, records=n)

    def samples(self, dataset: Dataset) -> Iterator[Sample]:
        for i in range(dataset.size):
            asked = (Message("user", (Text(str(i)),)),)
            yield Sample(id=str(i), messages=asked, group="low" if i < 10 else "high")

    def case(self, sample: Sample, response: Response) -> Case:
        return Case(sample=sample, response=response, rubric=Rubric(system="", user="{response}"))

    def aggregation(self) -> Tree:
        return Tree(
            headline=Metric(name="median", column="number", corpus="median"),
            others=(
                Metric(name="of the low", groups=("low",), column="number", corpus="median"),
                Metric(name="by group", column="number", corpus="groups"),
                Metric(name="mean", column="number"),
                Metric(name="broken", column="number", corpus="broken", higher_is_better=False),
                Metric(name="absent", column="nothing", corpus="median"),
            ),
            high=100,
        )

    @classmethod
    def corpus(cls, how: str, items: Sequence[tuple[str, Any]]) -> float:
        if how == "median":
            return statistics.median(number for _, (number,) in items)
        if how == "groups":
            return float(len({group for group, _ in items}))
        raise ZeroDivisionError("nothing to divide by")

    @classmethod
    def write_synthetic(cls, out: Path, n: int | None, seed: int) -> None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "n.txt").write_text(str(n or 20))


class Counting(Judge):
    name = "counting"
    summary = "the sample's own number"

    async def score(self, case: Case) -> Score:
        number = float(case.sample.id)
        parts = {"number": number}
        return Score(
            value=1.0, state="scored", judge=self.label, components=parts, items={"number": [number]}
        )
