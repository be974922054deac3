"""AMG, modality synergy: how well do the text, the image and the audio of one answer go together, in pairs?

Every instruction is to be answered in all three modalities, whatever selection said. Protocol: Align Anything
(arXiv 2412.15838), section 4 and appendix 12.2.4.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from eval_anything.judge import Case
from eval_anything.stats.aggregate import Means
from eval_anything.task import Dataset, DataSource, Task
from eval_anything.tasks.amg import about, data
from eval_anything.tasks.amg.selection import open_instructions, unrated
from eval_anything.values import Message, Response, Sample, Text

PAIRS = ("text-image", "text-audio", "image-audio")


class SynergyOptions(msgspec.Struct, frozen=True):
    revision: str = data.SELECTION_REVISION
    """Commit or branch of the hub data set."""


class Synergy(Task):
    name = "amg_synergy"
    version = "1"
    title = "AMG: modality synergy"
    summary = "answer in text, image and audio at once; a reward model says how well each two go together"
    inputs = ("text",)
    outputs = ("text", "image", "audio")
    required = ("text", "image", "audio")
    licence = about.LICENCE
    citation = about.CITATION
    homepage = about.HUB + data.SELECTION
    data_kinds = ("hub", "path", "synthetic")
    judge = "synergy"
    protocol_judge = "synergy"
    offline_judge = "synergy-embedded"
    truth_judge = "scene"
    offline_tool = "synthetic/scene"
    Options = SynergyOptions

    def open(self, source: DataSource) -> Dataset:
        return open_instructions(source, self.options.revision)

    def samples(self, dataset: Dataset) -> Iterator[Sample]:
        for row in dataset.records:
            yield Sample(id=row.instruction_uid, messages=(Message("user", (Text(row.instruction),)),))

    def case(self, sample: Sample, response: Response) -> Case:
        return unrated(sample, response)

    def aggregation(self) -> Means:
        return Means(overall="synergy", components=PAIRS, low=0, high=1)

    @classmethod
    def write_synthetic(cls, out: Path, n: int | None, seed: int) -> None:
        from eval_anything.tasks.amg.twin import write_selection

        write_selection(out, n, seed)
