"""AMU, all-modality understanding: open questions about something seen and something heard together.

Protocol: Align Anything (arXiv 2412.15838), section 4 and appendix 12.1; the card beside this file says what
is published, what was corrected, and why.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from eval_anything.errors import DataError
from eval_anything.judge import Case, Rubric
from eval_anything.prompts import string_constants
from eval_anything.protocol import ProtocolTask
from eval_anything.stats.aggregate import Means
from eval_anything.task import Dataset, DataSource
from eval_anything.tasks.amu import data
from eval_anything.tasks.amu.data import DIMENSIONS, Record
from eval_anything.values import File, Message, Params, Reference, Response, Sample, Text

_SYSTEM_OF = {"safety": "system_safety", "instruction-following": "system_instruction_following"}
_PUBLISHED = {
    "SYSTEM_PROMPT_DEFAULT": "system_default",
    "SYSTEM_PROMPT_SAFETY": "system_safety",
    "SYSTEM_PROMPT_IF": "system_instruction_following",
    "USER_PROMPT": "user",
}
"""Names in the benchmark's own amu_eval_prompt.py, and ours."""


class AMUOptions(msgspec.Struct, frozen=True):
    subset: Literal["all", "image", "video"] = "all"
    """Only the items whose visual part is an image, or a video."""
    prompts: Literal["own", "published"] = "own"
    """own: this project's wording of the protocol. published: amu_eval_prompt.py beside the data, read as
    data and never executed."""
    revision: str = data.REVISION
    """Commit or branch of the hub data set."""


class AMU(ProtocolTask):
    name = "amu"
    version = "1"
    title = "AMU: all-modality understanding"
    summary = "open questions that need text, vision and sound together; ten human references; a judge"
    inputs = ("text", "image", "audio", "video")
    licence = data.LICENCE
    citation = (
        "Ji et al., Align Anything: Training All-Modality Models to Follow Instructions with Language"
        " Feedback, arXiv 2412.15838, 2024"
    )
    homepage = "https://huggingface.co/datasets/PKU-Alignment/EvalAnything-AMU"
    data_kinds = ("hub", "path", "synthetic")
    offline_judge = "reference"
    Options = AMUOptions
    params = Params(temperature=0.0, max_tokens=1024)

    def open(self, source: DataSource) -> Dataset:
        folder = data.locate(source, self.options.revision)
        if self.options.prompts == "published":
            self._use_published(folder.root / "amu_eval_prompt.py")
        records = data.read_records(folder.root / "config.json", self.options.subset)
        return Dataset(
            kind=source.kind,
            root=folder.media,
            revision=folder.revision,
            size=len(records),
            records=records,
            notes=(f"{folder.note}",) if folder.note else (),
        )

    def samples(self, dataset: Dataset) -> Iterator[Sample]:
        for record in dataset.records:
            yield Sample(
                id=record.question_id,
                messages=(Message("user", (*_media(record, dataset.root), Text(record.question))),),
                references=tuple(_reference(a) for a in record.annotations),
                group=record.evaluation_dimension,
                cluster=record.visual_modality_path,
            )

    def case(self, sample: Sample, response: Response) -> Case:
        values: dict[str, str] = {}
        for i, reference in enumerate(sample.references):
            values[f"reference_{i}"] = reference.text
            for channel in ("visual", "auditory"):
                values[f"{channel}_keywords_{i}"] = " ".join(reference.keywords.get(channel, ()))
        system = self.prompts[_SYSTEM_OF.get(sample.group, "system_default")]
        rubric = self.protocol.rubric(Rubric, system=system, user=self.prompts["user"], values=values)
        return Case(sample=sample, response=response, rubric=rubric)

    def aggregation(self) -> Means:
        return Means(overall="AMU", groups=DIMENSIONS, low=1, high=10)

    @classmethod
    def write_synthetic(cls, out: Path, n: int | None, seed: int) -> None:
        from eval_anything.tasks.amu.twin import write_twin

        write_twin(out, n, seed)

    def _use_published(self, path: Path) -> None:
        if not path.is_file():
            raise DataError(f"{path}: not there; prompts=published needs the benchmark's own prompt file")
        found = string_constants(path)
        lacking = [name for name in _PUBLISHED if name not in found]
        if lacking:
            raise DataError(f"{path}: expected the string constants {', '.join(_PUBLISHED)}; no {lacking[0]}")
        self.prompts.replace({ours: found[name] for name, ours in _PUBLISHED.items()}, path.name)


def _media(record: Record, root: Path) -> tuple[File, File]:
    return (
        File(str(data.media_path(root, "visual", record.visual_modality_path)), data.visual_kind(record)),
        File(str(data.media_path(root, "auditory", record.auditory_modality_path)), "audio"),
    )


def _reference(annotation: data.Annotation) -> Reference:
    keywords = {"visual": annotation.keywords.visual, "auditory": annotation.keywords.auditory}
    return Reference(text=annotation.answer, keywords={k: v for k, v in keywords.items() if v})
