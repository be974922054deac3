"""`native`: the model calls the media tools itself, through its own tool calling, over several turns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from eval_anything.agent import Agent
from eval_anything.agents import templates
from eval_anything.agents.conversation import Conversation, Limits
from eval_anything.errors import UsageError
from eval_anything.values import Capabilities, Modality, Request, Response

if TYPE_CHECKING:
    from eval_anything.run.endpoint import Endpoint
    from eval_anything.tool import MediaTool

_PROMPTS = ("native_choice", "native_required", "native_one", "native_interleaved", "native_reminder")


class NativeAgent(Agent):
    """Offers the tools to the model, makes what it calls for, and gives it the results."""

    name = "native"
    summary = "the model's own tool calling, over several turns"
    Options = Limits

    def __init__(self, options: Limits) -> None:
        super().__init__(options)
        self._prompts = templates.load(*_PROMPTS)

    def identity(self) -> dict[str, Any]:
        return {"prompts": self._prompts.digest()}

    def check(self, model: Capabilities, label: str) -> None:
        super().check(model, label)
        if not model.tools:
            raise UsageError(
                f"agent native: {label} cannot call tools; --agent text-protocol needs no tool calling"
            )

    async def respond(
        self, request: Request, model: "Endpoint", tools: Mapping[Modality, "MediaTool"]
    ) -> Response:
        offered = {m: tools[m] for m in request.output_modalities if m in tools}
        if not offered:
            return await model.ask(request)
        system = templates.instruct(self._prompts, "native", request)
        conversation = Conversation(request, model, offered, self.options)
        return await conversation.answer(system, self._prompts["native_reminder"])
