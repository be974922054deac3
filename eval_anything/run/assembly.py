"""From a configuration to the parts of a run: models, judges, tasks, data; all checked, nothing begun."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from eval_anything.errors import DataError, UnknownName, UsageError
from eval_anything.judge import Judge
from eval_anything.options import option_names, parse
from eval_anything.registry import Plugins
from eval_anything.run.accounts import settle
from eval_anything.run.config import RunConfig
from eval_anything.run.endpoint import Endpoint, make_endpoint
from eval_anything.run.equipment import Equipment, Equipped
from eval_anything.run.judging import Judges
from eval_anything.run.task_options import TaskOptions
from eval_anything.suggest import nearest
from eval_anything.synth.home import twin_folder
from eval_anything.task import Dataset, DataSource, Task
from eval_anything.values import Modality, Purpose


class TaskParts(msgspec.Struct, frozen=True, kw_only=True):
    """One task of a run, put together."""

    task: Task
    dataset: Dataset
    judge: Judge | None
    """None: answers are kept and nobody judges them."""
    agent: Equipped | None
    """Who answers where media are asked for; None: the model alone, in one request."""
    is_protocol_judge: bool
    allowed: tuple[Modality, ...]
    """Input modalities that the model is given; others are masked."""


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """A run, put together."""

    config: RunConfig
    model: Endpoint
    tasks: tuple[TaskParts, ...]
    judges: tuple[Endpoint, ...]
    """Endpoints of the judging models; one for each distinct spec and options."""
    tools: tuple[Endpoint, ...]
    """Endpoints of the media tools, likewise."""
    groups: tuple[str, ...]
    """Groups that were asked for by name."""
    notes: tuple[str, ...]
    """What a reader of the results must know of the choice of tasks."""

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        return tuple(endpoint for asked in self.by_purpose.values() for endpoint in asked)

    @property
    def by_purpose(self) -> dict[Purpose, tuple[Endpoint, ...]]:
        """What each of the endpoints is asked for."""
        return {"model": (self.model,), "judge": self.judges, "tools": self.tools}


def assemble(config: RunConfig) -> Parts:
    """Raises a UsageError for whatever cannot work, before any model call, cheapest checks first."""
    plugins = Plugins(config.include)
    names, groups, optional = expand(plugins, config.tasks)
    classes = [plugins.tasks.get(name) for name in names]
    for name in config.judge:
        if name != "*" and name not in names:
            raise UnknownName(f"--judge {name}=...: no such task in this run ({', '.join(names)})")
    source = parse_data(config.data)
    tasks = _make_tasks(classes, config)
    model = make_endpoint(plugins, config.model, config.model_options, config.concurrency, "-M")
    equipment = Equipment(plugins, config, model)
    left_out = [t.name for t in tasks if t.name in optional and equipment.lacks_tool(t, source)]
    tasks = [task for task in tasks if task.name not in left_out]
    judges = Judges(plugins, config, model, names)
    made = judges.make_all(tasks, source)
    for task, (judge, _) in zip(tasks, made, strict=True):
        judge.check(task.judged)
    agents = [equipment.equip(task, source) for task in tasks]
    equipment.check()
    settle((model, *judges.endpoints.values(), *equipment.endpoints.values()), config)
    allowed = tuple(m for m in model.capabilities().inputs if m not in config.mask)
    datasets = [open_data(task, source) for task in tasks]
    for task in tasks:
        task.check(model.capabilities(), model.label)
    return Parts(
        config=config,
        model=model,
        judges=tuple(judges.endpoints.values()),
        tools=tuple(equipment.endpoints.values()),
        groups=groups,
        notes=tuple(f"{name} was left out: no tool makes what it asks for (-A)" for name in left_out),
        tasks=tuple(
            TaskParts(task=t, dataset=d, judge=j, is_protocol_judge=p, allowed=allowed, agent=a)
            for t, d, (j, p), a in zip(tasks, datasets, made, agents, strict=True)
        ),
    )


def expand(plugins: Plugins, names: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...], frozenset[str]]:
    """Tasks, with groups replaced by theirs and each named once; the groups among `names`; and the tasks that
    may be left out, because only a group named them and counts them as optional."""
    groups = tuple(name for name in names if name in plugins.groups.names())
    tasks: dict[str, None] = {}
    optional: set[str] = set()
    for name in names:
        if name in groups:
            group = plugins.groups.get(name)
            tasks.update(dict.fromkeys(group.tasks))
            optional.update(group.optional)
        else:
            tasks[name] = None
    return tuple(tasks), groups, frozenset(optional.difference(names))


def parse_data(text: str) -> DataSource:
    """`hub`, `synthetic`, `synthetic:n=64,seed=1` or a folder."""
    kind, _, rest = text.partition(":")
    if text == "hub":
        return DataSource(kind="hub")
    if kind == "synthetic":
        pairs = dict(pair.partition("=")[::2] for pair in rest.split(",") if pair)
        options = parse(_Synthetic, pairs, "--data synthetic")
        if options.n is not None and options.n < 1:
            raise UsageError(f"--data synthetic: n must be at least 1, not {options.n}")
        return DataSource(kind="synthetic", n=options.n, seed=options.seed)
    path = Path(text).expanduser()
    if not path.is_dir():
        hint = f"; did you mean {hit!r}?" if (hit := nearest(kind, ("hub", "synthetic"))) else ""
        raise DataError(f"--data: no such folder: {text}{hint} (hub, synthetic[:n=N,seed=S], or a folder)")
    return DataSource(kind="path", path=path.resolve())


class _Synthetic(msgspec.Struct, frozen=True):
    n: int | None = None
    seed: int = 0


def open_data(task: Task, source: DataSource) -> Dataset:
    """Open the task's data; a synthetic twin is written on first use and read like any other folder."""
    if source.kind not in task.data_kinds:
        raise DataError(
            f"task {task.name} has no {source.kind} data (it has: {', '.join(task.data_kinds)}); see --data"
        )
    if source.kind == "synthetic":
        source = msgspec.structs.replace(source, path=twin_folder(type(task), source.n, source.seed))
    elif source.path is not None and (source.path / task.name).is_dir():  # as `synth` writes several tasks
        source = msgspec.structs.replace(source, path=source.path / task.name)
    return task.open(source)


