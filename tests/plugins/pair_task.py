"""A task whose samples ask three requests each, two of them alike, and a judge that reads every answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from eval_anything.judge import Case, Judge, Rubric
from eval_anything.stats.aggregate import Means
from eval_anything.task import Dataset, DataSource, Task
from eval_anything.values import Message, Params, Response, Sample, Score, Text


class PairTask(Task):
    name = "pair_task"
    version = "1"
    title = "Three questions each"
    summary = "as many samples of three short questions as asked for"
    inputs = ("text",)
    outputs = ("text", "image")
    data_kinds = ("synthetic", "path")
    protocol_judge = "lengths"
    offline_judge = "lengths"
    offline_tool = "fake/echo"
    params = Params(temperature=0.0)

    def open(self, source: DataSource) -> Dataset:
        n = int((source.path / "n.txt").read_text())
        return Dataset(kind=source.kind, root=source.path, revision=str(n), size=n, records=n)

    def samples(self, dataset: Dataset) -> Iterator[Sample]:
        for i in range(dataset.size):
            first, *further = (
                (Message("user", (Text(f"Question {i}, {which}"),)),) for which in ("first", "again", "again")
            )
            yield Sample(id=str(i), messages=first, further=tuple(further))

    def case(self, sample: Sample, response: Response) -> Case:
        return Case(sample=sample, response=response, rubric=Rubric(system="Rate.", user="{response}"))

    def aggregation(self) -> Means:
        return Means(overall="mean length", low=0, high=1000)

    @classmethod
    def write_synthetic(cls, out: Path, n: int | None, seed: int) -> None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "n.txt").write_text(str(n or 10))


class ChoiceTask(PairTask):
    """Which of three letters is the most likely answer to a plain prompt; then a word, at a temperature."""

    name = "choice_task"
    outputs = ("text",)
    protocol_judge = "likeliest"
    offline_judge = "likeliest"
    plain = True

    def samples(self, dataset: Dataset) -> Iterator[Sample]:
        for i in range(dataset.size):
            asked = (Message("user", (Text(f"Question {i}: "),)),)
            yield Sample(
                id=str(i),
                messages=asked,
                further=(asked, asked, asked),
                continuations=("A", "B", "C", None),
                params=Params(temperature=0.5, max_tokens=3),
            )


class Likeliest(Judge):
    name = "likeliest"
    summary = "which of the texts is the most likely one, from 0"

    async def score(self, case: Case) -> Score:
        found = [answer.likelihood for answer in case.response.answers if answer.likelihood is not None]
        best = max(range(len(found)), key=lambda place: found[place].logprob)
        return Score(value=float(best), state="scored", judge=self.label)


class Lengths(Judge):
    name = "lengths"
    summary = "a number that tells the lengths of the answers, their order, and how many media came"

    async def score(self, case: Case) -> Score:
        lengths = [len(answer.text) for answer in case.response.answers]
        images = sum(len(answer.parts) - 1 for answer in case.response.answers)
        value = sum(100**place * length for place, length in enumerate(lengths)) / 1e4 + images
        return Score(value=value, state="scored", judge=self.label)
