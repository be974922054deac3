"""`eval_anything.evaluate`: what `eval-anything run` does, from Python."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eval_anything.errors import EvalAnythingError
from eval_anything.results.values import Results
from eval_anything.run.config import make_config
from eval_anything.run.run import apart, run


def evaluate(
    model: str,
    tasks: str | Sequence[str],
    *,
    out: str | Path | None = None,
    progress: bool = False,
    **options: Any,
) -> Results:
    """Score `model` on `tasks` and return the results.

    `options` are those of the command line, by the same names (`data`, `judge`, `model_options`, `limit`,
    `mask`, `repeats`, `seed`, `concurrency`, ...; see `eval_anything.run.config.RunConfig`). `out` is the
    run's directory; an unfinished run in it is resumed. Usable where an event loop runs already (notebooks,
    training callbacks).

    Raises UsageError for a wrong name or value before anything starts, and EvalAnythingError where the run
    had to end early; what was finished is then kept in the run's directory, which the message names.
    """
    given = tasks if isinstance(tasks, str) else list(tasks)
    config = make_config({"model": model, "tasks": given, "out": out, **options}, "evaluate")
    outcome = apart(lambda: run(config, sys.stderr if progress else None))
    if outcome.stopped:
        raise EvalAnythingError(f"the run in {outcome.folder} ended early: {outcome.stopped}")
    return outcome.results
