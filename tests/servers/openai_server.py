"""A chat completions server on a real socket, with scripted replies, latency and faults.

In async tests:      async with OpenAIServer("hello") as server: ... server.url ...
In other tests:      with in_thread(OpenAIServer("hello")) as server: ...
As a process:        python tests/servers/openai_server.py --latency lognormal:0.4 --reply "Rating: [[7]]"

As a process it prints its base URL as the first line of standard output, serves until standard input is
closed, and tells at GET /stats what it has served; GET /reset starts the counts anew.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import json
import math
import random
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from aiohttp import web


@dataclasses.dataclass(frozen=True)
class Call:
    """One request, as it arrived."""

    number: int
    """Counts from 0."""
    path: str
    headers: Mapping[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw)

    @property
    def authorization(self) -> str:
        return self.headers.get("Authorization", "")


@dataclasses.dataclass(frozen=True)
class Reply:
    """What the server sends, and how it misbehaves."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    delay_s: float = 0.0
    """Before the first byte."""
    cut: int | None = None
    """Send only so many bytes of the body that was announced, then close the connection."""
    reset: bool = False
    """Close the connection without a byte."""
    chunked: bool = False
    """Do not announce the length."""
    slow_s: float = 0.0
    """Between the first half of the body and the second."""


Script = str | Reply | Callable[[Call], "str | dict[str, Any] | Reply"]


