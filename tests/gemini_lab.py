"""A Gemini model asked over a real socket, for the tests of its provider."""

from __future__ import annotations

import asyncio
from typing import Any

from servers.gemini_server import GeminiServer, body_of

from eval_anything import options
from eval_anything.media.store import ArtifactStore
from eval_anything.models.base import ModelContext
from eval_anything.models.gemini.provider import GeminiModel, GeminiOptions
from eval_anything.values import Message, Params, Request, Response, Text

KEY = "AIzaSy-0123456789abcdefghij"
HELLO = Request(messages=(Message("user", (Text("hello"),)),), params=Params(max_tokens=9))


def model(name: str = "gemini-2.5-pro", **given: Any) -> GeminiModel:
    return GeminiModel(name, options.parse(GeminiOptions, given, f"model gemini/{name}"))


def ask(
    store: ArtifactStore, server: GeminiServer, *requests: Request, timeout_s: float = 10.0, **given: Any
) -> list[Response]:
    """The responses, one request after the other."""

    async def go() -> list[Response]:
        async with server:
            asked = model(**{"base_url": server.url, **given})
            await asked.start(ModelContext(store=store, timeout_s=timeout_s))
            try:
                return [await asked.generate(request) for request in requests or (HELLO,)]
            finally:
                await asked.stop()

    return asyncio.run(go())


def sent(server: GeminiServer, number: int = -1) -> Any:
    """The body of a request, in the API's own spelling."""
    return body_of(server.calls[number])
