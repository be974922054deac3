"""An endpoint for callers without an event loop: many requests at once, from a thread of its own."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

from eval_anything.errors import ModelError
from eval_anything.media.store import ArtifactStore
from eval_anything.run.descriptors import allow_sockets
from eval_anything.run.endpoint import Endpoint
from eval_anything.stores.cache import ResponseCache
from eval_anything.values import Request, Response

T = TypeVar("T")


class Asker:
    """A started endpoint. Its media are in a folder of its own, which is gone when it is closed."""

    def __init__(self, endpoint: Endpoint, cache: Path | None) -> None:
        """`cache`: a folder in which answers are kept. Raises UsageError where the model cannot be had."""
        self.endpoint = endpoint
        self._folder = tempfile.TemporaryDirectory(prefix="eval-anything-")
        self.store = ArtifactStore(Path(self._folder.name))
        self._cache: ResponseCache | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="eval-anything", daemon=True)
        self._thread.start()
        try:
            self._wait(self._start(cache))
        except BaseException:
            self._end()
            raise

    async def _start(self, cache: Path | None) -> None:
        allow_sockets(self.endpoint.places)
        if cache is not None:
            self._cache = ResponseCache(cache, self.endpoint.model.secrets())
        await self.endpoint.start(self.store, self._cache)

    def ask(self, requests: Sequence[Request], heard: Callable[[int, Response], None]) -> None:
        """Ask all of them, as many at once as the endpoint has places; `heard` is told each answer with its
        number, in the order in which they come.

        Raises ModelError once one has failed for good, as what asks cannot go on without it; what is on its
        way then is still waited for, and heard.
        """
        self._wait(self._ask(requests, heard))

    async def _ask(self, requests: Sequence[Request], heard: Callable[[int, Response], None]) -> None:
        numbers = iter(range(len(requests)))
        failed: list[tuple[Request, Response]] = []

        async def work() -> None:
            for number in numbers:
                if failed:
                    return
                response = await self.endpoint.ask(requests[number])
                if response.fault is None:
                    heard(number, response)
                else:
                    failed.append((requests[number], response))

        places = min(self.endpoint.places, len(requests))
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(places):
                    group.create_task(work())
        except ExceptionGroup as faults:
            raise faults.exceptions[0] from None
        if failed:
            raise ModelError(self._told(*failed[0]))

    def _told(self, request: Request, response: Response) -> str:
        assert response.fault is not None
        whose = f" to {request.origin.task} {request.origin.sample_id}" if request.origin else ""
        kept = "are in the cache" if self._cache else "are kept where there is a cache (cache=DIR)"
        return (
            f"{self.endpoint.label} gave no answer{whose}: {response.fault.kind}: {response.fault.message};"
            f" those that it gave before {kept}"
        )

    def close(self) -> None:
        """Stop the model; may be called more than once."""
        if self._thread.is_alive():
            self._wait(self._stop())
            self._end()

    async def _stop(self) -> None:
        await self.endpoint.stop()
        if self._cache is not None:
            self._cache.close()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._folder.cleanup()

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            raise
