"""Agents at work in tests: scripted models and real generators, each behind a real endpoint."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from eval_anything.agent import Agent
from eval_anything.media.store import ArtifactStore
from eval_anything.models.base import Model
from eval_anything.models.fake import FakeModel, FakeOptions
from eval_anything.run.endpoint import Endpoint, EndpointOptions
from eval_anything.tool import MediaTool
from eval_anything.values import (
    Capabilities,
    Message,
    Modality,
    Origin,
    Params,
    Request,
    Response,
    Text,
    ToolCall,
    ToolResult,
    Usage,
)

Reply = str | Response | Exception
Script = Sequence[Reply] | Callable[[Request], Any]
ONCE = EndpointOptions(retries=0, timeout_s=60)


class Scripted(Model):
    """Gives the replies of its script one after the other, or what a function makes of each request."""

    provider = "scripted"

    def __init__(self, script: Script, capabilities: Capabilities | None = None) -> None:
        super().__init__("model", self.Options())
        self.script = script
        self.asked: list[Request] = []
        self._capabilities = capabilities or Capabilities(inputs=("text",), tools=True)

    def capabilities(self) -> Capabilities:
        return self._capabilities

    async def generate(self, request: Request) -> Response:
        self.asked.append(request)
        if callable(self.script):
            reply = self.script(request)
            if asyncio.iscoroutine(reply):
                reply = await reply
        else:
            reply = self.script[len(self.asked) - 1]
        if isinstance(reply, Exception):
            raise reply
        if isinstance(reply, str):
            reply = Response(parts=(Text(reply),), finish_reason="stop")
        return msgspec.structs.replace(reply, usage=Usage(input_tokens=10, output_tokens=5, cost_usd=0.5))


def call(name: str, arguments: str | None = None, prompt: str = "a red square", id: str = "x") -> ToolCall:
    if arguments is None:
        arguments = msgspec.json.encode({"prompt": prompt}).decode()
    return ToolCall(id, name, arguments)


def calling(*calls: ToolCall, text: str = "") -> Response:
    return Response(parts=(*([Text(text)] if text else []), *calls), finish_reason="tool_calls")


def request(
    text: str = "Tell me about foxes.",
    outputs: Sequence[Modality] = ("text", "image", "audio"),
    required: Sequence[Modality] = (),
    **fields: Any,
) -> Request:
    return Request(
        messages=(Message("user", (Text(text),)),),
        output_modalities=tuple(outputs),
        required_modalities=tuple(required),
        origin=Origin("task", "1"),
        **fields,
    )


class Lab:
    """A store, and endpoints on it."""

    def __init__(self, folder: Path) -> None:
        self.store = ArtifactStore(folder)

    async def endpoint(self, model: Model, label: str = "scripted/model") -> Endpoint:
        endpoint = Endpoint(label, model, Params(), ONCE)
        await endpoint.start(self.store)
        return endpoint

    def respond(self, agent: Agent, asked: Request, model: Model, **tools: Model | None) -> Response:
        """The agent's answer; tools of image, audio and video are `fake/echo` unless given, None: no such."""

        async def work() -> Response:
            made = {}
            for modality in ("image", "audio", "video"):
                generator = tools.get(modality, FakeModel("echo", FakeOptions()))
                if generator is not None:
                    made[modality] = MediaTool(modality, await self.endpoint(generator, f"maker/{modality}"))
            return await agent.respond(asked, await self.endpoint(model), made)

        return asyncio.run(work())


def results(response: Response) -> list[ToolResult]:
    """The results of an answer's tool calls, in order."""
    parts = [part for message in response.trace if message.role == "tool" for part in message.parts]
    assert all(isinstance(part, ToolResult) for part in parts)
    return parts


def calls(response: Response) -> list[ToolCall]:
    return [part for message in response.trace for part in message.parts if isinstance(part, ToolCall)]
