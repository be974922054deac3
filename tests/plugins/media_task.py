"""Tasks that ask for media, and a judge that looks at what was chosen and made: for tests of agents."""

from collections.abc import Iterator
from pathlib import Path

from eval_anything.judge import Case, Judge, Rubric
from eval_anything.task import Dataset, DataSource, Task
from eval_anything.values import Image, Message, Params, Response, Sample, Score, Text


class MediaTask(Task):
    """Free choice of text, image and audio."""

    name = "media_task"
    version = "1"
    title = "Things to show and to hear"
    summary = "as many short requests as asked for; text, image and audio as the model likes"
    inputs = ("text",)
    outputs = ("text", "image", "audio")
    data_kinds = ("synthetic",)
    offline_judge = "counts_media"
    offline_tool = "fake/echo"
    params = Params(temperature=0.0)

    def open(self, source: DataSource) -> Dataset:
        n = int((source.path / "n.txt").read_text())
        return Dataset(kind=source.kind, root=source.path, revision=str(n), size=n, records=n)

    def samples(self, dataset: Dataset) -> Iterator[Sample]:
        for i in range(dataset.size):
            yield Sample(id=str(i), messages=(Message("user", (Text(f"Tell me of thing {i}."),)),))

    def case(self, sample: Sample, response: Response) -> Case:
        return Case(sample=sample, response=response, rubric=Rubric(system="Rate.", user="{response}"))

    @classmethod
    def write_synthetic(cls, out: Path, n: int | None, seed: int) -> None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "n.txt").write_text(str(n or 10))


class RequiredTask(MediaTask):
    """All three are required."""

    name = "required_task"
    required = ("text", "image", "audio")


class PictureTask(MediaTask):
    """An image and nothing else."""

    name = "picture_task"
    outputs = ("image",)
    required = ("image",)


class CountsMedia(Judge):
    """The number of modalities chosen, and whether there is an image to look at."""

    name = "counts_media"
    summary = "how many modalities were chosen"

    async def score(self, case: Case) -> Score:
        seen = sum(isinstance(part, Image) for part in case.response.parts)
        details = {"images": seen, "chosen": list(case.response.modalities)}
        return Score(
            value=float(len(case.response.modalities)), state="scored", judge=self.label, details=details
        )
