"""What a gate lets pass: a strict TOML file, with rules for all tasks and for single ones."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any

import msgspec

from eval_anything.errors import UnknownName, UsageError
from eval_anything.suggest import unknown

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
NotNegative = Annotated[float, msgspec.Meta(ge=0, le=1e300)]
Finite = Annotated[float, msgspec.Meta(ge=-1e300, le=1e300)]


class Rules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What holds for a task. None: no such rule."""

    metric: str = ""
    """Which metric is compared; empty: the task's headline."""
    tolerated_drop: NotNegative = 0.0
    """A true drop up to this, on the metric's own scale, is no regression."""
    floor: Finite | None = None
    """The candidate's metric must not be below this (above, where lower is better)."""
    detectable: NotNegative | None = None
    """A drop of this size must be one that the samples at hand would show with probability `power`; where
    they would not, the gate cannot judge."""
    max_error_rate: Share = 0.05
    """Largest share of the candidate's answers that failed on the way (model, agent, media)."""
    max_missing_rate: Share = 0.1
    """Largest share of planned answers without a score, for whatever reason."""
    max_judge_error_rate: Share = 0.05
    """Largest share of verdicts that the judge did not give."""
    max_truncation_rate: Share | None = None
    """Largest share of answers that were cut at the token limit."""
    max_cost_growth: Finite | None = None
    """Largest growth of cost (or of output tokens, where no price is known): 0.2 is a fifth more."""
    allow_no_calls: bool = False
    """Judge also where every answer came from a cache, so that the model was never asked."""


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A gate's policy."""

    alpha: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.05
    """Probability of a false alarm over all tasks together, at most."""
    power: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.8
    """Probability with which a drop of `detectable` is to be found."""
    resamples: Annotated[int, msgspec.Meta(ge=100)] = 10_000
    seed: int = 0
    ignore_settings: tuple[str, ...] = ()
    """Beginnings of settings that may differ between the runs, such as "judge.model.options.base_url"."""
    defaults: Rules = Rules()
    tasks: dict[str, Rules] = {}

    def rules(self, task: str) -> Rules:
        return self.tasks.get(task, self.defaults)


def read_policy(path: Path) -> Policy:
    """A task's rules begin with the defaults. Raises UsageError naming the file, UnknownName for a key."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as fault:
        raise UsageError(f"--policy: {path}: {fault.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise UsageError(f"--policy: {path}: not TOML: {fault}") from None
    _check_keys(path, "", values, Policy.__struct_fields__)
    defaults = _table(path, "defaults", values.get("defaults", {}))
    tasks = _table(path, "tasks", values.get("tasks", {}))
    for where, rules in (("defaults", defaults), *((f"tasks.{name}", one) for name, one in tasks.items())):
        _check_keys(path, f"{where}: ", _table(path, where, rules), Rules.__struct_fields__)
    whole = {**values, "defaults": defaults, "tasks": {n: {**defaults, **one} for n, one in tasks.items()}}
    try:
        return msgspec.convert(whole, Policy)
    except msgspec.ValidationError as fault:
        raise UsageError(f"--policy: {path}: {fault}") from None


def _table(path: Path, where: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UsageError(f"--policy: {path}: {where}: expected a table")
    return value


def _check_keys(path: Path, where: str, values: dict[str, Any], known: tuple[str, ...]) -> None:
    for key in values:
        if key not in known:
            raise UnknownName(f"--policy: {path}: {where}{unknown('rule', key, known)}")
