"""`lm_eval:NAME`: any task, group or tag of lm-evaluation-harness, with our models, journal and reports.

Its own data, prompts, filters and metrics: the card beside this file says what is the same and what is not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from itertools import chain, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from eval_anything.errors import MissingExtra, UsageError
from eval_anything.judge import Case, Rubric
from eval_anything.judges.lm_eval import Graded
from eval_anything.stats.aggregate import Metric, Tree
from eval_anything.task import Dataset, DataSource, Task
from eval_anything.values import Capabilities, Params, Response, Sample

if TYPE_CHECKING:
    from eval_anything.tasks.lm_eval.load import Loaded

_NO_RUBRIC = Rubric(system="", user="{response}")
_SCORED = ("loglikelihood", "multiple_choice", "loglikelihood_rolling")


class LMEvalOptions(msgspec.Struct, frozen=True, kw_only=True):
    include_path: str | None = None
    """Folder with YAML files of tasks of your own; a name that is there wins."""
    num_fewshot: int | None = None
    """Examples in each prompt; None: as many as the task says. A task that says 0 keeps 0."""
    apply_chat_template: bool = False
    """Ask in messages, through the model's chat template; else prompts are plain text, as base models take
    them."""
    fewshot_as_multiturn: bool = True
    """With messages: each example is a turn of its own; else all are in one."""
    system_instruction: str | None = None
    """Put before the task's own description."""
    fewshot_seed: int = 1234
    """Seed of the choice of examples."""
    unsafe_code: bool = False
    """Allow tasks that run code which the model writes, on this machine."""


