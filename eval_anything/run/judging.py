"""The judges of a run: which one each task has, and which models stand behind it; panels' members."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eval_anything.errors import UnknownName, UsageError
from eval_anything.judge import Judge
from eval_anything.options import option_names, parse
from eval_anything.registry import Plugins
from eval_anything.run.config import RunConfig
from eval_anything.run.endpoint import Endpoint, endpoint_options, make_endpoint
from eval_anything.run.task_options import TaskOptions
from eval_anything.suggest import unknown
from eval_anything.task import DataSource, Task
from eval_anything.values import Params

Options = Mapping[str, Any]


class Judges:
    """Makes each task's judge; judges on the same model with the same options share one endpoint."""

    def __init__(self, plugins: Plugins, config: RunConfig, model: Endpoint, tasks: tuple[str, ...]) -> None:
        self.plugins = plugins
        self.config = config
        self.model = model
        self.options = TaskOptions("-J", config.judge_options, tasks)
        self.endpoints: dict[tuple[str, str], Endpoint] = {}

    def make_all(self, tasks: list[Task], source: DataSource) -> list[tuple[Judge, bool]]:
        """For each task its judge, and whether that is the protocol's."""
        made = [self._make(task, source) for task in tasks]
        self.options.check()
        return made

    def _make(self, task: Task, source: DataSource) -> tuple[Judge, bool]:
        spec = self._spec(task, source)
        names = self._option_names(task, spec)
        given = self.options.take(task.name, names)
        judge = self._one(task, spec, {k: v for k, v in given.items() if k in names})
        strange = {k: v for k, v in given.items() if k not in names}
        if specs := judge.specs():
            judge.members = self._members(task, spec, specs)
        elif strange:
            raise UnknownName(f"{_where(spec)}: {unknown('option', next(iter(strange)), names)}")
        return judge, spec == task.protocol_judge and not _alters(given, type(judge))

    def _members(self, task: Task, panel: str, specs: tuple[str, ...]) -> tuple[Judge, ...]:
        """The judges that `panel` combines. An option goes to every member that knows it, `N.option` to the
        Nth alone."""
        own = self._option_names(task, panel)
        names = [set(self._option_names(task, spec)) for spec in specs]
        apart = {f"{n}.{name}" for n, known in enumerate(names, 1) for name in known}
        shared = set(own).union(*names)
        given = self.options.take(task.name, shared | apart)
        for key in given.keys() - shared - apart:
            raise UnknownName(f"{_where(panel)}: {unknown('option', key, apart if '.' in key else shared)}")
        members: list[Judge] = []
        asked: list[tuple[str, Options]] = []
        for number, (spec, known) in enumerate(zip(specs, names, strict=True), 1):
            prefix = f"{number}."
            options = {k: v for k, v in given.items() if k in known and k not in own}
            options |= {k.removeprefix(prefix): v for k, v in given.items() if k.startswith(prefix)}
            if (spec, options) in asked:
                raise UsageError(
                    f"judge {panel}: {spec} is in it twice: the same judge again is no second opinion"
                )
            asked.append((spec, options))
            members.append(self._one(task, spec, options))
            if members[-1].specs():
                raise UsageError(f"judge {panel}: {spec} is a panel itself")
        return tuple(members)

    def _class(self, task: Task, spec: str) -> type[Judge]:
        """Of the judge that `spec` means: by its name, or the task's shape for a judging model."""
        cls: type[Judge] = self.plugins.judges.get(task.judge if "/" in spec else spec)
        if "/" in spec and not cls.needs_model:
            raise UsageError(f"judge {spec}: task {task.name} is judged by {task.judge!r}, not by a model")
        if "/" not in spec and cls.needs_model:
            raise UsageError(f"judge {spec!r} needs a model: give it as --judge provider/name")
        return cls

    def _option_names(self, task: Task, spec: str) -> tuple[str, ...]:
        own = option_names(self._class(task, spec).Options)
        return (*own, *endpoint_options(self.plugins, spec)) if "/" in spec else own

    def _one(self, task: Task, spec: str, options: Options) -> Judge:
        cls = self._class(task, spec)
        own_names = option_names(cls.Options)
        own = {k: v for k, v in options.items() if k in own_names}
        if "/" not in spec:
            by_task = task.judge_options if spec == task.judge else {}
            return cls(parse(cls.Options, {**by_task, **own}, _where(spec)))
        endpoint = self._endpoint(spec, {k: v for k, v in options.items() if k not in own_names})
        return cls(parse(cls.Options, {**task.judge_options, **own}, _where(spec)), endpoint)

    def _spec(self, task: Task, source: DataSource) -> str:
        asked = self.config.judge.get(task.name)
        general = self.config.judge.get("*")
        needs_model = self.plugins.judges.get(task.judge).needs_model
        if asked is not None and "/" in asked and not needs_model:
            raise UsageError(
                f"--judge {task.name}={asked}: this task is judged by {task.judge!r}, not by a model"
            )
        # A protocol's own judge that works offline (of votes, say) is what the task measures by.
        settled = bool(task.offline_judge) and task.offline_judge == task.protocol_judge
        if (
            asked is None
            and general is not None
            and not settled
            and (needs_model or self._is_offline(general))
        ):
            asked = general
        return asked or self._default(task, source)

    def _is_offline(self, spec: str) -> bool:
        """Whether it is named as a judge without a model: no model, and no panel, which may have some."""
        return "/" not in spec and self.plugins.judges.get(spec).specs is Judge.specs

    def _default(self, task: Task, source: DataSource) -> str:
        default = (source.kind == "synthetic" and task.offline_judge) or task.protocol_judge
        if not default:
            raise UsageError(f"task {task.name} has no default judge: name one with --judge")
        if default == self.model.label:
            raise UsageError(
                f"{default} would judge its own answers on {task.name}: name another judge with --judge, or"
                f" say --judge {default} if that is what you want"
            )
        return default

    def _endpoint(self, spec: str, options: Options) -> Endpoint:
        key = (spec, repr(sorted(options.items())))
        if key not in self.endpoints:
            made = make_endpoint(self.plugins, spec, options, self.config.concurrency, "-J")
            if not made.capabilities().chat:
                raise UsageError(f"judge {spec} has no chat template: give one with -J chat_template=FILE")
            self.endpoints[key] = made
        return self.endpoints[key]


def _where(spec: str) -> str:
    return f"-J, options of judge {spec}"


def _alters(given: Options, judge: type[Judge]) -> bool:
    """Whether options of the judge, or how its model decodes, make it another than the protocol's."""
    own = set(option_names(judge.Options)) - set(judge.transport_options)
    return any(name in own or name in option_names(Params) for name in given)
