"""LLaVA-Bench (COCO): questions about COCO images, rated beside the answers of a text-only GPT-4.

Protocol: Visual Instruction Tuning (arXiv 2304.08485) and its scripts; the card beside this file says what is
published and what differs between the profiles.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from eval_anything.errors import DataError
from eval_anything.judge import Case, PairRubric
from eval_anything.protocol import ProfileOptions, ProtocolTask
from eval_anything.stats.aggregate import Metric, Tree
from eval_anything.task import Dataset, DataSource
from eval_anything.tasks.llava_bench_coco import data
from eval_anything.tasks.llava_bench_coco.data import CATEGORIES
from eval_anything.values import File, Message, Params, Reference, Response, Sample, Text

_RULE_FILES = ("rule.json", "rule.jsonl")
"""Of LLaVA, and of align-anything, whose file is JSON too."""
_HEADLINE = "relative score"
_ROLE = "Assistant"
"""What the user template calls the two."""


class LLaVABenchOptions(ProfileOptions, frozen=True):
    revision: str = data.REVISION
    """Commit or branch of the hub's mirror."""


class LLaVABenchCOCO(ProtocolTask):
    name = "llava_bench_coco"
    version = "1"
    title = "LLaVA-Bench (COCO)"
    summary = "90 questions about 30 COCO images, rated beside the answers of a text-only GPT-4"
    inputs = ("text", "image")
    licence = data.LICENCE
    citation = "Liu et al., Visual Instruction Tuning, NeurIPS 2023, arXiv 2304.08485"
    homepage = "https://github.com/haotian-liu/LLaVA"
    data_kinds = ("hub", "path", "synthetic")
    offline_judge = "reference"
    Options = LLaVABenchOptions
    params = Params(temperature=0.0, max_tokens=1024)

    def open(self, source: DataSource) -> Dataset:
        opened = data.read(source, self.options.revision)
        return Dataset(
            kind=source.kind,
            root=opened.root,
            revision=opened.revision,
            size=len(opened.items),
            records=opened,
            notes=opened.notes,
        )

    def samples(self, dataset: Dataset) -> Iterator[Sample]:
        for item in dataset.records.items:
            image = File(dataset.records.images[item.question_id], "image")
            yield Sample(
                id=item.question_id,
                messages=(Message("user", (image, Text(item.question))),),
                references=(Reference(text=item.reference),),
                metadata={"question": item.question, "captions": item.captions, "boxes": item.boxes},
                group=item.category,
                cluster=item.image,
            )

    def case(self, sample: Sample, response: Response) -> Case:
        known = sample.metadata
        shown = [known["captions"]]
        if known["boxes"] and "captions-only" not in self.protocol.quirks:
            shown.append(known["boxes"])
        rubric = self.protocol.rubric(
            PairRubric,
            system=self.prompts["system"],
            user=self.prompts["user"],
            values={
                "context": "\n\n".join(shown),
                "question": known["question"],
                "rule": self.prompts["rule"],
            },
            baseline=sample.references[0].text,
        )
        return Case(sample=sample, response=response, rubric=rubric)

    def aggregation(self) -> Tree:
        """Mean rating of the model per mean rating of the reference, times 100, over the same questions."""
        quirks = self.protocol.quirks
        scale = {"low": 0.0, "high": 100.0}
        relative = {
            "per": "reference",
            "factor": 100,
            "round_means": 3 if "rounded-means" in quirks else None,
            "digits": 1 if "rounded-ratio" in quirks else None,
            **scale,
        }
        categories = tuple(Metric(name=name, groups=(name,), **relative) for name in CATEGORIES)
        ratings = (
            Metric(name="rating of the model"),
            Metric(name="rating of the reference", column="reference"),
        )
        ends = {"low": self.protocol.scale[0], "high": self.protocol.scale[1]}
        if "category-mean" in quirks:
            mean = Metric(name="mean of the categories", parts=categories, **scale)
            return Tree(headline=Metric(name=_HEADLINE, **relative), others=(mean, *ratings), **ends)
        rounding = {name: relative[name] for name in ("round_means", "digits")}
        headline = Metric(name=_HEADLINE, parts=categories, pooled=True, **rounding, **scale)
        return Tree(headline=headline, others=ratings, **ends)

    def read_originals(self, folder: Path) -> Mapping[str, str]:
        """The rule of rule.json, one for the three categories, as published."""
        path = next((folder / name for name in _RULE_FILES if (folder / name).is_file()), None)
        if path is None:
            return {}
        try:
            rules = msgspec.json.decode(path.read_bytes(), type=dict[str, dict[str, str]])
            found = {(rules[name]["role"], rules[name]["prompt"]) for name in CATEGORIES}
        except (msgspec.MsgspecError, KeyError) as fault:
            raise DataError(
                f"{path}: expected {{category: {{role, prompt}}}} for {', '.join(CATEGORIES)}: {fault}"
            ) from None
        if len(found) > 1:
            raise DataError(f"{path}: the rules of {', '.join(CATEGORIES)} differ; expected one for all")
        ((role, rule),) = found
        if role != _ROLE:
            raise DataError(f"{path}: role {role!r}; the user template calls them {_ROLE}")
        return {"rule": rule}

    @classmethod
    def write_synthetic(cls, out: Path, n: int | None, seed: int) -> None:
        from eval_anything.tasks.llava_bench_coco.twin import write_twin

        write_twin(out, n, seed)
