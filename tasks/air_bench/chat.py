"""AIR-Bench chat: open questions about speech, sound, music and mixtures, rated beside a reference answer.

Protocol: `chat_judge/protocol.yaml` says what is published, what is corrected, and why; the card has sources.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple

import msgspec

from eval_anything.judge import Case, PairRubric
from eval_anything.protocol import ProtocolTask
from eval_anything.stats.aggregate import Metric, Tree
from eval_anything.task import Dataset, DataSource
from eval_anything.tasks.air_bench import about
from eval_anything.tasks.air_bench.cells import CHAT, Cell, chosen, tasks
from eval_anything.tasks.air_bench.data import CHAT_HALF, AIRBenchOptions, ChatRow, Item, open_half
from eval_anything.tasks.air_bench.originals import template
from eval_anything.values import File, Message, Params, Reference, Response, Sample, Text

_ORDERS: Final = ("reference", "response")
"""Who is shown first."""
_HOT: Final = 2.0
"""The temperature that the published script draws for every other request."""
_MARKS: Final = {
    "XAudioX": "{description}",
    "XQuestionX": "{question}",
    "XAssistant1X": "{first}",
    "XAssistant2X": "{second}",
}
_SCRIPTS: Final = {"score_chat.py": "system_prompt", "ds_evaluate.py": "gpt_prompt"}
"""The benchmark's own script, and Align Anything's, with the variable that holds the prompt."""


class AIRBenchChat(ProtocolTask):
    name = "air_bench_chat"
    version = "1"
    title = "AIR-Bench chat: open questions about audio"
    summary = "open questions about speech, sound, music and mixtures; a judge rates both answers of a pair"
    inputs = ("text", "audio")
    licence = about.LICENCE
    citation = about.CITATION
    homepage = about.HOMEPAGE
    data_kinds = ("hub", "path", "synthetic")
    offline_judge = "reference"
    judge_folder = "chat_judge"
    Options = AIRBenchOptions
    params = Params(temperature=0.0, max_tokens=1024)

    def open(self, source: DataSource) -> Dataset:
        return open_half(CHAT_HALF, source, self.options)

    def samples(self, dataset: Dataset) -> Iterator[Sample]:
        items: tuple[Item[ChatRow], ...] = dataset.records
        for row, audio in items:
            yield Sample(
                id=row.uniq_id,
                messages=(Message("user", (File(str(audio), "audio"), Text(row.question))),),
                references=(Reference(text=row.answer_gt),),
                metadata={"question": row.question, "meta_info": row.meta_info},
                group=row.task_name,
                cluster=f"{row.cell}/{row.path}",
            )

    def case(self, sample: Sample, response: Response) -> Case:
        rubric = self.protocol.rubric(
            PairRubric,
            system="",
            user=self.prompts["user"],
            values={"description": sample.metadata["meta_info"], "question": sample.metadata["question"]},
            untrusted=("description", "question"),
            baseline=sample.references[0].text,
            tie=0.0,
        )
        if "temperature-drawn" in self.protocol.quirks and _drawn(sample.id):
            rubric = msgspec.structs.replace(
                rubric, params=msgspec.structs.replace(rubric.params, temperature=_HOT)
            )
        return Case(sample=sample, response=response, rubric=rubric)

    def aggregation(self) -> Tree:
        quirks, cells = self.protocol.quirks, chosen(CHAT, self.options.only)
        orders = _ORDERS if "orders-apart" in quirks else ()
        pooled = "mixed-pooled" in quirks
        rating = Metric(name="average", parts=_categories(cells, pooled, _Measure("response", "", orders)))
        wins = _categories(cells, pooled, _Measure("win", "win rate, ", orders, 0.0, 1.0))
        win_rate = Metric(name="win rate", parts=wins, low=0.0, high=1.0)
        others = () if "first-unread" in quirks else (win_rate,)
        return Tree(headline=rating, others=others, low=1, high=10)

    def read_originals(self, folder: Path) -> Mapping[str, str]:
        for file, variable in _SCRIPTS.items():
            if (folder / file).is_file():
                return {"user": template(folder / file, variable, _MARKS)}
        return {}

    @classmethod
    def write_synthetic(cls, out: Path, n: int | None, seed: int) -> None:
        from eval_anything.tasks.air_bench.twin import write_chat

        write_chat(out, n, seed)


class _Measure(NamedTuple):
    """What of each pair is averaged."""

    what: Literal["response", "win"]
    """The rating of the answer, or whether it is the higher one."""
    prefix: str
    orders: tuple[str, ...]
    """Who is shown first, where each order is averaged by itself."""
    low: float | None = None
    high: float | None = None

    def mean(self, name: str, groups: tuple[str, ...]) -> Metric:
        label = f"{self.prefix}{name}"
        column = "" if self.what == "response" else self.what
        if not self.orders:
            return Metric(name=label, groups=groups, column=column, low=self.low, high=self.high)
        parts = tuple(
            Metric(
                name=f"{label}, {first} first",
                groups=groups,
                column=f"{self.what}, {first} first",
                low=self.low,
                high=self.high,
            )
            for first in self.orders
        )
        return Metric(name=label, parts=parts, low=self.low, high=self.high)


def _categories(cells: Sequence[Cell], pooled: bool, measure: _Measure) -> tuple[Metric, ...]:
    """Speech, sound, music over all items of their tasks; mixed as the mean of its two tasks, or pooled."""
    found = []
    for domain in dict.fromkeys(cell.domain for cell in cells):
        names = tasks([cell for cell in cells if cell.domain == domain])
        if domain != "mixed" or pooled:
            found.append(measure.mean(domain, names))
            continue
        label, parts = f"{measure.prefix}{domain}", tuple(measure.mean(name, (name,)) for name in names)
        found.append(Metric(name=label, parts=parts, low=measure.low, high=measure.high))
    return tuple(found)


def _drawn(sample_id: str) -> bool:
    """Whether the published script's coin falls on the hot temperature, thrown once for each item."""
    return bool(hashlib.sha256(f"temperature {sample_id}".encode()).digest()[0] & 1)