class LMEval(Task):
    name = "lm_eval"
    version = "1"
    title = "Tasks of lm-evaluation-harness"
    summary = "lm_eval:NAME runs any task of lm-evaluation-harness"
    inputs = ("text",)
    data_kinds = ("hub", "path")
    judge = "lm_eval"
    protocol_judge = "lm_eval"
    offline_judge = "lm_eval"
    licence = "that of each task's data set; lm-evaluation-harness itself: MIT"
    citation = "Gao et al., A framework for few-shot language model evaluation, Zenodo, 2024"
    homepage = "https://github.com/EleutherAI/lm-evaluation-harness"
    Options = LMEvalOptions
    params = Params(temperature=0.0)
    harness_name: ClassVar[str] = ""
    """What lm-evaluation-harness calls it."""

    def __init__(self, options: LMEvalOptions, prompts: Path | None = None) -> None:
        super().__init__(options, prompts)
        self.plain = not options.apply_chat_template
        self._loaded: Loaded | None = None

    @classmethod
    def named(cls, rest: str) -> type[Task]:
        if not rest:
            raise UsageError("lm_eval: has no name after the colon; lm_eval:ifeval, for one")
        if find_spec("lm_eval") is None:
            raise MissingExtra(
                f"task lm_eval:{rest} needs lm-evaluation-harness: pip install 'eval-anything[lm-eval]'"
            )
        title = f"{rest}, a task of lm-evaluation-harness"
        return type(cls.__name__, (cls,), {"name": f"lm_eval:{rest}", "harness_name": rest, "title": title})

    @property
    def loaded(self) -> Loaded:
        if self._loaded is None:
            raise UsageError(f"task {self.name} was asked before its data were opened")
        return self._loaded

    def open(self, source: DataSource) -> Dataset:
        from eval_anything.tasks.lm_eval import load, metrics

        if not self.harness_name:
            raise UsageError("task lm_eval stands for many: name one, lm_eval:ifeval for one")
        own = self.options.include_path
        include = None if own is None else Path(own).expanduser().resolve()
        self._loaded = loaded = load.load(self.harness_name, include, source.path)
        load.check(loaded, self.options.unsafe_code)
        notes = load.configure(loaded, self.options.num_fewshot)
        self._tree, left_out = metrics.tree(loaded)
        return Dataset(
            kind="path" if loaded.local else source.kind,
            root=source.path or Path(),
            revision=_revision(loaded),
            size=sum(map(len, loaded.documents.values())),
            records=loaded.documents,
            notes=(f"lm-evaluation-harness {loaded.version}", *notes, *left_out),
        )

    def check(self, model: Capabilities, label: str) -> None:
        super().check(model, label)
        types = {task.OUTPUT_TYPE for task in self.loaded.tasks.values()}
        if not types.intersection(_SCORED):
            return
        if not model.likelihood:
            raise UsageError(
                f"task {self.name} compares the likelihoods of given texts, which {label} does not tell; hf/"
                " checkpoints do, and openai/ servers that echo prompts with log-probabilities (vLLM)"
            )
        if model.likelihood == "plain" and (not self.plain or "loglikelihood_rolling" in types):
            what = "whole texts" if self.plain else "texts after messages (-T apply_chat_template=true)"
            raise UsageError(f"task {self.name} needs the likelihoods of {what}, which {label} does not tell")

    def samples(self, dataset: Dataset) -> Iterator[Sample]:
        """Of several tasks in turn one of each, so that a limit leaves something of all of them."""
        from eval_anything.tasks.lm_eval import documents

        asking = documents.Asking(
            apply_chat_template=self.options.apply_chat_template,
            fewshot_as_multiturn=self.options.fewshot_as_multiturn,
            system_instruction=self.options.system_instruction,
        )

        def of(name: str, task: Any) -> Iterator[Sample]:
            task.set_fewshot_seed(seed=self.options.fewshot_seed)  # anew: samples may be asked for twice
            for number, document in enumerate(dataset.records[name]):
                yield documents.sample(name, task, number, document, asking)

        for turn in zip_longest(*(of(name, task) for name, task in self.loaded.tasks.items())):
            yield from (sample for sample in turn if sample is not None)

    def case(self, sample: Sample, response: Response) -> Case:
        from eval_anything.tasks.lm_eval.grading import grade

        task = self.loaded.tasks[sample.group]
        document = self.loaded.documents[sample.group][sample.metadata["doc_id"]]
        return Graded(
            sample=sample,
            response=response,
            rubric=_NO_RUBRIC,
            grade=lambda: grade(task, document, sample, response, self.protocol_judge),
        )

    def aggregation(self) -> Tree:
        """Before the data are opened, what is known without them: the name."""
        return self._tree if self._loaded is not None else Tree(headline=Metric(name=self.name))

    @classmethod
    def corpus(cls, how: str, items: Sequence[tuple[str, Any]]) -> float:
        from eval_anything.tasks.lm_eval import numbers

        return numbers.corpus(how, items)

    def identity(self) -> dict[str, Any]:
        if self._loaded is None:
            return {}
        tasks = {name: _configuration(task) for name, task in self._loaded.tasks.items()}
        return {"lm_eval": self._loaded.version, "tasks": tasks}


def _configuration(task: Any) -> str:
    """A digest of all that a task says of itself, the code of its functions included; less where its files
    are: its documents have a digest of their own."""
    stated = dict(task.dump_config())
    metadata = stated.pop("metadata", None)
    told = {k: v for k, v in metadata.items() if k != "config_source"} if isinstance(metadata, dict) else None
    for field in ("dataset_path", "dataset_kwargs"):
        stated.pop(field, None)
    text = json.dumps({**stated, "metadata": told, "version": task.VERSION}, sort_keys=True, default=_told)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _told(value: Any) -> str:
    """A function by its name: what is shown of it otherwise has its address in memory."""
    return str(getattr(value, "__qualname__", type(value).__name__))


def _revision(loaded: Loaded) -> str:
    """A digest of all documents, and of those that examples are taken from."""
    digest = hashlib.sha256()
    for name, task in loaded.tasks.items():
        digest.update(name.encode())
        examples = getattr(getattr(task, "sampler", None), "df", ()) if task.config.num_fewshot else ()
        for document in chain(loaded.documents[name], examples):
            digest.update(json.dumps(document, sort_keys=True, default=str).encode())
    return digest.hexdigest()[:16]
