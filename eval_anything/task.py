"""What a task is: data, the samples made of them, how answers are judged, how scores aggregate."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import msgspec

from eval_anything.errors import UsageError
from eval_anything.judge import Case
from eval_anything.models.base import NoOptions
from eval_anything.stats.aggregate import Means, Tree
from eval_anything.values import Capabilities, Modality, Params, Response, Sample, Score

DataKind = Literal["hub", "path", "synthetic"]


class DataSource(msgspec.Struct, frozen=True, kw_only=True):
    """Where a task's records are to be read from."""

    kind: DataKind
    path: Path | None = None
    """The folder, for kind "path"."""
    n: int | None = None
    """How many items a synthetic twin has; None: the task's own default."""
    seed: int = 0
    """Seed of the synthetic twin."""


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    """An opened data set: its layout has been checked, its media have not."""

    kind: DataKind
    root: Path
    """Media files of the samples must lie below this folder."""
    revision: str
    """Hub commit, or a hash of the records."""
    size: int
    records: Any
    """What the task's `samples` reads; opaque to the runner."""
    notes: tuple[str, ...] = ()
    """Shown with the results (rows left out, files ignored)."""


class Task(abc.ABC):
    """A benchmark. Subclasses state the class variables and define `open`, `samples` and `case`."""

    name: ClassVar[str]
    version: ClassVar[str]
    """Raised with each change that can change a score."""
    title: ClassVar[str]
    summary: ClassVar[str]
    inputs: ClassVar[tuple[Modality, ...]]
    outputs: tuple[Modality, ...] = ("text",)
    """What an answer may hold; an option of the task may change it."""
    required: ClassVar[tuple[Modality, ...]] = ()
    """Outputs that every answer must hold; the others of `outputs` are the model's choice."""
    interleaved: ClassVar[bool] = False
    """Whether answers are documents: words and media in turn, with as many media as they need."""
    licence: ClassVar[str] = ""
    citation: ClassVar[str] = ""
    homepage: ClassVar[str] = ""
    data_kinds: ClassVar[tuple[DataKind, ...]] = ("path",)
    judge: str = "rubric"
    """The judge's shape when --judge names a model; a profile of the protocol may change it."""
    protocol_judge: str = ""
    """The judge that the published protocol prescribes; the default on real data."""
    judge_options: Mapping[str, Any] = {}
    """Options that the protocol gives its judge; those of -J win."""
    offline_judge: ClassVar[str] = ""
    """The default on synthetic data."""
    truth_judge: ClassVar[str] = ""
    """The judge that knows the truth of synthetic data, where the default there is another."""
    offline_tool: ClassVar[str] = ""
    """The media generator that agents are given on synthetic data where none is named."""
    Options: ClassVar[type[msgspec.Struct]] = NoOptions
    plain: bool = False
    """Whether prompts go to the model as they are, without its chat template; an option may change it."""
    params: Params = Params(temperature=0.0, max_tokens=1024)
    """How the model decodes unless the user says otherwise."""

    def __init__(self, options: Any, prompts: Path | None = None) -> None:
        """`prompts`: a folder whose files replace the built-in prompt templates."""
        self.options = options
        if prompts is not None:
            raise UsageError(f"task {self.name} has no prompts that could be replaced")

    @abc.abstractmethod
    def open(self, source: DataSource) -> Dataset:
        """Find the data and check their layout. Raises DataError naming the file and what was expected."""

    def check(self, model: Capabilities, label: str) -> None:
        """Once the data are open: raises UsageError where `model` cannot be asked as this task asks."""
        if self.plain and not model.plain:
            raise UsageError(f"task {self.name} sends plain prompts, which {label} does not take")
        if not self.plain and not model.chat:
            raise UsageError(
                f"task {self.name} asks in messages, and {label} has no chat template: give one with"
                " -M chat_template=FILE"
            )

    @property
    def judged(self) -> tuple[Modality, ...]:
        """What a judging model must take to be shown what it is to judge."""
        return self.outputs

    @abc.abstractmethod
    def samples(self, dataset: Dataset) -> Iterator[Sample]:
        """The samples, lazily, in the data set's order. Media are `File` parts, checked by the runner."""

    @abc.abstractmethod
    def case(self, sample: Sample, response: Response) -> Case:
        """What the judge is to be shown."""

    def settled(self, sample: Sample, response: Response) -> Score | None:
        """The score of an answer that leaves nothing to judge: the medium asked for is not in it, say.

        None: the judge is to be asked. A Score without a value says why there is none.
        """
        return None

    def weight(self, sample: Sample) -> float:
        """How much `sample` counts where no judge was asked: a refusal that the missing policy counts."""
        return 1.0

    def aggregation(self) -> Means | Tree:
        """How sample scores become the task's metrics."""
        return Means(overall=self.name)

    @classmethod
    def corpus(cls, how: str, items: Sequence[tuple[str, Any]]) -> float:
        """The number that a metric with `corpus=how` is, of the group and the item of each of its rows.

        Needs no data: results are built anew where only the run's own files are.
        """
        raise UsageError(f"task {cls.name} makes no number of all scores at once, and not {how!r}")

    @classmethod
    def named(cls, rest: str) -> type[Task]:
        """The task that "NAME:rest" means, for a plug-in NAME that stands for many tasks."""
        raise UsageError(f"task {cls.name} takes no name after it: {cls.name}:{rest}")

    def identity(self) -> dict[str, Any]:
        """What besides name, version, options and data decides a score: prompt hashes, profiles."""
        return {}

    @classmethod
    def write_synthetic(cls, out: Path, n: int | None, seed: int) -> None:
        """Write the synthetic twin in the benchmark's own layout. Same n and seed, same bytes."""
        raise UsageError(f"task {cls.name} has no synthetic twin")
