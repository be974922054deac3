"""What a run is asked to do: one strict structure for the command line, YAML files and Python."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from eval_anything.errors import UnknownName, UsageError
from eval_anything.options import option_names, parse
from eval_anything.stats.aggregate import MissingPolicy
from eval_anything.suggest import unknown
from eval_anything.values import MODALITIES, Modality


class RunConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The options of `eval-anything run`, of its YAML file and of `eval_anything.evaluate`."""

    model: str
    """Model spec, provider/name: openai/gpt-4o, hf/path, replay/file.jsonl, fake/echo."""
    tasks: tuple[str, ...]
    """Names of tasks, and of groups of tasks ("amg")."""
    data: str = "hub"
    """hub, synthetic, synthetic:n=64,seed=1, or a folder in the benchmark's own layout."""
    judge: dict[str, str] = {}
    """Judge spec by task; under "*" the one for all others. Empty: the task's own default."""
    profile: dict[str, str] = {}
    """Profile of the protocol by task (corrected, original, align-anything); under "*" that of all others."""
    agent: str | None = None
    """How media are made where a task asks for them: native, text-protocol, none, or one of your own. By
    default none where the model gives such media itself, else text-protocol."""
    agent_options: dict[str, Any] = {}
    """Options of the agent, and its tools: `image=SPEC`, `image.OPTION=VALUE`; audio, video likewise."""
    model_options: dict[str, Any] = {}
    judge_options: dict[str, Any] = {}
    """Keys are `option` or `TASK:option`."""
    task_options: dict[str, Any] = {}
    """Keys are `option` or `TASK:option`."""
    limit: int | None = None
    """Only the first so many samples of each task."""
    mask: tuple[Modality, ...] = ()
    """Modalities dropped from every sample, as an ablation."""
    repeats: int = 1
    """How often each sample is asked."""
    seed: int | None = None
    """Seed of sampling (sent to the model, one for each sample and repeat) and of the bootstrap."""
    out: str | None = None
    """The run's directory; a new one under runs/ by default. An unfinished one is resumed."""
    concurrency: int = 32
    """Requests in flight at most, for the model and for the judge each."""
    missing: MissingPolicy = "exclude"
    """What becomes of an answer without a usable verdict: exclude, floor or zero."""
    error_budget: float = 0.1
    """Largest share of failed samples with which a run still counts as done; those whose own files are
    broken are not among them."""
    max_cost: float | None = None
    """US dollars that the run may cost, earlier sessions of it included."""
    max_total_tokens: int | None = None
    """Tokens that it may take in prompts and answers, likewise."""
    prices: str | None = None
    """YAML or TOML file of what models cost; it comes before the built-in one."""
    cache: str | None = None
    """Folder of the response cache; none by default."""
    include: tuple[str, ...] = ()
    """Folders or files with tasks, models and judges of one's own."""
    prompts: str | None = None
    """Folder whose files replace the task's prompt templates of the same name."""
    repeats_run: str | None = None
    """Manifest of an earlier run that this one repeats: what differs from it is said."""


def make_config(values: Mapping[str, Any], where: str = "run") -> RunConfig:
    """Check and normalise `values`. Raises UnknownName or UsageError, naming the field."""
    values = {name: _as_text(value) for name, value in values.items()}
    for name in ("tasks", "mask", "include"):
        if isinstance(values.get(name), str):
            values[name] = [part.strip() for part in values[name].split(",") if part.strip()]
    for name in ("judge", "profile"):
        if isinstance(values.get(name), str):
            values[name] = {"*": values[name]}
    for name in ("model", "tasks"):
        if not values.get(name):
            raise UsageError(f"{where}: no {name} given")
    masked = values.get("mask")
    for modality in masked if isinstance(masked, list | tuple) else ():
        if modality not in MODALITIES:
            raise UnknownName(f"{where}: mask: {unknown('modality', str(modality), MODALITIES)}")
    config = parse(RunConfig, {k: v for k, v in values.items() if v is not None}, where)
    _check_ranges(config, where)
    return config


def _as_text(value: Any) -> Any:
    """Paths, alone or in a list, as the text that the command line would have given."""
    if isinstance(value, list | tuple):
        return [_as_text(one) for one in value]
    return str(value) if isinstance(value, Path) else value


def _check_ranges(config: RunConfig, where: str) -> None:
    for name, low in (("limit", 1), ("repeats", 1), ("concurrency", 1)):
        value = getattr(config, name)
        if value is not None and value < low:
            raise UsageError(f"{where}: {name} must be at least {low}, not {value}")
        if value is not None and value > sys.maxsize:
            raise UsageError(f"{where}: {name} must be at most {sys.maxsize}, not {value}")
    for name in ("max_cost", "max_total_tokens"):
        value = getattr(config, name)
        if value is not None and not value > 0:
            raise UsageError(f"{where}: {name} must be more than 0, not {value}")
    if not 0 <= config.error_budget <= 1:
        raise UsageError(f"{where}: error_budget is a share from 0 to 1, not {config.error_budget}")
    if "text" in config.mask:
        raise UsageError(f"{where}: mask: the text of a question cannot be masked")
    if len(set(config.tasks)) != len(config.tasks):
        raise UsageError(f"{where}: tasks: a task is named twice")


def read_config(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file. Raises UsageError with file and line, UnknownName for a wrong key."""
    values = read_mapping(path)
    for key in values:
        if key not in option_names(RunConfig):
            raise UnknownName(f"--config: {path}: {unknown('option', str(key), option_names(RunConfig))}")
    return values


def read_mapping(path: Path) -> dict[str, Any]:
    """What a YAML file holds, whatever its keys. Raises UsageError with file and line."""
    import yaml

    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as fault:
        raise UsageError(f"--config: {path}: {fault.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as fault:
        mark = getattr(fault, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark is not None else ""
        raise UsageError(f"--config: {path}{line}: not YAML: {getattr(fault, 'problem', fault)}") from None
    if not isinstance(values, dict):
        raise UsageError(f"--config: {path}: expected a mapping of options")
    return values
