"""A text task of any size and a judge that costs nothing: for tests of everything around tasks."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from eval_anything.judge import Case, Judge, Rubric
from eval_anything.stats.aggregate import Means
from eval_anything.task import Dataset, DataSource, Task
from eval_anything.values import Message, Params, Reference, Response, Sample, Score, Text


class TextOptions(msgspec.Struct, frozen=True):
    pad: int = 0
    """Characters added to each question."""


class TextTask(Task):
    name = "text_task"
    version = "1"
    title = "Numbered questions"
    summary = "as many short text questions as asked for"
    inputs = ("text",)
    data_kinds = ("synthetic", "path")
    protocol_judge = "fake/rater"
    offline_judge = "always_one"
    Options = TextOptions
    params = Params(temperature=0.0)

    def open(self, source: DataSource) -> Dataset:
        n = int((source.path / "n.txt").read_text())
        return Dataset(kind=source.kind, root=source.path, revision=str(n), size=n, records=n)

    def samples(self, dataset: Dataset) -> Iterator[Sample]:
        for i in range(dataset.size):
            yield Sample(
                id=str(i),
                messages=(
                    Message("user", (Text(f"Question {i}: what is {i} plus one?" + " " * self.options.pad),)),
                ),
                references=(Reference(text=str(i + 1)),),
                group="even" if i % 2 == 0 else "odd",
            )

    def case(self, sample: Sample, response: Response) -> Case:
        rubric = Rubric(
            system="Rate.", user="Right: {answer}\n{response}", values={"answer": sample.references[0].text}
        )
        return Case(sample=sample, response=response, rubric=rubric)

    def aggregation(self) -> Means:
        return Means(overall="score", groups=("even", "odd"), low=1, high=10)

    @classmethod
    def write_synthetic(cls, out: Path, n: int | None, seed: int) -> None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "n.txt").write_text(str(n or 10))


class AlwaysOne(Judge):
    name = "always_one"
    summary = "gives 1 to everything"

    async def score(self, case: Case) -> Score:
        return Score(value=1.0, state="scored", judge=self.label)
