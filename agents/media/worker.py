"""A generator in a process of its own, in another environment, spoken to by JSON lines."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from eval_anything.errors import GarbageReply, ModelError, TransportFault, UsageError
from eval_anything.models.foreign import environment
from eval_anything.models.openai.faults import excerpt

_LINE_BYTES = 1 << 20
_END_S = 3.0
_TAIL_BYTES = 2000


class Worker:
    """Starts a command, asks it one thing at a time, and leaves no process behind.

    It is started anew once after it has crashed, hung or talked nonsense; after an answer, once more. What it
    writes on standard error is kept for messages. Use from one event loop.
    """

    def __init__(self, command: Sequence[str], start_s: float, answer_s: float) -> None:
        """`command`: the worker, which is given "--out DIR" besides; `start_s`: until it says hello."""
        self._command = command
        self._start_s = start_s
        self._answer_s = answer_s
        self._folder = tempfile.TemporaryDirectory(prefix="eval-anything-worker-")
        self._lock = asyncio.Lock()
        self._numbers = itertools.count(1)
        self._process: asyncio.subprocess.Process | None = None
        self._starts_left = 2
        self.hello: dict[str, Any] = {}
        """What the worker told of itself: versions, sample rate."""

    async def start(self) -> None:
        """Raises UsageError where it does not come up: a wrong interpreter, no such model."""
        try:
            await self._start()
        except ModelError as fault:
            raise UsageError(str(fault)) from None

    async def ask(self, **request: Any) -> bytes:
        """The file that it makes for `request`. Raises ModelError; its subclasses may be tried again."""
        async with self._lock:
            if self._process is None:
                await self._start()
            number = next(self._numbers)
            try:
                reply = await self._answer({"id": number, **request})
            except BaseException:
                # A worker that hangs, has crashed, or answers whom it should not is of no further use; nor is
                # one whose caller gave up, as it would go on with what nobody wants.
                await self._kill()
                raise
            self._starts_left = 1
            if "error" in reply:
                raise ModelError(f"the worker: {_line(str(reply['error']))}")
            return self._file(reply)

    async def close(self) -> None:
        """End the worker and its children, and remove its folder."""
        await self._kill()
        self._folder.cleanup()

    async def _start(self) -> None:
        if self._starts_left == 0:
            raise ModelError(f"the worker has crashed again and is not started any more: {self._said()}")
        self._starts_left -= 1
        # A group of its own, so that all it starts can be ended with it.
        with self._log().open("wb") as log:
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *self._command,
                    "--out",
                    self._folder.name,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=log,
                    start_new_session=True,
                    limit=_LINE_BYTES,
                    # Pickled weights may not run code.
                    env=environment(TORCH_FORCE_WEIGHTS_ONLY_LOAD="1"),
                )
            except OSError as fault:
                raise ModelError(f"{self._command[0]}: cannot be run: {fault.strerror}") from None
        try:
            hello = await self._read(self._start_s)
        except BaseException:
            await self._kill()
            raise
        if not isinstance(hello.get("hello"), dict):
            await self._kill()
            raise ModelError(f"the worker did not start: {_line(str(hello.get('error', hello)))}")
        self.hello = hello["hello"]

    async def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(request) + b"\n")
        with contextlib.suppress(ConnectionError):  # it has crashed: reading says so, with the reason
            await self._process.stdin.drain()
        reply = await self._read(self._answer_s)
        if reply.get("id") != request["id"]:
            raise GarbageReply(f"the worker answered another request: {_line(str(reply))}")
        return reply

    async def _read(self, limit_s: float) -> dict[str, Any]:
        assert self._process is not None and self._process.stdout is not None
        try:
            async with asyncio.timeout(limit_s):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise TransportFault(f"the worker: no answer within {limit_s:g} s: {self._said()}") from None
        except ValueError:
            raise GarbageReply(f"the worker: a line of more than {_LINE_BYTES} bytes") from None
        if not line:
            raise TransportFault(f"the worker ended: {self._said()}")
        try:
            return msgspec.json.decode(line, type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise GarbageReply(f"the worker: not JSON: {_line(line.decode('utf-8', 'replace'))!r}") from None

    def _file(self, reply: dict[str, Any]) -> bytes:
        folder = Path(self._folder.name).resolve()
        path = Path(str(reply.get("path"))).resolve()
        if not path.is_relative_to(folder) or not path.is_file():
            raise GarbageReply(f"the worker: no file of its folder: {_line(str(path))!r}")
        data = path.read_bytes()
        path.unlink()
        return data

    async def _kill(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None and process.stdout is not None
        process.stdin.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0 if process.returncode is not None else _END_S):
                await process.wait()
        # Also after its end: children of it may be left in the group.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        # Its pipes are read to their ends, or asyncio would hold them open until the event loop is gone.
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(_END_S):
                await asyncio.gather(process.stdout.read(), process.stdin.wait_closed())

    def _log(self) -> Path:
        return Path(self._folder.name) / "stderr.txt"

    def _said(self) -> str:
        """The end of what it wrote on standard error."""
        try:
            written = self._log().read_bytes()[-_TAIL_BYTES:]
        except OSError:
            written = b""
        lines = [line for line in written.decode("utf-8", "replace").splitlines() if line.strip()]
        return _line(lines[-1]) if lines else "nothing on standard error"


def _line(text: str) -> str:
    return excerpt(text, ())
