"""AMG, instruction following: what is made of a prompt is judged in one modality, scale 0 to 10.

Text and images are rated by a judging model, by a rubric. About sound and video a judging model answers
multiple-choice questions whose answers follow from the prompt. Protocol: Align Anything (arXiv 2412.15838),
section 4; the card beside this file says what is published, what was corrected, and why.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

import msgspec

from eval_anything.judge import Case, Rubric
from eval_anything.protocol import ProtocolTask, failed_tool
from eval_anything.records import revision_of
from eval_anything.stats.aggregate import Means
from eval_anything.task import Dataset, DataSource
from eval_anything.tasks.amg import about, data
from eval_anything.values import Message, Modality, Response, Sample, Score, Text, part_modality

MissingMedia = Literal["zero", "skip"]
Weighting = Literal["question", "prompt"]


class TextOptions(msgspec.Struct, frozen=True):
    revision: str = data.INSTRUCTIONS_REVISION
    """Commit or branch of the hub data set."""


class ImageOptions(TextOptions, frozen=True):
    missing_media: MissingMedia = "zero"
    """What an answer without the medium that was asked for gets: zero, or (skip, as in the published scripts)
    no score at all. Where a tool failed there is no score either way."""


class QuestionOptions(ImageOptions, frozen=True):
    weighting: Weighting = "question"
    """question: every question counts alike, as in the published scripts, so that prompts with more questions
    count more. prompt: every prompt counts alike."""


class Instruction(ProtocolTask):
    """What the four modalities share; subclasses name theirs."""

    modality: ClassVar[Modality]
    version = "1"
    inputs = ("text",)
    licence = about.LICENCE
    citation = about.CITATION
    homepage = about.HUB + data.INSTRUCTIONS
    data_kinds = ("hub", "path", "synthetic")
    offline_judge = "scene"
    offline_tool = "synthetic/scene"

    def read(self, path: Path) -> tuple[data.Prompt, ...]:
        return data.read_prompts(path)

    def open(self, source: DataSource) -> Dataset:
        file = data.instruction_file(self.modality)
        found = data.locate(source, data.INSTRUCTIONS, self.options.revision, file)
        prompts = self.read(found.root / file)
        return Dataset(
            kind=source.kind,
            root=found.root,
            revision=revision_of(prompts),
            size=len(prompts),
            records=prompts,
            notes=(found.note,) if found.note else (),
        )

    def samples(self, dataset: Dataset) -> Iterator[Sample]:
        for prompt in dataset.records:
            yield Sample(
                id=prompt.prompt_id,
                messages=(Message("user", (Text(prompt.prompt),)),),
                metadata=self.metadata(prompt),
            )

    def metadata(self, prompt: data.Prompt) -> dict[str, Any]:
        """What judges need besides the prompt; they read the prompt from the sample's message."""
        return {}

    def settled(self, sample: Sample, response: Response) -> Score | None:
        """The verdict on an answer without the medium that was asked for: none, where a tool failed."""
        if self.modality == "text" or self.modality in (part_modality(part) for part in response.parts):
            return None
        if (outage := failed_tool(response, self.modality)) is not None:
            return outage
        if self.options.missing_media == "skip":
            reason = f"no {self.modality} in the answer (missing_media=skip)"
            return Score(value=None, state="no_response", reason=reason)
        return Score(
            value=0.0, state="scored", details={"missing": self.modality}, weight=self.weight(sample)
        )

    def aggregation(self) -> Means:
        return Means(overall=self.modality, low=self.protocol.scale[0], high=self.protocol.scale[1])

    @classmethod
    def write_synthetic(cls, out: Path, n: int | None, seed: int) -> None:
        from eval_anything.tasks.amg.twin import write_instructions

        write_instructions(out, cls.modality, n, seed)


class _Rated(Instruction):
    """Rated by a judging model in two lines, `<Score>: [[n]]` and `<Explanation>: [[...]]`."""

    def case(self, sample: Sample, response: Response) -> Case:
        rubric = self.protocol.rubric(
            Rubric,
            system=self.prompts["system"],
            user=self.prompts["user"],
            values={"prompt": prompt_text(sample)},
            untrusted=("prompt",),
        )
        return Case(sample=sample, response=response, rubric=rubric)


class _Questioned(Instruction):
    """A judging model answers multiple-choice questions about the medium."""

    def read(self, path: Path) -> tuple[data.Prompt, ...]:
        return data.read_questions(path)

    def metadata(self, prompt: data.Prompt) -> dict[str, Any]:
        return {
            "questions": [msgspec.to_builtins(question) for question in prompt.questions],
            "weighting": self.options.weighting,
        }

    def weight(self, sample: Sample) -> float:
        return float(len(sample.metadata["questions"])) if self.options.weighting == "question" else 1.0

    def case(self, sample: Sample, response: Response) -> Case:
        rubric = self.protocol.rubric(Rubric, system=self.prompts["system"], user=self.prompts["user"])
        return Case(sample=sample, response=response, rubric=rubric)


class InstructionText(_Rated):
    name = "amg_instruction_text"
    title = "AMG: instruction following, text"
    summary = "follow 100 instructions in writing; rated 1 to 10 by a judge"
    modality = "text"
    outputs = ("text",)
    required = ("text",)
    judge_folder = "text_judge"
    Options = TextOptions


class InstructionImage(_Rated):
    name = "amg_instruction_image"
    title = "AMG: instruction following, images"
    summary = "make an image of each of 100 prompts; rated 0 to 10 by a judge that sees it"
    modality = "image"
    outputs = ("image",)
    required = ("image",)
    judge_folder = "image_judge"
    Options = ImageOptions


class InstructionAudio(_Questioned):
    name = "amg_instruction_audio"
    title = "AMG: instruction following, audio"
    summary = "make a recording of each of 100 prompts; a judge that hears it answers questions about it"
    modality = "audio"
    outputs = ("audio",)
    required = ("audio",)
    judge_folder = "audio_judge"
    Options = QuestionOptions


class InstructionVideo(_Questioned):
    name = "amg_instruction_video"
    title = "AMG: instruction following, video"
    summary = "make a video of each of 100 prompts; a judge that sees it answers questions about it"
    modality = "video"
    outputs = ("video",)
    required = ("video",)
    judge_folder = "video_judge"
    Options = QuestionOptions


def prompt_text(sample: Sample) -> str:
    """The prompt of a sample of text alone."""
    return "\n".join(p.text for m in sample.messages for p in m.parts if isinstance(p, Text))
