"""`none`: no agent at work; the model gives media itself, in one request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from eval_anything.agent import Agent
from eval_anything.values import Capabilities, Modality, Request, Response

if TYPE_CHECKING:
    from eval_anything.run.endpoint import Endpoint
    from eval_anything.tool import MediaTool


class DirectAgent(Agent):
    """Asks once for the modalities of the task; in which ones the model answers is told by its parts."""

    name = "none"
    summary = "the model's own media output, in one request"
    asks_once = True

    def outputs(self, model: Capabilities, tools: tuple[Modality, ...]) -> tuple[Modality, ...]:
        return model.outputs

    def check(self, model: Capabilities, label: str) -> None:
        """Whatever the model gives is taken; whether the task needs more is looked at by the run."""

    async def respond(
        self, request: Request, model: "Endpoint", tools: Mapping[Modality, "MediaTool"]
    ) -> Response:
        return await model.ask(request)
