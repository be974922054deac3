"""eval-anything: evaluation of any-to-any models (text, image, audio and video, in and out).

    import eval_anything
    results = eval_anything.evaluate(model="fake/echo", tasks=["amu"], data="synthetic", limit=20)
    print(results)                      # the score table
    rows = results.rows()               # one dict for each metric: pandas.DataFrame(rows)

Everything public is importable from here and loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eval_anything.evaluate import evaluate
    from eval_anything.judge import Case, Judge, Rubric
    from eval_anything.models.base import Model, ModelContext
    from eval_anything.responses import Answered, Responses, respond
    from eval_anything.results.values import Results
    from eval_anything.stats.aggregate import Means, Metric, Tree
    from eval_anything.task import Dataset, DataSource, Task

_HOME_OF = {
    "Answered": "eval_anything.responses",
    "Case": "eval_anything.judge",
    "DataSource": "eval_anything.task",
    "Dataset": "eval_anything.task",
    "Judge": "eval_anything.judge",
    "Means": "eval_anything.stats.aggregate",
    "Metric": "eval_anything.stats.aggregate",
    "Model": "eval_anything.models.base",
    "ModelContext": "eval_anything.models.base",
    "Responses": "eval_anything.responses",
    "Results": "eval_anything.results.values",
    "Rubric": "eval_anything.judge",
    "Task": "eval_anything.task",
    "Tree": "eval_anything.stats.aggregate",
    "evaluate": "eval_anything.evaluate",
    "respond": "eval_anything.responses",
}
__all__ = [
    "Answered",
    "Case",
    "DataSource",
    "Dataset",
    "Judge",
    "Means",
    "Metric",
    "Model",
    "ModelContext",
    "Responses",
    "Results",
    "Rubric",
    "Task",
    "Tree",
    "evaluate",
    "respond",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'eval_anything' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
