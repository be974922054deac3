"""`eval_anything.respond`: answers of a model to samples of one's own, without a judge.

The pipeline of a run: limits, retries, cache, media in a store, every answer in a journal before the next is
counted. The directory has a run's form, without scores.
"""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict, Unpack

import msgspec

from eval_anything.errors import DataError, EvalAnythingError, UnknownName, UsageError
from eval_anything.judge import Case
from eval_anything.media.store import ArtifactStore
from eval_anything.models.base import NoOptions
from eval_anything.registry import Plugins
from eval_anything.run.accounts import settle
from eval_anything.run.assembly import Parts, TaskParts
from eval_anything.run.config import make_config
from eval_anything.run.directory import planned, prepare, resumed
from eval_anything.run.endpoint import make_endpoint
from eval_anything.run.run import apart, work
from eval_anything.stores.journal import read_row_at, read_rows_with_offsets
from eval_anything.stores.manifest import read_manifest
from eval_anything.stores.rows import ResponseRow
from eval_anything.suggest import unknown
from eval_anything.task import Dataset, DataSource, Task
from eval_anything.values import MODALITIES, Capabilities, Modality, Params, Response, Sample, part_modality


class RespondOptions(TypedDict, total=False):
    """What `respond` may be told besides; the first of them as in `eval_anything.run.config.RunConfig`."""

    model_options: Mapping[str, Any]
    mask: Sequence[Modality]
    repeats: int
    seed: int | None
    concurrency: int
    cache: str | Path | None
    error_budget: float
    max_cost: float | None
    max_total_tokens: int | None
    prices: str | Path | None
    include: Sequence[str | Path]
    outputs: Sequence[Modality]
    """What answers may hold; text alone by default."""
    identity: Mapping[str, Any]
    """What else decides the answers, as plain values: hashes of the prompts that samples were made with."""
    ask: bool
    """False: nothing is asked or written, whatever is missing; what the directory holds is read."""


_AS_IT_IS = Params()
_OWN = ("outputs", "identity", "ask")
"""Options that a run does not have."""


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """A sample and what came back."""

    sample: Sample
    """As the model was shown it: its media are artifacts in the directory's store."""
    repeat: int
    response: Response
    """In any state; one that failed is in state error."""


class Responses:
    """The answers in a directory, in the order of the samples and, of each, of its repeats.

    They are read from the journal when they are looked at.
    """

    def __init__(self, folder: Path, wanted: Sequence[tuple[str, int]], fingerprint: str) -> None:
        """`wanted`: id and repeat of each. Raises DataError where the journal is damaged."""
        self.folder = folder
        self.store = ArtifactStore(folder / "media")
        """Where the media are."""
        self.fingerprint = fingerprint
        """Of model, samples and options."""
        self.planned = len(wanted)
        """How many there are to be."""
        self._journal = folder / "journal.jsonl"
        found, unfinished = dict.fromkeys(wanted, -1), set(wanted)
        for offset, row in read_rows_with_offsets(self._journal) if self._journal.exists() else ():
            key = (row.id, row.repeat)
            if isinstance(row, ResponseRow) and row.fingerprint == fingerprint and key in found:
                found[key] = offset
                failed = row.response.state in ("error", "skipped")
                (unfinished.add if failed else unfinished.discard)(key)
        self._offsets = [offset for offset in found.values() if offset >= 0]
        self.unfinished = len(unfinished)
        """How many are not there or have failed: what `respond` would ask."""

    def __len__(self) -> int:
        """How many there are, those that failed among them."""
        return len(self._offsets)

    def __iter__(self) -> Iterator[Answered]:
        for offset in self._offsets:
            row = read_row_at(self._journal, offset)
            assert isinstance(row, ResponseRow)
            yield Answered(sample=row.sample, repeat=row.repeat, response=row.response)


def respond(
    model: str,
    samples: Iterable[Sample],
    *,
    out: str | Path,
    root: str | Path = "/",
    params: Params = _AS_IT_IS,
    progress: bool = False,
    **options: Unpack[RespondOptions],
) -> Responses:
    """Let `model` (a spec: "openai/gpt-4o", "hf/PATH") answer `samples`; returns the answers in their order.

        for one in eval_anything.respond("hf/PATH", samples, out="answers", params=Params(max_tokens=256)):
            print(one.sample.id, one.response.state, one.response.text)

    `out` is the directory. An unfinished one is gone on with: what it holds is not asked again, at any
    temperature; what failed is. One that is finished starts no model. Media are `File` parts below `root`.
    `params` say how to decode; where `model_options` say it too, they win. From `seed` each sample and repeat
    gets one of its own. Usable where an event loop runs already.

    Raises UsageError before anything is asked where something cannot work: among others RunConflict, with the
    differences, where `out` holds answers of another model, to other samples or with other options, and where
    the model does not take what a sample holds (unless `mask` drops it). Raises EvalAnythingError where it
    had to end early (more failures than `error_budget`, an expired key, a full disk); what is finished is
    kept, and the message names the directory.
    """
    for name in options:
        if name not in RespondOptions.__annotations__:
            raise UnknownName(f"respond: {unknown('option', name, RespondOptions.__annotations__)}")
    task = _Asked(tuple(samples), Path(root).resolve(), params, options)
    parts = _assembled(model, task, {**options, "out": out})
    manifest = planned(parts)
    wanted = [(sample.id, repeat) for sample in task.given for repeat in range(parts.config.repeats)]
    fingerprint, ask = manifest.tasks[0].fingerprint, options.get("ask", True)
    if not ask:
        path = Path(out) / "manifest.json"
        if path.exists():
            resumed(Path(out), read_manifest(path), manifest)
        return Responses(Path(out), wanted, fingerprint)
    folder, is_new = prepare(parts, manifest)
    found = Responses(folder, wanted, fingerprint)
    if not found.unfinished:
        return found
    stream = sys.stderr if progress else None
    stopped = apart(lambda: work(parts, manifest, folder, is_new, stream))
    if stopped:
        raise EvalAnythingError(f"the answers in {folder} are not complete: {stopped}")
    return Responses(folder, wanted, fingerprint)


