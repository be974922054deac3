"""Registries of tasks, models, judges, agents, groups and reported results: lazy; found through entry points
or a folder.

A plug-in is a class: a `Task`, `Model`, `Judge`, `Agent`, `Group` or `ReportedResults`. An installed package
names it in its metadata,

    [project.entry-points."eval_anything.tasks"]
    my_task = "my_package.my_task:MyTask"

and a folder given with `--include` needs no more than a Python file that defines it. Built-ins are found
the first way, so they have no privileges. Nothing is imported until it is asked for.
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

from eval_anything.errors import DuplicateName, UnknownName, UsageError
from eval_anything.suggest import unknown

T = TypeVar("T")


class Registry(Generic[T]):
    """Names of one kind of plug-in, each with where it comes from and how to load it."""

    def __init__(self, kind: str, base: Callable[[], type[T]]) -> None:
        """`kind`: singular noun ("task"); `base`: gives the class that every plug-in must derive from."""
        self.kind = kind
        self._base = base
        self._loaders: dict[str, tuple[str, Callable[[], Any]]] = {}
        self._scanned = False

    def add(self, name: str, origin: str, load: Callable[[], Any]) -> None:
        """Raises DuplicateName when another plug-in has the name already."""
        if name in self._loaders and self._loaders[name][0] != origin:
            first = self._loaders[name][0]
            raise DuplicateName(f"two {self.kind}s are named {name!r}: one from {first}, one from {origin}")
        self._loaders[name] = (origin, load)

    def names(self) -> list[str]:
        self._scan()
        return sorted(self._loaders)

    def origin(self, name: str) -> str:
        self._scan()
        return self._loaders[name][0]

    def get(self, name: str) -> type[T]:
        """Load the plug-in. Raises UnknownName with the nearest name, UsageError if it does not load.

        "PLUGIN:REST" is what PLUGIN's class calls REST (`named`), where it stands for many.
        """
        self._scan()
        plugin, colon, rest = name.partition(":")
        if name not in self._loaders and colon and plugin in self._loaders:
            named: Callable[[str], type[T]] | None = getattr(self.get(plugin), "named", None)
            if named is not None:
                return named(rest)
        if name not in self._loaders:
            raise UnknownName(unknown(self.kind, name, self._loaders))
        origin, load = self._loaders[name]
        try:
            found = load()
        except (ImportError, AttributeError, SyntaxError) as fault:
            raise UsageError(f"{self.kind} {name!r} from {origin} does not load: {fault}") from fault
        if not (isinstance(found, type) and issubclass(found, self._base())):
            raise UsageError(f"{self.kind} {name!r} from {origin} is not a {self._base().__name__}")
        return found

    def _scan(self) -> None:
        if self._scanned:
            return
        self._scanned = True
        from importlib.metadata import entry_points

        for point in entry_points(group=f"eval_anything.{self.kind}s"):
            package = point.dist.name if point.dist is not None else "an installed package"
            self.add(point.name, f"{package} ({point.value})", point.load)


def _task() -> type[Any]:
    from eval_anything.task import Task

    return Task


def _model() -> type[Any]:
    from eval_anything.models.base import Model

    return Model


def _judge() -> type[Any]:
    from eval_anything.judge import Judge

    return Judge


def _agent() -> type[Any]:
    from eval_anything.agent import Agent

    return Agent


def _group() -> type[Any]:
    from eval_anything.group import Group

    return Group


def _reported() -> type[Any]:
    from eval_anything.reported import ReportedResults

    return ReportedResults


class Plugins:
    """The registries of one run: what is installed, and what `--include` adds for it alone."""

    def __init__(self, include: Iterable[str | Path] = ()) -> None:
        self.tasks: Registry[Any] = Registry("task", _task)
        self.models: Registry[Any] = Registry("model", _model)
        self.judges: Registry[Any] = Registry("judge", _judge)
        self.agents: Registry[Any] = Registry("agent", _agent)
        self.groups: Registry[Any] = Registry("group", _group)
        self.reported: Registry[Any] = Registry("reported_result", _reported)
        for path in include:
            self.include(Path(path))

    def include(self, path: Path) -> None:
        """Add every plug-in class (Task, Model ...) that the Python files of a folder (or a file) define.

        Files are imported, so they are trusted as any code that one runs. Raises UsageError where nothing
        is found or a file does not import.
        """
        files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
        if not path.exists():
            raise UsageError(f"--include: no such file or folder: {path}")
        found = 0
        for file in files:
            module = _import_file(file.resolve())
            for value in vars(module).values():
                if inspect.isclass(value) and value.__module__ == module.__name__:
                    found += self._add_class(value, file)
        if not found:
            raise UsageError(f"--include: {path} defines no task, model, judge, agent or group")

    def _add_class(self, value: type, file: Path) -> bool:
        kinds = (self.tasks, self.models, self.judges, self.agents, self.groups, self.reported)
        for registry in kinds:
            base, name = registry._base(), getattr(value, "name", None)
            if registry is self.models:
                name = getattr(value, "provider", None)
            if issubclass(value, base) and not inspect.isabstract(value) and isinstance(name, str):
                registry._scan()
                registry.add(name, str(file), lambda: value)
                return True
        return False


def _import_file(file: Path) -> ModuleType:
    digest = hashlib.sha256(str(file).encode()).hexdigest()[:12]
    name = f"eval_anything_include_{digest}_{file.stem}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise UsageError(f"--include: {file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as fault:
        del sys.modules[name]
        raise UsageError(f"--include: {file} does not import: {type(fault).__name__}: {fault}") from fault
    return module
