"""MIA-Bench: layered instructions about an image, graded component by component by a judge that sees it.

Protocol: arXiv 2407.01509 and its notebook; the card beside this file says what is published and what differs
between the profiles.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from eval_anything.judge import Case, Component, ComponentsRubric
from eval_anything.protocol import ProfileOptions, ProtocolTask
from eval_anything.stats.aggregate import Metric, Tree
from eval_anything.task import Dataset, DataSource
from eval_anything.tasks.mia_bench import data, notebook
from eval_anything.tasks.mia_bench.data import KINDS
from eval_anything.values import File, Message, Params, Response, Sample, Score, Text

_FAILED = "error"
"""What the benchmark has one write for a model that gave no response."""


class MIABenchOptions(ProfileOptions, frozen=True):
    revision: str = data.REVISION
    """Commit or branch of the hub's mirror."""


class MIABench(ProtocolTask):
    name = "mia_bench"
    version = "1"
    title = "MIA-Bench: layered multimodal instructions"
    summary = "400 instructions about an image, graded by components by a judge that sees the image"
    inputs = ("text", "image")
    licence = data.LICENCE
    citation = (
        "Qian et al., MIA-Bench: Towards Better Instruction Following Evaluation of Multimodal LLMs,"
        " ICLR 2025, arXiv 2407.01509"
    )
    homepage = "https://github.com/apple/ml-mia-bench"
    data_kinds = ("hub", "path", "synthetic")
    offline_judge = "reference"
    Options = MIABenchOptions
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
        opened: data.Opened = dataset.records
        for number, (item, image) in enumerate(zip(opened.items, opened.images, strict=True)):
            yield Sample(
                id=str(number),
                messages=(Message("user", (File(image, "image"), Text(item.instruction))),),
                references=opened.truths[number].references if opened.truths else (),
                metadata={"image": item.image, "components": msgspec.to_builtins(item.components)},
                group=item.type,
            )

    def settled(self, sample: Sample, response: Response) -> Score | None:
        if "error-text" in self.protocol.quirks and response.text == _FAILED:
            return Score(value=None, state="no_response", reason='the response is the word "error"')
        return None

    def case(self, sample: Sample, response: Response) -> Case:
        components = msgspec.convert(sample.metadata["components"], tuple[Component, ...])
        whole = sum(component.weight for component in components)
        total = f"{10 if 'total-of-ten' in self.protocol.quirks else whole:g}"
        rubric = self.protocol.rubric(
            ComponentsRubric,
            system="",
            user=self.prompts["user"],
            values={"total": total, "form": _form(components, total)},
            components=components,
        )
        return Case(sample=sample, response=response, rubric=rubric)

    def aggregation(self) -> Tree:
        return Tree(
            headline=Metric(name="MIA-Bench"),
            others=tuple(Metric(name=kind, column=kind, factor=100) for kind in KINDS),
            low=self.protocol.scale[0],
            high=self.protocol.scale[1],
        )

    def read_originals(self, folder: Path) -> Mapping[str, str]:
        """The prompt of the benchmark's notebook."""
        path = folder / notebook.FILE
        return {"user": notebook.read_prompt(path)} if path.is_file() else {}

    @classmethod
    def write_synthetic(cls, out: Path, n: int | None, seed: int) -> None:
        from eval_anything.tasks.mia_bench.twin import write_twin

        write_twin(out, n, seed)


def _form(components: tuple[Component, ...], total: str) -> str:
    scores = [f"score of component {i}: ?/{c.weight:g}" for i, c in enumerate(components, 1)]
    return f"{', '.join(scores)}, total score: ?/{total}."
