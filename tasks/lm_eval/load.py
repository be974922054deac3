"""Tasks of lm-evaluation-harness as it builds them: configuration, data, prompts, filters and metrics."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from eval_anything.errors import DataError, MissingExtra, UsageError
from eval_anything.tasks.lm_eval.names import children, folders_of

GROUP = "documents of a local folder"
"""Name of the group that stands around a task whose data set is a folder."""
_SEEDS = (0, 1234)
"""What lm-evaluation-harness seeds `random` and numpy with before it builds tasks: some shuffle their
data."""
_PACKAGED = ("json", "csv", "parquet", "text", "arrow", "pandas", "xml", "sql", "webdataset")
"""What `datasets` reads files by; no data sets of the hub."""


@dataclasses.dataclass(frozen=True)
class Loaded:
    """What one name stands for."""

    tasks: dict[str, Any]
    """Tasks by name, in the order in which lm-evaluation-harness has them."""
    groups: dict[str, Any]
    """Groups by name, the outermost first; none for a single task and for a tag."""
    documents: dict[str, Sequence[Any]]
    """Of each task, those that are asked."""
    local: bool
    """Whether no data set is from the hub."""
    version: str
    """Of lm-evaluation-harness."""


def load(name: str, include: Path | None, data: Path | None) -> Loaded:
    """`include`: a folder with YAML files of the user's own; `data`: a folder that holds the data set, in
    place of the one on the hub.

    Raises MissingExtra, UnknownName with the nearest name, DataError where the data set cannot be had.
    """
    spec = find_spec("lm_eval")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra(
            f"task lm_eval:{name} needs lm-evaluation-harness: pip install 'eval-anything[lm-eval]'"
        )
    roots = [Path(spec.submodule_search_locations[0]) / "tasks"]
    if include is not None:
        roots.append(include)
    logging.getLogger("lm_eval").setLevel(logging.ERROR)  # it warns of the choices of each task's author
    folders = folders_of(name, roots)
    with _seeded(), _quiet():
        return _built(name, folders, data)


def _built(name: str, folders: Sequence[Path], data: Path | None) -> Loaded:
    from importlib.metadata import version

    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=[str(folder) for folder in folders], include_defaults=False)
    wanted: Any = name
    if data is not None:
        wanted = {"group": GROUP, "task": [{"task": name, "dataset_path": str(data)}]}
    sources = [str(data)] if data is not None else _sources(name, manager.task_index)
    local = all(source in _PACKAGED or Path(source).exists() for source in sources)
    if not local:
        told = f"task lm_eval:{name}: data set {', '.join(sources)} of the hub, under its own licence"
        print(told, file=sys.stderr, flush=True)
    try:
        found = manager.load([wanted])
        documents = {own: _documents(task) for own, task in found["tasks"].items()}
    except ImportError as fault:
        raise MissingExtra(
            f"task lm_eval:{name} needs {_absent(fault)}, which is not installed (lm-evaluation-harness has"
            " extras for such tasks: pip install 'lm-eval[tasks]')"
        ) from fault
    except Exception as fault:
        # Whatever a configuration or a data set raises; which of its many kinds, only `fault` says.
        raise DataError(
            f"task lm_eval:{name}: the data set {', '.join(sources)} could not be had: {_first_line(fault)};"
            " without network, give a folder that holds it (--data DIR)"
        ) from fault
    groups = {own: group for own, group in found.get("groups", {}).items() if own != GROUP}
    return Loaded(found["tasks"], groups, documents, local, version("lm-eval"))


def _documents(task: Any) -> Sequence[Any]:
    documents = getattr(task, "task_docs", None)
    documents = task.eval_docs if documents is None else documents
    return documents if hasattr(documents, "__getitem__") else list(documents)


def _sources(name: str, index: Mapping[str, Any]) -> list[str]:
    """The data sets that `name` reads, as far as configurations name them."""
    found: dict[str, None] = {}
    seen: set[str] = set()
    wanted = [name]
    while wanted:
        entry = index.get(wanted.pop())
        if entry is None or entry.name in seen:
            continue
        seen.add(entry.name)
        config = entry.cfg or {}
        if path := config.get("dataset_path"):
            found[str(path)] = None
        wanted += children(config) if config else sorted(entry.tags)  # tags have no configuration
    return list(found) or ["of its own code"]


@contextlib.contextmanager
def _seeded() -> Iterator[None]:
    """The random state that tasks are built in; the caller's own is given back."""
    import numpy as np

    before, state = random.getstate(), np.random.get_state()
    random.seed(_SEEDS[0])
    np.random.seed(_SEEDS[1])
    try:
        yield
    finally:
        random.setstate(before)
        np.random.set_state(state)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the bars that `datasets` draws for each split; the caller's own choice is given back."""
    from datasets.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    hidden = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if not hidden:
            enable_progress_bars()


def configure(loaded: Loaded, num_fewshot: int | None) -> list[str]:
    """Set the number of examples as lm-evaluation-harness does; returns what a reader must know of it."""
    kept = []
    for name, task in loaded.tasks.items():
        stated = task.get_config("num_fewshot")
        if num_fewshot is not None and stated == 0:
            kept.append(name)  # its authors say that it has none
        elif num_fewshot is not None or stated is None:
            task.set_config(key="num_fewshot", value=num_fewshot or 0)
    if kept and num_fewshot:
        return [f"num_fewshot stays 0 in {', '.join(kept[:5])}: the task's own configuration says so"]
    return []


def check(loaded: Loaded, unsafe_code: bool) -> None:
    """Raises UsageError for tasks that need what is not given here."""
    for name, task in loaded.tasks.items():
        if getattr(task, "UNSAFE_CODE", False) and not unsafe_code:
            raise UsageError(
                f"task {name} of lm-evaluation-harness runs code that models write on this machine: -T"
                " unsafe_code=true allows it"
            )
        if getattr(task, "MULTIMODAL", False):
            raise UsageError(f"task {name} of lm-evaluation-harness asks about media, which is not supported")


def _absent(fault: BaseException) -> str:
    """The package that an import lacked, however often that was told on."""
    known: BaseException | None = fault
    while known is not None:
        if isinstance(known, ImportError) and known.name:
            return known.name
        known = known.__cause__
    return str(fault)


def _first_line(fault: BaseException) -> str:
    lines = [line.strip() for line in str(fault).splitlines() if line.strip()]
    return f"{type(fault).__name__}: {lines[0]}" if lines else type(fault).__name__
