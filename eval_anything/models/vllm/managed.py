"""A server from its start, or from where an earlier run left it, to its end."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from eval_anything.errors import ServerGone, UsageError
from eval_anything.models.openai.faults import excerpt
from eval_anything.models.vllm import kept, log
from eval_anything.models.vllm.command import HOST
from eval_anything.models.vllm.process import ServerProcess, ending

if TYPE_CHECKING:
    from eval_anything.models.vllm.asking import Server

_LOOK_S = 0.05
_TRIES = 3
"""Starts where a free port was taken before the server had it."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is to run."""

    spec: str
    command: list[str]
    """Without the port."""
    environment: dict[str, str]
    weights: dict[str, Any]
    """What tells the checkpoint and its adapters from earlier ones in the same place."""
    key: str
    port: int
    """0: any free one."""
    start_s: float


class Managed:
    """A server that is up between `open` and `close`: one that we start, or that an earlier run kept."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._process: ServerProcess | None = None
        self._found: kept.Kept | None = None
        self._is_up = False
        self._port = 0
        self._log = Path()

    @property
    def root(self) -> str:
        return f"http://{HOST}:{self._port}"

    @property
    def server(self) -> "Server":
        # aiohttp takes a while to import: first when vLLM is starting, which takes longer.
        from eval_anything.models.vllm.asking import Server

        return Server(self.root, self._plan.key, self._plan.spec)

    async def open(self, tell: Callable[[str], None]) -> None:
        """Find a kept server or start one, and wait until it is ready.

        Raises UsageError: with the end of its log where it does not come up, and where a kept server has
        other weights or another program has the port.
        """
        self._found = self._find()
        if self._found is not None:
            self._port, self._log = self._found.port, Path(self._found.log)
            tell(f"{self._plan.spec}: using {self._found}")
            return
        if self._plan.port and _is_taken(self._plan.port):
            raise UsageError(f"{self._plan.spec}: {_who_has(self._plan.port)}")
        for left in reversed(range(_TRIES)):
            if await self._start(tell, last=bool(self._plan.port) or not left):
                return

    def _find(self) -> kept.Kept | None:
        """A kept server that was started as this one would be. Raises UsageError where its weights differ."""
        for server in kept.running():
            if server.command != self._plan.command or self._plan.port not in (0, server.port):
                continue
            if server.weights != self._plan.weights:
                raise UsageError(f"{self._plan.spec}: its weights have changed since, but not in {server}")
            return server
        return None

    async def _start(self, tell: Callable[[str], None], last: bool) -> bool:
        """Whether it came up; False where somebody took the port before it did, unless `last`."""
        self._port, self._log = self._plan.port or _free_port(), kept.new_log()
        tell(f"{self._plan.spec}: starting vLLM, log: {self._log}")
        command = [*self._plan.command, "--port", str(self._port)]
        process = self._process = ServerProcess(command, self._plan.environment, self._log)
        await process.start()
        try:
            async with asyncio.timeout(self._plan.start_s):
                self._is_up = await self._until_ready(process, tell)
        except TimeoutError:
            raise self._not_up(f"not ready within {self._plan.start_s:g} s (-M start_s)") from None
        if not self._is_up:
            code = process.code or 0
            await self.close()
            if last or not log.port_was_taken(self._log):
                raise self._not_up(f"vLLM ended while it started ({ending(code)})")
        return self._is_up

    async def _until_ready(self, process: ServerProcess, tell: Callable[[str], None]) -> bool:
        """Whether it has become ready; else it has ended."""
        reader, server = log.LogReader(self._log), self.server
        while not await server.is_ready():
            if await process.ended_within(_LOOK_S):
                return False
            tell(f"{self._plan.spec}: {reader.follow()}")
        return True

    async def died(self, within_s: float) -> ServerGone | None:
        """The error that says so, where the server has ended, or does so within so many seconds."""
        if self._found is not None:
            if not await _ends_within(self._found, within_s):
                return None
            what = "the server that was kept has ended"
        else:
            if self._process is None or not await self._process.ended_within(within_s):
                return None
            what = f"vLLM has ended ({ending(self._process.code or 0)})"
        said = excerpt(await asyncio.to_thread(log.reason, self._log), (self._plan.key,))
        return ServerGone(f"{self._plan.spec}: {what}: {said} (log: {self._log})")

    async def close(self, keep: bool = False) -> str:
        """Stop a server that we started, or `keep` it; what to tell of one that is kept, else nothing."""
        process, self._process = self._process, None
        if process is None:
            return ""
        if not (keep and self._is_up and process.code is None):
            await process.stop()
            return ""
        server = kept.Kept(
            spec=self._plan.spec,
            pid=process.pid,
            born=kept.born(process.pid),
            port=self._port,
            command=self._plan.command,
            weights=self._plan.weights,
            log=str(self._log),
        )
        kept.remember(server)
        await process.keep()
        return f"{self._plan.spec}: {self.root}/v1 is {server} (log: {self._log})"

    def _not_up(self, what: str) -> UsageError:
        said, help_ = excerpt(log.reason(self._log), (self._plan.key,)), log.advice(self._log)
        end = log.end_of(self._log).replace(self._plan.key, "[key]")
        others = "".join(f"\nstill running: {server}" for server in kept.running())
        return UsageError(
            f"{self._plan.spec}: {what}: {said}"
            + (f"\nwhat helps: {help_}" if help_ else "")
            + f"{others}\nthe end of its log, {self._log}:{end}"
        )


async def _ends_within(server: kept.Kept, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while server.is_alive():
        if time.monotonic() >= until:
            return False
        await asyncio.sleep(_LOOK_S)
    return True


def _free_port() -> int:
    with socket.socket() as found:
        found.bind((HOST, 0))
        port: int = found.getsockname()[1]
    return port


def _is_taken(port: int) -> bool:
    with socket.socket() as asked:
        asked.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            asked.bind((HOST, port))
        except OSError:
            return True
    return False


def _who_has(port: int) -> str:
    for server in kept.running():
        if server.port == port:
            return f"port {port} is taken by {server}"
    return f"port {port} is taken by another program: give another, or none (any free port) with -M port"