def _make_tasks(classes: list[type[Task]], config: RunConfig) -> list[Task]:
    names = [cls.name for cls in classes]
    given = TaskOptions("-T", _with_profiles(config), names)
    prompts = _prompts(names, config.prompts)
    tasks = []
    for cls in classes:
        options = given.take(cls.name, option_names(cls.Options))
        parsed = parse(cls.Options, options, f"-T, options of task {cls.name}")
        tasks.append(cls(parsed, prompts.get(cls.name)))
    given.check()
    return tasks


def _with_profiles(config: RunConfig) -> dict[str, Any]:
    """Options of tasks, with those of --profile. Raises UsageError where -T names another profile."""
    options = dict(config.task_options)
    for task, name in config.profile.items():
        key = "profile" if task == "*" else f"{task}:profile"
        if options.setdefault(key, name) != name:
            raise UsageError(f"--profile {name} and -T {key}={options[key]}: give one of them")
    return options


def _prompts(tasks: list[str], given: str | None) -> dict[str, Path]:
    """The folder with prompts for each task that has one: of several tasks, those of its name in `given`.

    Raises DataError where there is no folder, or none of them is found in it: the built-in prompts would be
    taken for those that were asked for.
    """
    if given is None:
        return {}
    folder = Path(given).expanduser()
    if not folder.is_dir():
        raise DataError(f"--prompts: no such folder: {folder}")
    found = {task: folder / task for task in tasks if (folder / task).is_dir()}
    if found:
        return found
    if len(tasks) > 1:
        wanted = ", ".join(f"{task}/" for task in tasks)
        raise DataError(
            f"--prompts: of several tasks, each has a folder of its name: {folder} holds none of {wanted}"
        )
    return {tasks[0]: folder}
