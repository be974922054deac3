"""Concurrent requests collected into batches for one worker thread."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

log = logging.getLogger(__name__)

Job = TypeVar("Job")
Answer = TypeVar("Answer")

WAIT_S = 0.005


@dataclasses.dataclass(eq=False)  # two jobs may be alike, and arrays do not compare
class _Waiting(Generic[Job, Answer]):
    job: Job
    key: Hashable
    since: float
    answer: asyncio.Future[Answer]


class Batcher(Generic[Job, Answer]):
    """Runs jobs of one key together, oldest first, in a thread of its own.

    A batch leaves when it is full, when all `concurrency` requests that the caller can have in flight are
    here, or when its oldest job has waited 5 ms. While the thread works, jobs gather at no cost. A batch that
    fails is run again job by job, so that one bad job does not take its neighbours with it.
    """

    def __init__(self, run: Callable[[list[Job]], list[Answer]], size: int, concurrency: int) -> None:
        self._run = run
        self._size = size
        self._concurrency = concurrency
        self._waiting: list[_Waiting[Job, Answer]] = []
        self._arrived = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="hf")
        self._dispatcher: asyncio.Task[None] | None = None

    async def submit(self, job: Job, key: Hashable) -> Answer:
        """The job's answer. Jobs are batched only with jobs of an equal `key`."""
        loop = asyncio.get_running_loop()
        if self._dispatcher is None:
            self._dispatcher = loop.create_task(self._dispatch())
        waiting: _Waiting[Job, Answer] = _Waiting(job, key, loop.time(), loop.create_future())
        self._waiting.append(waiting)
        self._arrived.set()
        return await waiting.answer

    async def close(self) -> None:
        """Stop after the batch in the thread; jobs that still wait are cancelled."""
        if self._dispatcher is not None:
            self._dispatcher.cancel()
            await asyncio.gather(self._dispatcher, return_exceptions=True)
        await asyncio.to_thread(self._thread.shutdown)

    async def _dispatch(self) -> None:
        batch: list[_Waiting[Job, Answer]] = []
        try:
            while True:
                batch = await self._next_batch()
                await self._answer(batch)
        finally:
            # Nobody may wait for a dispatcher that is gone; answers that were given are not touched by this.
            for waiting in [*batch, *self._waiting]:
                waiting.answer.cancel()

    async def _next_batch(self) -> list[_Waiting[Job, Answer]]:
        loop = asyncio.get_running_loop()
        while True:
            self._arrived.clear()
            self._waiting = [w for w in self._waiting if not w.answer.done()]  # the caller gave up on some
            if not self._waiting:
                await self._arrived.wait()
                continue
            batch = [w for w in self._waiting if w.key == self._waiting[0].key][: self._size]
            left = self._waiting[0].since + WAIT_S - loop.time()
            if left <= 0 or len(batch) == self._size or len(self._waiting) >= self._concurrency:
                self._waiting = [w for w in self._waiting if w not in batch]
                return batch
            try:
                await asyncio.wait_for(self._arrived.wait(), left)
            except TimeoutError:
                continue

    async def _answer(self, batch: list[_Waiting[Job, Answer]]) -> None:
        loop = asyncio.get_running_loop()
        try:
            answers = await loop.run_in_executor(self._thread, self._run, [w.job for w in batch])
        except Exception as fault:  # noqa: BLE001 (whatever it is goes to those who wait for the answer)
            if len(batch) == 1:
                if not batch[0].answer.done():
                    batch[0].answer.set_exception(fault)
                return
            log.warning("a batch of %d failed and is run one by one: %s", len(batch), fault)
            for waiting in batch:
                await self._answer([waiting])
            return
        for waiting, answer in zip(batch, answers, strict=True):
            if not waiting.answer.done():
                waiting.answer.set_result(answer)
