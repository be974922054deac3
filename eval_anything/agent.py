"""What an agent is: it answers a request with a model and media tools."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from eval_anything.errors import UsageError
from eval_anything.models.base import NoOptions
from eval_anything.values import Capabilities, Modality, Request, Response

if TYPE_CHECKING:
    from eval_anything.run.endpoint import Endpoint
    from eval_anything.tool import MediaTool


class Agent(abc.ABC):
    """Turns a request into a response, by as many turns with the model and the tools as it takes.

    The response holds the final answer as parts (text first, then media), what was chosen (`selected`), all
    turns (`trace`), the model's usage and the tools' apart. Whatever a model does wrong (unknown tools, wrong
    arguments, loops) ends in a stated state with the trace kept; tools that fail are the tools' failures.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    Options: ClassVar[type[msgspec.Struct]] = NoOptions
    asks_once: ClassVar[bool] = False
    """Whether an answer takes one request to the model, and at most one medium of each kind."""

    def __init__(self, options: Any) -> None:
        self.options = options

    def outputs(self, model: Capabilities, tools: tuple[Modality, ...]) -> tuple[Modality, ...]:
        """What answers can hold, given the model's capabilities and the modalities of the tools."""
        return ("text", *tools)

    def check(self, model: Capabilities, label: str) -> None:
        """Raises UsageError where the model cannot be used with this agent (no words, no tool calling)."""
        if "text" not in model.outputs:
            made = model.outputs[0]
            raise UsageError(
                f"agent {self.name}: {label} makes {', '.join(model.outputs)} and no words, which tools are"
                f" called by; it can be a tool itself (-A {made}={label})"
            )

    def identity(self) -> dict[str, Any]:
        """What decides its answers besides name and options: prompt hashes."""
        return {}

    @abc.abstractmethod
    async def respond(
        self, request: Request, model: "Endpoint", tools: Mapping[Modality, "MediaTool"]
    ) -> Response:
        """Never raises but what `Endpoint.ask` raises."""
