"""AMG, modality selection: in which modalities does the model answer, and how many of 25 people would?

Protocol: Align Anything (arXiv 2412.15838), section 4 and appendix 12.2.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from eval_anything.judge import Case, Rubric
from eval_anything.judges.votes import ALPHAS
from eval_anything.records import revision_of
from eval_anything.stats.aggregate import Means
from eval_anything.task import Dataset, DataSource, Task
from eval_anything.tasks.amg import about, data
from eval_anything.values import Message, Modality, Response, Sample, Text


class SelectionOptions(msgspec.Struct, frozen=True):
    video: bool = False
    """Offer video as well. Nobody could vote for it, so an answer with video agrees with nobody."""
    revision: str = data.SELECTION_REVISION
    """Commit or branch of the hub data set."""


class Selection(Task):
    name = "amg_selection"
    version = "1"
    title = "AMG: modality selection"
    summary = "choose in which of text, image and audio to answer; the share of 25 people who chose the same"
    inputs = ("text",)
    outputs: tuple[Modality, ...] = ("text", "image", "audio")
    licence = about.LICENCE
    citation = about.CITATION
    homepage = about.HUB + data.SELECTION
    data_kinds = ("hub", "path", "synthetic")
    judge = "votes"
    protocol_judge = "votes"
    offline_judge = "votes"
    offline_tool = "synthetic/scene"
    Options = SelectionOptions

    def __init__(self, options: SelectionOptions, prompts: Path | None = None) -> None:
        super().__init__(options, prompts)
        if options.video:
            self.outputs = (*self.outputs, "video")

    def open(self, source: DataSource) -> Dataset:
        return open_instructions(source, self.options.revision)

    def samples(self, dataset: Dataset) -> Iterator[Sample]:
        for row in dataset.records:
            yield Sample(
                id=row.instruction_uid,
                messages=(Message("user", (Text(row.instruction),)),),
                metadata={"selection": row.selection},
            )

    def case(self, sample: Sample, response: Response) -> Case:
        return unrated(sample, response)

    def aggregation(self) -> Means:
        return Means(overall="Select", components=ALPHAS, low=0, high=1)

    @classmethod
    def write_synthetic(cls, out: Path, n: int | None, seed: int) -> None:
        from eval_anything.tasks.amg.twin import write_selection

        write_selection(out, n, seed)


def open_instructions(source: DataSource, revision: str) -> Dataset:
    """The instructions that selection and synergy share."""
    found = data.locate(source, data.SELECTION, revision, data.PARQUET)
    rows = data.read_instructions(found.root)
    return Dataset(
        kind=source.kind,
        root=found.root,
        revision=revision_of(rows),
        size=len(rows),
        records=rows,
        notes=(found.note,) if found.note else (),
    )


def unrated(sample: Sample, response: Response) -> Case:
    """A case for judges that ask no model to rate by a prompt."""
    return Case(sample=sample, response=response, rubric=Rubric(system="", user="{response}", low=0, high=1))
