"""AIR-Bench foundation: 19 tasks of hearing as multiple-choice questions; the model's own answer is read.

Protocol: `foundation_judge/protocol.yaml` says what is published, what is corrected, and why.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from eval_anything.errors import DataError
from eval_anything.judge import Case, Rubric
from eval_anything.prompts import fill
from eval_anything.protocol import ProtocolTask
from eval_anything.stats.aggregate import Metric, Tree
from eval_anything.task import Dataset, DataSource
from eval_anything.tasks.air_bench import about
from eval_anything.tasks.air_bench.cells import FOUNDATION, LABELS, Cell, chosen, tasks
from eval_anything.tasks.air_bench.data import (
    FOUNDATION_HALF,
    AIRBenchOptions,
    FoundationRow,
    Item,
    open_half,
)
from eval_anything.tasks.air_bench.originals import template
from eval_anything.values import File, Message, Params, Response, Sample, Text

_PERCENT: Final = 100.0
_SCRIPT: Final = "Inference_Foundation.py"


class AIRBenchFoundation(ProtocolTask):
    name = "air_bench_foundation"
    version = "1"
    title = "AIR-Bench foundation: multiple-choice questions about audio"
    summary = "19 tasks of hearing (speech, sound, music) as multiple-choice questions; accuracy in per cent"
    inputs = ("text", "audio")
    licence = about.LICENCE
    citation = about.CITATION
    homepage = about.HOMEPAGE
    data_kinds = ("hub", "path", "synthetic")
    offline_judge = "multiple_choice"
    judge_folder = "foundation_judge"
    Options = AIRBenchOptions
    params = Params(temperature=0.0, max_tokens=1024)

    def open(self, source: DataSource) -> Dataset:
        dataset = open_half(FOUNDATION_HALF, source, self.options)
        for row, _ in dataset.records:
            _right(row)
        return dataset

    def samples(self, dataset: Dataset) -> Iterator[Sample]:
        items: tuple[Item[FoundationRow], ...] = dataset.records
        for row, audio in items:
            yield Sample(
                id=row.uniq_id,
                messages=(Message("user", (File(str(audio), "audio"), Text(self._prompt(row)))),),
                metadata={"options": offered(row), "answer": self._answer(row)},
                group=row.cell,
                cluster=f"{row.cell}/{row.path}",
            )

    def case(self, sample: Sample, response: Response) -> Case:
        return Case(sample=sample, response=response, rubric=self.protocol.rubric(Rubric, system="", user=""))

    def aggregation(self) -> Tree:
        cells = chosen(FOUNDATION, self.options.only)
        domains = dict.fromkeys(cell.domain for cell in cells)
        parts = tuple(_domain(name, [cell for cell in cells if cell.domain == name]) for name in domains)
        overall = Metric(name="all questions", factor=_PERCENT)
        headline = Metric(name="average", parts=parts)
        return Tree(headline=headline, others=(overall,), low=0, high=_PERCENT)

    def read_originals(self, folder: Path) -> Mapping[str, str]:
        if not (folder / _SCRIPT).is_file():
            return {}
        sentence = template(folder / _SCRIPT, "question_prompts", {})
        return {"question": f"{sentence}\n{{question}}\n{{options}}"}

    @classmethod
    def write_synthetic(cls, out: Path, n: int | None, seed: int) -> None:
        from eval_anything.tasks.air_bench.twin import write_foundation

        write_foundation(out, n, seed)

    def _prompt(self, row: FoundationRow) -> str:
        shown: dict[str, str] = offered(row)
        if "none-printed" in self.protocol.quirks:
            shown = {letter: str(choice) for letter, choice in zip("ABCD", _choices(row), strict=True)}
        lines = "\n".join(f"{letter}. {text}" for letter, text in shown.items())
        return fill(self.prompts["question"], {"question": row.question, "options": lines}).strip("\n")

    def _answer(self, row: FoundationRow) -> str:
        right = _right(row)
        return right[0] if "first-equal-text" in self.protocol.quirks else right


def offered(row: FoundationRow) -> dict[str, str]:
    """The options that there are, by letter."""
    return {
        letter: str(choice)
        for letter, choice in zip("ABCD", _choices(row), strict=True)
        if choice is not None and str(choice).strip()
    }


def _choices(row: FoundationRow) -> Sequence[object]:
    return (row.choice_a, row.choice_b, row.choice_c, row.choice_d)


def _right(row: FoundationRow) -> str:
    """The letters of the options that read as the right answer does, mostly one."""
    held = offered(row)
    letters = "".join(letter for letter, text in held.items() if text == str(row.answer_gt))
    if not letters:
        raise DataError(
            f"{FOUNDATION_HALF.file}, uniq_id {row.uniq_id!r}: answer_gt {str(row.answer_gt)!r} is none of"
            f" the choices ({', '.join(map(repr, held.values()))})"
        )
    return letters


def _domain(name: str, cells: Sequence[Cell]) -> Metric:
    return Metric(
        name=name, parts=tuple(_task(task, [c for c in cells if c.task == task]) for task in tasks(cells))
    )


def _task(name: str, cells: Sequence[Cell]) -> Metric:
    """Accuracy; of a task with two data sets, the mean of theirs."""
    label = LABELS[name]
    if len(cells) == 1:
        return Metric(name=label, groups=(cells[0].name,), factor=_PERCENT)
    parts = tuple(
        Metric(name=f"{label}, {cell.dataset}", groups=(cell.name,), factor=_PERCENT) for cell in cells
    )
    return Metric(name=label, parts=parts)
