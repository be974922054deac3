"""One HTTP session over all base URLs: each request goes to the server with the fewest in flight."""

from __future__ import annotations

import asyncio
import io
import os
import re
import time
from collections.abc import Mapping, Sequence

import aiohttp
import msgspec
import yarl

from eval_anything.errors import GarbageReply, TransportFault, UsageError
from eval_anything.models.openai.address import CHAT_ROUTE, Address

MAX_REPLY_BYTES = 256 * 1024 * 1024
_CHECK_S = 5.0
_REST_S = 5.0
# Below the 5 s after which common servers close an idle connection: a request sent into a closing
# connection is lost, and a POST is not sent again unasked.
_KEEPALIVE_S = 4.0
# Above this size aiohttp wants a file-like body, which it sends in pieces.
_WHOLE_BYTES = 512 * 1024


class HttpReply(msgspec.Struct, frozen=True):
    status: int
    headers: Mapping[str, str]
    body: bytes
    server: str
    """The address that answered, as it may be shown."""


class _Server:
    """One address and its load."""

    def __init__(self, address: Address, key: str) -> None:
        self.address = address
        self.headers = {"Content-Type": "application/json"}
        if authorization := address.basic or (f"Bearer {key}" if key else ""):
            self.headers["Authorization"] = authorization
        self.in_flight = 0
        self.sent = 0
        self.rests_until = 0.0

    def load(self, now: float) -> tuple[bool, int, int]:
        return self.rests_until > now, self.in_flight, self.sent


class Connection:
    """Open between `open` and `close`; `post` makes one attempt."""

    def __init__(self, addresses: Sequence[Address], key: str, timeout_s: float) -> None:
        self._servers = [_Server(address, key) for address in addresses]
        self._timeout_s = timeout_s

    async def open(self) -> None:
        """Raises UsageError when nothing listens at one of the addresses."""
        await asyncio.gather(*(_check(server.address) for server in self._servers))
        self._session = aiohttp.ClientSession(
            # The run's limiter bounds what is in flight; a second bound here would only hide queueing.
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300, keepalive_timeout=_KEEPALIVE_S),
            timeout=aiohttp.ClientTimeout(total=self._timeout_s, sock_connect=min(30.0, self._timeout_s)),
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=2**18,
        )

    async def close(self) -> None:
        await self._session.close()

    async def post(self, body: bytes, route: str = CHAT_ROUTE) -> HttpReply:
        """Raises TransportFault and GarbageReply; every HTTP status is a reply."""
        now = time.monotonic()
        server = min(self._servers, key=lambda candidate: candidate.load(now))
        return await self._ask(server, "POST", route, body)

    async def get(self, route: str, shown: str) -> HttpReply:
        """From the server that answered as `shown`: a job is known only where it was created.

        Raises as `post` does.
        """
        server = next(candidate for candidate in self._servers if candidate.address.shown == shown)
        return await self._ask(server, "GET", route, None)

    async def _ask(self, server: _Server, method: str, route: str, body: bytes | None) -> HttpReply:
        server.in_flight += 1
        server.sent += 1
        try:
            return await self._send(server, method, yarl.URL(server.address.url(route)), body)
        except TransportFault:
            # A dead server fails at once and so would always have the fewest in flight.
            server.rests_until = time.monotonic() + _REST_S
            raise
        finally:
            server.in_flight -= 1

    async def _send(self, server: _Server, method: str, url: yarl.URL, body: bytes | None) -> HttpReply:
        shown = server.address.shown
        data = body if body is None or len(body) <= _WHOLE_BYTES else io.BytesIO(body)
        try:
            async with self._session.request(
                method, url, data=data, headers=server.headers, allow_redirects=False
            ) as reply:
                return HttpReply(reply.status, reply.headers, await _read(reply, shown), shown)
        except TimeoutError:
            raise TransportFault(f"{shown}: no whole reply within {self._timeout_s:g} s") from None
        except aiohttp.ClientResponseError as fault:
            raise GarbageReply(f"{shown}: the reply is not HTTP: {type(fault).__name__}") from None
        except (aiohttp.ClientError, OSError) as fault:
            raise TransportFault(f"{shown}: {reason_of(fault)}") from None


async def _read(reply: aiohttp.ClientResponse, shown: str) -> bytes:
    declared = reply.content_length
    if declared is not None and declared > MAX_REPLY_BYTES:
        raise GarbageReply(f"{shown}: a reply of {declared} bytes, more than {MAX_REPLY_BYTES}")
    chunks: list[bytes] = []
    size = 0
    async for chunk in reply.content.iter_any():
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_REPLY_BYTES:
            raise GarbageReply(f"{shown}: a reply of more than {MAX_REPLY_BYTES} bytes")
    return b"".join(chunks)


async def _check(address: Address) -> None:
    try:
        async with asyncio.timeout(_CHECK_S):
            _, writer = await asyncio.open_connection(address.host, address.port)
    except TimeoutError:
        reason = f"no answer within {_CHECK_S:g} s"
    except OSError as fault:
        reason = reason_of(fault)
    else:
        writer.close()
        return
    raise UsageError(f"{address.shown}: {reason}; expected an OpenAI-compatible server there")


def reason_of(fault: Exception) -> str:
    """In words, on one line. A name with several addresses (localhost) fails once for each of them."""
    said = " ".join(str(fault).split())
    if numbers := re.findall(r"\[Errno (\d+)\]", said):
        return ", ".join(sorted({os.strerror(int(number)) for number in numbers})).lower()
    return said or type(fault).__name__
