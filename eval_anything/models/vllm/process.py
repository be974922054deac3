"""A server's process, behind the supervisor that ends it with us."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_SUPERVISOR = Path(__file__).with_name("supervisor.py")
_GRACE_S = 10.0
"""How long a server may take to end by itself: it frees GPUs and shared memory, unlike when it is killed."""
_KILL_S = 5.0


class ServerProcess:
    """Runs between `start` and `stop`, or longer after `keep`. Use from one event loop."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._command = command
        self._environment = environment
        self.log = log
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """Of the supervisor: SIGTERM to it ends everything."""
        assert self._process is not None
        return self._process.pid

    @property
    def code(self) -> int | None:
        """The server's exit code, once it has ended; see `supervisor.py`."""
        assert self._process is not None
        return self._process.returncode

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(_SUPERVISOR), str(self.log), str(_GRACE_S)),
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env=self._environment,
            # Ctrl-C in a terminal goes to all of its processes; this one ends when we do.
            start_new_session=True,
        )

    async def ended_within(self, seconds: float) -> bool:
        """Whether the server has ended, waiting up to `seconds` for it."""
        assert self._process is not None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._process.wait()
        return self.code is not None

    async def keep(self) -> None:
        """Let it run on without us."""
        assert self._process is not None and self._process.stdin is not None
        with contextlib.suppress(ConnectionError):
            self._process.stdin.write(b"keep\n")
            await self._process.stdin.drain()
        self._process.stdin.close()
        self._process = None

    async def stop(self) -> None:
        """End the server and all that it started."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()  # enough, whatever becomes of us
        try:
            async with asyncio.timeout(_GRACE_S + _KILL_S):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        with contextlib.suppress(ConnectionError):
            await process.stdin.wait_closed()


def ending(code: int) -> str:
    """An exit code in words."""
    if code <= 128:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(code - 128).name}"
    except ValueError:
        return f"exit code {code}"