class _Asked(Task):
    """Samples from elsewhere, as the pipeline takes them."""

    name = "respond"
    version = "1"
    title = "Samples of one's own"
    summary = "answered, and not judged"
    inputs = MODALITIES

    def __init__(
        self, given: tuple[Sample, ...], root: Path, params: Params, options: RespondOptions
    ) -> None:
        """Raises DataError where two samples have one id."""
        super().__init__(NoOptions())
        self.given = given
        self.root = root
        self.params = params
        self.outputs = tuple(options.get("outputs", ("text",)))
        self.masked = tuple(options.get("mask", ()))
        self.more = dict(options.get("identity", {}))
        counts = Counter(sample.id for sample in given)
        if twice := [id for id, count in counts.items() if count > 1]:
            raise DataError(f"respond: two samples have the id {twice[0]!r}")

    def open(self, source: DataSource) -> Dataset:
        return Dataset(
            kind=source.kind,
            root=self.root,
            revision=_revision(self.given, self.root),
            size=len(self.given),
            records=self.given,
        )

    def samples(self, dataset: Dataset) -> Iterator[Sample]:
        yield from self.given

    def case(self, sample: Sample, response: Response) -> Case:
        raise UsageError("answers to samples of one's own are not judged")

    def check(self, model: Capabilities, label: str) -> None:
        """Also that the model takes and gives what is asked for: nothing is left out unsaid."""
        super().check(model, label)
        for name in self.outputs:
            if name not in model.outputs:
                raise UsageError(f"respond: {label} does not give {name} ({', '.join(model.outputs)})")
        for sample in self.given:
            for name in sorted(_held(sample).difference(model.inputs, self.masked)):
                raise UsageError(
                    f"respond: sample {sample.id!r} holds {name}, which {label} does not take"
                    f" ({', '.join(model.inputs)}); mask it to leave it out"
                )

    def identity(self) -> dict[str, Any]:
        return {"outputs": self.outputs, **self.more}


def _assembled(model: str, task: _Asked, options: Mapping[str, Any]) -> Parts:
    """Everything checked, nothing begun."""
    shared = {name: value for name, value in options.items() if name not in _OWN}
    config = make_config({"model": model, "tasks": [task.name], **shared}, "respond")
    endpoint = make_endpoint(
        Plugins(config.include), config.model, config.model_options, config.concurrency, "model_options"
    )
    task.check(endpoint.capabilities(), endpoint.label)
    settle((endpoint,), config)
    item = TaskParts(
        task=task,
        dataset=task.open(DataSource(kind="path")),
        judge=None,
        agent=None,
        is_protocol_judge=False,
        allowed=tuple(m for m in MODALITIES if m not in config.mask),
    )
    return Parts(config=config, model=endpoint, tasks=(item,), judges=(), tools=(), groups=(), notes=())


def _held(sample: Sample) -> set[Modality]:
    parts = (part for messages in sample.requests for message in messages for part in message.parts)
    return {modality for part in parts if (modality := part_modality(part)) is not None}


def _revision(samples: Sequence[Sample], root: Path) -> str:
    """16 hex digits of the sha256 over all samples; files count with their place below `root` and size."""
    digest = hashlib.sha256()
    for sample in samples:
        plain = _without_root(msgspec.to_builtins(sample), root)
        digest.update(msgspec.json.encode(plain, order="deterministic") + b"\n")
    return digest.hexdigest()[:16]


def _without_root(value: Any, root: Path) -> Any:
    if isinstance(value, list | tuple):
        return [_without_root(one, root) for one in value]
    if not isinstance(value, dict):
        return value
    if value.get("type") != "file":
        return {key: _without_root(one, root) for key, one in value.items()}
    path = Path(value["path"])
    # One that is not there costs its sample when that is asked.
    size = path.stat().st_size if path.is_file() else None
    name = path.relative_to(root) if path.is_relative_to(root) else path
    return {**value, "path": str(name), "size": size}
