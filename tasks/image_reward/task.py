"""ImageReward: pictures made of real users' prompts, scored by a reward model of people's preferences.

Protocol: ImageReward (arXiv 2304.05977) and its scripts; the card beside this file says what is published and
what differs between the profiles.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from eval_anything.judge import Case, Rubric
from eval_anything.protocol import ProfileOptions, ProtocolTask
from eval_anything.stats.aggregate import Metric, Tree
from eval_anything.task import Dataset, DataSource
from eval_anything.tasks.image_reward import data
from eval_anything.values import Message, Response, Sample, Score, Text


class ImageRewardOptions(ProfileOptions, frozen=True):
    revision: str = ""
    """Commit or branch of the repository that holds the prompts; empty: the one this project knows."""


class ImageReward(ProtocolTask):
    name = "image_reward"
    version = "1"
    title = "ImageReward: text to image, by a reward model of people's preferences"
    summary = "make images of real users' prompts (100, or 466 as align-anything does); scored by ImageReward"
    inputs = ("text",)
    outputs = ("image",)
    required = ("image",)
    licence = f"{data.LICENCE} (code, prompts, checkpoint)"
    citation = (
        "Xu et al., ImageReward: Learning and Evaluating Human Preferences for Text-to-Image Generation,"
        " NeurIPS 2023, arXiv 2304.05977"
    )
    homepage = "https://github.com/THUDM/ImageReward"
    data_kinds = ("hub", "path", "synthetic")
    offline_judge = "scene"
    offline_tool = "synthetic/scene"
    Options = ImageRewardOptions

    def open(self, source: DataSource) -> Dataset:
        prompts: data.Prompts = "test" if "test-prompts" in self.protocol.quirks else "benchmark"
        opened = data.read(source, prompts, self.options.revision)
        return Dataset(
            kind=source.kind,
            root=opened.root,
            revision=opened.revision,
            size=len(opened.prompts),
            records=opened.prompts,
            notes=opened.notes,
        )

    def samples(self, dataset: Dataset) -> Iterator[Sample]:
        for prompt in dataset.records:
            yield Sample(id=prompt.id, messages=(Message("user", (Text(prompt.prompt),)),))

    def settled(self, sample: Sample, response: Response) -> Score | None:
        return self.without_medium(sample, response)

    def case(self, sample: Sample, response: Response) -> Case:
        return Case(sample=sample, response=response, rubric=self.protocol.rubric(Rubric, system="", user=""))

    def aggregation(self) -> Tree:
        """The mean over prompts of the mean over each prompt's images."""
        low, high = self.protocol.scale
        return Tree(headline=Metric(name="ImageReward", each="sample"), low=low, high=high)

    @classmethod
    def write_synthetic(cls, out: Path, n: int | None, seed: int) -> None:
        from eval_anything.tasks.image_reward.twin import write_twin

        write_twin(out, n, seed)