def completion(content: Any = "yes", finish_reason: str | None = "stop", **message: Any) -> dict[str, Any]:
    """A chat completion as servers write it; `message` adds fields to the message."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "served-model",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": content, **message},
                "finish_reason": finish_reason,
            }
        ],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    }


def plain_completion(text: str = " yes", prompt_tokens: int = 7, **choice: Any) -> dict[str, Any]:
    """A reply of the completions route; `choice` adds fields to its choice."""
    return {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1,
        "model": "served-model",
        "choices": [{"index": 0, "text": text, "finish_reason": "stop", **choice}],
        "usage": {"prompt_tokens": prompt_tokens, "completion_tokens": 1, "total_tokens": prompt_tokens + 1},
    }


def echoing(call: Call) -> dict[str, Any]:
    """A script of the completions route that echoes prompts with log-probabilities, as vLLM does.

    A token is a word with the white space before it, after a first one that the server adds; the logarithm
    of its probability is minus its length. A token of fewer than five characters is the most probable one.
    """
    tokens = ["<s>", *re.findall(r"\s*[^\s]+|\s+$", call.body["prompt"])]
    prompt_tokens = len(tokens)
    if not call.body.get("echo"):
        return plain_completion(prompt_tokens=prompt_tokens)
    tokens.append(" generated")
    logprobs = [-float(len(token)) for token in tokens]
    best: list[Any] = [
        {token: value} if len(token) < 5 else {token: value, " best": -0.5}
        for token, value in zip(tokens, logprobs, strict=True)
    ]
    told = {"tokens": tokens, "token_logprobs": [None, *logprobs[1:]], "top_logprobs": [None, *best[1:]]}
    return plain_completion("".join(tokens), prompt_tokens, logprobs=told)


def error(status: int, message: str, **headers: str) -> Reply:
    """An error as OpenAI writes it. Header names have underscores for hyphens."""
    body = json.dumps({"error": {"message": message, "type": "error", "code": status}}).encode()
    return Reply(body, status, {name.replace("_", "-"): value for name, value in headers.items()})


FAULTS: dict[str, Reply] = {
    "429": error(429, "slow down", Retry_After="1"),
    "503": error(503, "overloaded"),
    "500": error(500, "internal error"),
    "reset": Reply(reset=True),
    "html": Reply(b"<html><body>Bad Gateway</body></html>"),
    "cut": Reply(json.dumps(completion("cut off")).encode(), cut=40),
    "slow": Reply(json.dumps(completion("slow")).encode(), slow_s=0.2),
}


@dataclasses.dataclass(frozen=True)
class Latency:
    """Seconds that an answer takes: fixed, or log-normal with the given mean (not median) and sigma."""

    mean_s: float = 0.0
    sigma: float = 0.0

    def draw(self, rng: random.Random) -> float:
        if not self.sigma:
            return self.mean_s
        return rng.lognormvariate(math.log(self.mean_s) - self.sigma**2 / 2, self.sigma)

    @staticmethod
    def parse(text: str) -> Latency:
        """ "0.4" or "lognormal:MEAN[:SIGMA]" (sigma 0.5 unless told)."""
        kind, _, rest = text.rpartition("lognormal:")
        if text.startswith("lognormal:"):
            mean, _, sigma = rest.partition(":")
            return Latency(float(mean), float(sigma or 0.5))
        return Latency(float(kind + rest))


class OpenAIServer:
    """Serves every POST alike. `script`: the reply's text, a whole Reply, or a function of the Call.

    `faults` maps names of FAULTS to the share of calls that they befall. Latencies and faults come from
    `seed`, in the order in which calls arrive. `record` keeps calls in `calls`. With `gets`, `script` answers
    GETs too, in place of what the server tells of itself.
    """

    def __init__(
        self,
        script: Script = "yes",
        *,
        latency: str = "0",
        faults: Mapping[str, float] | None = None,
        seed: int = 0,
        port: int = 0,
        record: bool = True,
        gets: bool = False,
    ) -> None:
        self.calls: list[Call] = []
        self.count = 0
        self.in_flight = 0
        self.max_in_flight = 0
        self.latency_s = 0.0
        """Sum of the latencies drawn."""
        self._latency = Latency.parse(latency)
        self._faults = dict(faults or {})
        self._seed = seed
        self._rng = random.Random(seed)
        self._port = port
        self._record = record
        self._gets = gets
        self._script = script if callable(script) else _fixed(script)

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self._port}/v1"

    async def __aenter__(self) -> OpenAIServer:
        server = web.Server(self._handle, access_log=None, read_bufsize=2**18)
        self._runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, backlog=1024)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method == "GET" and not self._gets:
            return self._inform(request.path)
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        try:
            return await self._answer(request)
        finally:
            self.in_flight -= 1

    def _inform(self, path: str) -> web.Response:
        if path == "/reset":
            self._rng = random.Random(self._seed)
            self.calls.clear()
            self.count, self.max_in_flight, self.latency_s = 0, 0, 0.0
        told = {
            "requests": self.count,
            "latency_s": self.latency_s,
            "max_in_flight": self.max_in_flight,
        }
        return web.json_response(told)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        number = self.count
        self.count += 1
        wait_s = self._latency.draw(self._rng)
        reply = self._fault()
        # 8 GiB is aiohttp's "no limit": bodies here may carry videos.
        request._client_max_size = 2**33
        raw = await request.read()
        call = Call(number, request.path_qs, request.headers, raw)
        if self._record:
            self.calls.append(call)
        if reply is None:
            reply = _as_reply(self._script(call))
        self.latency_s += wait_s + reply.delay_s
        await asyncio.sleep(wait_s + reply.delay_s)
        return await _send(request, reply)

    def _fault(self) -> Reply | None:
        if not self._faults:
            return None
        place = self._rng.random()
        for name, share in self._faults.items():
            if place < share:
                return FAULTS[name]
            place -= share
        return None


def _fixed(script: str | Reply) -> Callable[[Call], Reply]:
    reply = _as_reply(script)
    return lambda _: reply


def _as_reply(scripted: str | dict[str, Any] | Reply) -> Reply:
    if isinstance(scripted, Reply):
        return scripted
    whole = completion(scripted) if isinstance(scripted, str) else scripted
    return Reply(json.dumps(whole).encode(), headers={"Content-Type": "application/json"})


async def _send(request: web.BaseRequest, reply: Reply) -> web.StreamResponse:
    if not (reply.reset or reply.slow_s or reply.chunked) and reply.cut is None:
        return web.Response(body=reply.body, status=reply.status, headers=reply.headers)
    transport = request.transport
    assert transport is not None
    if reply.reset:
        transport.abort()
        return web.Response()
    response = web.StreamResponse(status=reply.status, headers=reply.headers)
    if reply.chunked:
        response.enable_chunked_encoding()
    else:
        response.content_length = len(reply.body)
    await response.prepare(request)
    first = len(reply.body) // 2 if reply.cut is None else reply.cut
    await response.write(reply.body[:first])
    await asyncio.sleep(reply.slow_s)
    if reply.cut is None:
        await response.write(reply.body[first:])
    else:
        transport.close()
    return response


@contextlib.contextmanager
def in_thread(server: OpenAIServer) -> Iterator[OpenAIServer]:
    """The server on an event loop of its own, for code that runs one itself."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result(10)
        try:
            yield server
        finally:
            asyncio.run_coroutine_threadsafe(server.__aexit__(), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _serve(server: OpenAIServer) -> None:
    async with server:
        print(server.url, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def main() -> None:
    parser = argparse.ArgumentParser(description="A chat completions server with scripted replies.")
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    parser.add_argument("--latency", default="0", help="seconds, or lognormal:MEAN[:SIGMA]")
    parser.add_argument("--reply", default="yes", help="text of every reply")
    parser.add_argument("--fault", action="append", default=[], metavar="NAME:SHARE", help=", ".join(FAULTS))
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    faults = {name: float(share) for name, _, share in (text.partition(":") for text in args.fault)}
    if wrong := set(faults) - set(FAULTS):
        parser.error(f"unknown fault {sorted(wrong)[0]!r}; known: {', '.join(FAULTS)}")
    server = OpenAIServer(
        args.reply, latency=args.latency, faults=faults, seed=args.seed, port=args.port, record=False
    )
    asyncio.run(_serve(server))


if __name__ == "__main__":
    main()
