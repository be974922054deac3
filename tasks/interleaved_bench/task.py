"""InterleavedBench: documents of text and pictures in turn, continued or made, rated in five aspects.

Protocol: Liu et al., Holistic Evaluation for Interleaved Text-and-Image Generation (arXiv 2406.14643); the
card beside this file says what is published, what could not be read, and why things are as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from eval_anything.errors import DataError
from eval_anything.judge import Aspect, AspectsRubric, Case
from eval_anything.protocol import ProfileOptions, ProtocolTask, failed_tool
from eval_anything.stats.aggregate import Metric, Tree
from eval_anything.task import Dataset, DataSource
from eval_anything.tasks.interleaved_bench import data
from eval_anything.values import File, Image, Message, Params, Part, Reference, Response, Sample, Score, Text

ASPECTS = ("text_quality", "perceptual_quality", "image_coherence", "text_image_coherence", "helpfulness")
OF_TEXT = ("text_quality", "text_image_coherence")
"""Aspects that image editing and subject-driven generation do not have."""
OF_IMAGES = ("perceptual_quality", "image_coherence", "text_image_coherence")


class InterleavedBenchOptions(ProfileOptions, frozen=True):
    subset: data.Subset = "all"
    """context-based: only the instances whose prompts have pictures; context-free: those of text alone."""
    missing_media: Literal["zero", "skip"] = "zero"
    """What an aspect gets whose text or picture is not in the answer: 0, or (skip) nothing at all."""
    revision: str = data.REVISION
    """Commit or branch of the hub repository."""


class InterleavedBench(ProtocolTask):
    name = "interleaved_bench"
    version = "1"
    title = "InterleavedBench: text and pictures in turn"
    summary = "815 prompts of text and pictures, answered in both; rated 0 to 5 in five aspects by a judge"
    inputs = ("text", "image")
    outputs = ("text", "image")
    required = ("image",)
    interleaved = True
    licence = "Apache-2.0 (the hub repository)"
    citation = (
        "Liu et al., Holistic Evaluation for Interleaved Text-and-Image Generation, arXiv 2406.14643,"
        " EMNLP 2024"
    )
    homepage = "https://huggingface.co/mqliu/InterleavedBench"
    data_kinds = ("hub", "path", "synthetic")
    offline_judge = "scene"
    offline_tool = "synthetic/scene"
    Options = InterleavedBenchOptions
    params = Params(temperature=0.0, max_tokens=2048)

    def __init__(self, options: Any, prompts: Path | None = None) -> None:
        super().__init__(options, prompts)
        self.use_cases: tuple[str, ...] = ()
        """Of the data that were opened last, in their order."""

    def open(self, source: DataSource) -> Dataset:
        found = data.locate(source, self.options.revision)
        items = [item for item in found.items if data.in_subset(item, self.options.subset)]
        if not items:
            raise DataError(f"{found.root}: no {self.options.subset} instances among {len(found.items)}")
        self.use_cases = tuple(dict.fromkeys(item.use_case for item in items))
        return Dataset(
            kind=source.kind,
            root=found.root,
            revision=found.revision,
            size=len(items),
            records=(items, found.pictures),
            notes=found.notes,
        )

    def samples(self, dataset: Dataset) -> Iterator[Sample]:
        items, pictures = dataset.records
        for item in items:
            parts: list[Part] = [
                Text(piece.text) if isinstance(piece, data.Text) else File(str(pictures[piece.path]), "image")
                for piece in item.prompt
            ]
            truth = "\n".join(piece.text for piece in item.truth if isinstance(piece, data.Text))
            shown = [piece.path for piece in item.prompt if isinstance(piece, data.Picture)]
            yield Sample(
                id=item.id,
                messages=(Message("user", tuple(parts)),),
                references=(Reference(text=truth),) if truth else (),
                metadata={"text_free": data.text_free(item)},
                group=item.use_case,
                cluster=shown[0] if shown else "",
            )

    def settled(self, sample: Sample, response: Response) -> Score | None:
        """No score where a tool failed, or where every aspect that the instance has is to be left out."""
        if (outage := failed_tool(response, "image")) is not None:
            return outage
        rubric = self._rubric(sample, response)
        if rubric.aspects or rubric.settled:
            return None
        reason = "nothing that was asked for is in the answer (missing_media=skip)"
        return Score(value=None, state="no_response", reason=reason)

    def case(self, sample: Sample, response: Response) -> Case:
        return Case(sample=sample, response=response, rubric=self._rubric(sample, response))

    def aggregation(self) -> Tree:
        aspects = tuple(Metric(name=name, column=name) for name in ASPECTS)
        return Tree(
            headline=Metric(name="average", parts=aspects),
            others=(
                Metric(name="mean over instances"),
                *(Metric(name=use_case, groups=(use_case,)) for use_case in self.use_cases),
            ),
            low=0,
            high=5,
        )

    @classmethod
    def write_synthetic(cls, out: Path, n: int | None, seed: int) -> None:
        from eval_anything.tasks.interleaved_bench.twin import write_twin

        write_twin(out, n, seed)

    def _rubric(self, sample: Sample, response: Response) -> AspectsRubric:
        text_free = bool(sample.metadata["text_free"])
        missing = _missing(response, text_free)
        asked = [name for name in ASPECTS if not (text_free and name in OF_TEXT)]
        settled: dict[str, float] = {}
        if self.options.missing_media == "zero":
            settled = {name: self.protocol.no_medium or 0.0 for name in asked if name in missing}
        if text_free and "stored-zeros" in self.protocol.quirks:
            settled |= dict.fromkeys(OF_TEXT, 0.0)
        aspects = tuple(
            Aspect(name=name, system=self.prompts[f"{name}_system"], user=self.prompts["user"])
            for name in asked
            if name not in missing
        )
        return self.protocol.rubric(AspectsRubric, system="", user="", aspects=aspects, settled=settled)


def _missing(response: Response, text_free: bool) -> set[str]:
    """The aspects that cannot be rated, as what they are about is not in the answer."""
    images = any(isinstance(part, Image) for part in response.parts)
    text = bool(response.text.strip())
    missing = set() if images else set(OF_IMAGES)
    if not text and not text_free:
        missing |= set(OF_TEXT)
    if not images and (text_free or not text):
        missing.add("helpfulness")
    return missing
