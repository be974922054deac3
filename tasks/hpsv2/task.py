"""HPSv2: pictures made of 3200 prompts in four styles, scored by a model of people's preferences.

Protocol: Human Preference Score v2 (arXiv 2306.09341) and its scripts; the card beside this file says what is
published and what differs between the profiles.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from eval_anything.judge import Case, Rubric
from eval_anything.protocol import ProfileOptions, ProtocolTask
from eval_anything.stats.aggregate import Metric, Tree
from eval_anything.task import Dataset, DataSource
from eval_anything.tasks.hpsv2 import data
from eval_anything.tasks.hpsv2.data import STYLES
from eval_anything.values import Message, Response, Sample, Score, Text

_BLOCK = 80


class HPSv2Options(ProfileOptions, frozen=True):
    revision: str = data.REVISION
    """Commit or branch of the hub data set."""


class HPSv2(ProtocolTask):
    name = "hpsv2"
    version = "1"
    title = "HPSv2: text to image in four styles, by a model of people's preferences"
    summary = (
        "make images of 3200 prompts: anime, concept art, paintings, photos; scored by HPS v2.1 (or v2.0)"
    )
    inputs = ("text",)
    outputs = ("image",)
    required = ("image",)
    licence = f"Apache 2.0 (code, checkpoints); prompts: {data.LICENCE}"
    citation = (
        "Wu et al., Human Preference Score v2: A Solid Benchmark for Evaluating Human Preferences of"
        " Text-to-Image Synthesis, arXiv 2306.09341, 2023"
    )
    homepage = "https://github.com/tgxs002/HPSv2"
    data_kinds = ("hub", "path", "synthetic")
    offline_judge = "scene"
    offline_tool = "synthetic/scene"
    Options = HPSv2Options

    def open(self, source: DataSource) -> Dataset:
        opened = data.read(source, self.options.revision)
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
            yield Sample(
                id=prompt.id, messages=(Message("user", (Text(prompt.prompt),)),), group=prompt.style
            )

    def settled(self, sample: Sample, response: Response) -> Score | None:
        return self.without_medium(sample, response)

    def case(self, sample: Sample, response: Response) -> Case:
        return Case(sample=sample, response=response, rubric=self.protocol.rubric(Rubric, system="", user=""))

    def aggregation(self) -> Tree:
        """The mean over all images; below it each style's."""
        low, high = self.protocol.scale
        blocks = _BLOCK if "groups-of-80" in self.protocol.quirks else None
        styles = tuple(Metric(name=style, groups=(style,), blocks=blocks) for style in STYLES)
        deviations = tuple(
            Metric(name=f"{style}, deviation of groups", groups=(style,), blocks=blocks, spread=True)
            for style in STYLES
            if blocks
        )
        return Tree(
            headline=Metric(name="HPSv2", parts=styles, pooled=True), others=deviations, low=low, high=high
        )

    @classmethod
    def write_synthetic(cls, out: Path, n: int | None, seed: int) -> None:
        from eval_anything.tasks.hpsv2.twin import write_twin

        write_twin(out, n, seed)
