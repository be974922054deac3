"""Agents and their media tools: which agent answers a task, and what its tools stand on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from eval_anything.agent import Agent
from eval_anything.errors import UnknownName, UsageError
from eval_anything.options import option_names, parse
from eval_anything.registry import Plugins
from eval_anything.run.config import RunConfig
from eval_anything.run.endpoint import Endpoint, make_endpoint
from eval_anything.suggest import unknown
from eval_anything.task import DataSource, Task
from eval_anything.tool import MediaTool
from eval_anything.values import MODALITIES, Modality

_MEDIA: tuple[Modality, ...] = tuple(m for m in MODALITIES if m != "text")
DIRECT, BY_TEXT = "none", "text-protocol"


class Equipped(msgspec.Struct, frozen=True):
    """An agent with the tools that one task needs."""

    agent: Agent
    tools: Mapping[Modality, MediaTool]

    def identity(self) -> dict[str, Any]:
        """What decides the answers besides the model."""
        return {
            "name": self.agent.name,
            "options": msgspec.to_builtins(self.agent.options),
            **self.agent.identity(),
            "tools": {modality: tool.endpoint.identity() for modality, tool in self.tools.items()},
        }


class Equipment:
    """Makes each task's agent; the tool of a modality has one endpoint, which all tasks share."""

    def __init__(self, plugins: Plugins, config: RunConfig, model: Endpoint) -> None:
        self.plugins = plugins
        self.config = config
        self.model = model
        self.endpoints: dict[Modality, Endpoint] = {}
        self._with_tools = False
        if config.agent is not None:
            plugins.agents.get(config.agent)  # a wrong name is said also where no task needs an agent

    def lacks_tool(self, task: Task, source: DataSource) -> bool:
        """Whether `task` asks for media that neither the model nor a tool of this run gives."""
        if self._agent_name(task) == DIRECT:
            return False
        return any(m != "text" and not self._tool_spec(m, task, source) for m in task.outputs)

    def equip(self, task: Task, source: DataSource) -> Equipped | None:
        """The agent for `task`; None where the task asks for text alone, which needs none.

        Raises UsageError where a tool is missing, or the model does not give what task or agent need.
        """
        media = tuple(m for m in task.outputs if m != "text")
        capabilities = self.model.capabilities()
        if not media:
            if "text" not in capabilities.outputs:
                raise UsageError(
                    f"task {task.name} asks for words, and {self.model.label} makes"
                    f" {', '.join(capabilities.outputs)} alone"
                )
            return None
        name = self._agent_name(task)
        cls = self.plugins.agents.get(name)
        agent: Agent = cls(parse(cls.Options, self._own_options(cls), f"-A, options of agent {name}"))
        agent.check(capabilities, self.model.label)
        tools: dict[Modality, MediaTool] = {}
        if name != DIRECT:
            tools = {m: self._tool(m, task, source) for m in media}
            self._with_tools = True
        given = agent.outputs(capabilities, tuple(tools))
        lacking = [m for m in task.outputs if m not in given]
        if lacking:
            hint = "" if "text" in lacking else f" (--agent {BY_TEXT} has tools make it)"
            raise UsageError(
                f"task {task.name} needs {', '.join(lacking)} output, which {self.model.label} with agent"
                f" {name} does not give{hint}"
            )
        return Equipped(agent, tools)

    def check(self) -> None:
        """After all tasks: raises UsageError where options were given that nobody reads, such as tools beside
        a model that makes the media itself; the numbers would be taken for those of the tools."""
        if self.config.agent_options and not self._with_tools:
            raise UsageError(
                f"-A {next(iter(self.config.agent_options))}: no task of this run is answered by an agent"
                f" with tools (--agent {BY_TEXT} or native has them used)"
            )

    def _agent_name(self, task: Task) -> str:
        given = self.model.capabilities().outputs
        return self.config.agent or (DIRECT if all(m in given for m in task.outputs) else BY_TEXT)

    def _tool_spec(self, modality: Modality, task: Task, source: DataSource) -> str:
        offline = task.offline_tool if source.kind == "synthetic" else ""
        return str(self.config.agent_options.get(modality) or offline)

    def _own_options(self, cls: type[Agent]) -> dict[str, Any]:
        """Options of the agent itself. Raises UnknownName for a key that is neither its nor a tool's."""
        known = (*option_names(cls.Options), *_MEDIA)
        for key in self.config.agent_options:
            if key.split(".", 1)[0] not in known:
                raise UnknownName(f"-A: {unknown('option', key, known)}")
        return {k: v for k, v in self.config.agent_options.items() if k.split(".", 1)[0] not in _MEDIA}

    def _tool(self, modality: Modality, task: Task, source: DataSource) -> MediaTool:
        if modality not in self.endpoints:
            spec = self._tool_spec(modality, task, source)
            if not spec:
                raise UsageError(
                    f"task {task.name} needs a tool for {modality}: name one with -A {modality}=PROVIDER/NAME"
                    " (see `eval-anything tools ls`)"
                )
            self.endpoints[modality] = self._endpoint(spec, modality)
        return MediaTool(modality, self.endpoints[modality])

    def _endpoint(self, spec: str, modality: Modality) -> Endpoint:
        prefix = f"{modality}."
        options = {
            key.removeprefix(prefix): value
            for key, value in self.config.agent_options.items()
            if key.startswith(prefix)
        }
        endpoint = make_endpoint(
            self.plugins, spec, options, self.config.concurrency, f"-A {modality}.KEY=VALUE"
        )
        if modality not in endpoint.capabilities().outputs:
            raise UsageError(f"-A {modality}={spec}: it does not give {modality}")
        return endpoint
