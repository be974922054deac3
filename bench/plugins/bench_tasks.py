"""Two tasks of any size, and a judge that costs nothing: what is measured is the harness.

Both read a folder: `count.txt` holds the number of questions; `bench_image` also reads `<n>.png`.
"""

from __future__ import annotations

from collections.abc import Iterator

from eval_anything.judge import Case, Judge, Rubric
from eval_anything.task import Dataset, DataSource, Task
from eval_anything.values import File, Message, Response, Sample, Score, Text

QUESTION = (
    "Question {n}: what is {n} plus one? " + "Answer with the number alone, and say nothing else. " * 10
)


class BenchText(Task):
    name = "bench_text"
    version = "1"
    title = "Numbered questions"
    summary = "short text questions, as many as asked for"
    inputs = ("text",)

    def open(self, source: DataSource) -> Dataset:
        assert source.path is not None
        size = int((source.path / "count.txt").read_text())
        return Dataset(kind=source.kind, root=source.path, revision=str(size), size=size, records=size)

    def samples(self, dataset: Dataset) -> Iterator[Sample]:
        for n in range(dataset.size):
            parts = (*self.media(dataset, n), Text(QUESTION.format(n=n)))
            yield Sample(id=str(n), messages=(Message("user", parts),))

    def media(self, dataset: Dataset, n: int) -> tuple[File, ...]:
        return ()

    def case(self, sample: Sample, response: Response) -> Case:
        return Case(sample=sample, response=response, rubric=Rubric(system="", user="{response}"))


class BenchImage(BenchText):
    name = "bench_image"
    title = "Numbered questions, each about a picture"
    summary = "as bench_text, each with a picture of its own"
    inputs = ("text", "image")

    def media(self, dataset: Dataset, n: int) -> tuple[File, ...]:
        return (File(str(dataset.root / f"{n}.png"), "image"),)


class BenchJudge(Judge):
    name = "bench_judge"
    summary = "gives 1 to everything"

    async def score(self, case: Case) -> Score:
        return Score(value=1.0, state="scored", judge=self.label)
