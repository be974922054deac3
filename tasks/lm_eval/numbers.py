"""How lm-evaluation-harness makes one number of many: means, and functions of all documents at once."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from eval_anything.errors import UsageError

_BY_SIZE, _BY_TASK = "by-size ", "by-task "
_PERCENT = ("bleu", "chrf", "chrf++", "ter")
_UNBOUNDED = ("perplexity", "bits_per_byte")


def label(metric: str, filter_name: str) -> str:
    """A metric's name as lm-evaluation-harness writes it: "acc", or "exact_match,strict-match"."""
    return metric if filter_name == "none" else f"{metric},{filter_name}"


def aggregation(task: Any, metric: str) -> Callable[[Sequence[Any]], Any]:
    """The task's own function for a metric; the mean where it has none, as lm-evaluation-harness does."""
    from lm_eval.api.metrics import mean

    functions: Mapping[str, Any] = task.aggregation()
    return functions.get(metric, mean)


def is_mean(function: Callable[..., Any]) -> bool:
    import numpy as np
    from lm_eval.api.metrics import mean, nanmean

    return function in (mean, nanmean, np.mean, np.nanmean)


def name_of(function: Callable[..., Any], weighting: str = "") -> str:
    """What `corpus` finds the function by: "MODULE:NAME", in another process as well.

    `weighting`: "size" or "task" for the mean of the tasks' numbers, weighted by their sizes or not. Raises
    UsageError for a function that has no name of its own.
    """
    module, name = getattr(function, "__module__", ""), getattr(function, "__qualname__", "<")
    if not module or "<" in name:
        raise UsageError(f"its aggregation is a function without a name of its own: {function!r}")
    prefix = {"": "", "size": _BY_SIZE, "task": _BY_TASK}[weighting]
    return f"{prefix}{module}:{name}"


def corpus(how: str, items: Sequence[tuple[str, Any]]) -> float:
    """The number that `how` (`name_of`) makes of the items of all documents, each with the name of its task.

    Weighted by size, a task counts by its number of documents.
    """
    for prefix in (_BY_SIZE, _BY_TASK):
        if how.startswith(prefix):
            function = _function(how.removeprefix(prefix))
            by_task: dict[str, list[Any]] = {}
            for task, item in items:
                by_task.setdefault(task, []).append(item)
            sizes = [len(own) if prefix == _BY_SIZE else 1 for own in by_task.values()]
            values = [float(function(own)) for own in by_task.values()]
            return sum(v * n for v, n in zip(values, sizes, strict=True)) / sum(sizes)
    return float(_function(how)([item for _, item in items]))


@functools.cache
def _function(how: str) -> Callable[[Sequence[Any]], Any]:
    module, _, name = how.rpartition(":")
    try:
        found: Any = _module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, FileNotFoundError) as fault:
        raise UsageError(f"its aggregation {how} cannot be had: {fault}") from None
    function: Callable[[Sequence[Any]], Any] = found
    return function


def _module(name: str) -> ModuleType:
    """A module by its name; those beside YAML files of the user's own are named by their path."""
    if "/" not in name:
        return importlib.import_module(name)
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, Path(f"{name}.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def scale(metric: str) -> tuple[float, float]:
    """Lowest and highest value, as far as a metric's name tells; shares otherwise."""
    if any(word in metric for word in _UNBOUNDED):
        return 0.0, 1e6
    return (0.0, 100.0) if metric in _PERCENT else (0.0, 1.0)


def plain(value: Any) -> Any:
    """A document's part in a metric as JSON holds it: of numpy's numbers and arrays, Python's own."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    return value
