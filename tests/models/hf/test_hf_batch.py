from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from eval_anything.models.hf.batch import WAIT_S, Batcher


class Recorder:
    """Doubles numbers; remembers the batches and the threads; fails with any batch that holds a 13."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.threads: set[str] = set()
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, jobs: list[int]) -> list[int]:
        self.gate.wait(5)
        self.batches.append(list(jobs))
        self.threads.add(threading.current_thread().name)
        if 13 in jobs:
            raise RuntimeError("unlucky")
        return [2 * job for job in jobs]


def _run(
    jobs: list[int], size: int, concurrency: int, key: Callable[[int], int] = lambda _: 0
) -> tuple[list[object], Recorder, float]:
    recorder = Recorder()

    async def main() -> tuple[list[object], float]:
        batcher: Batcher[int, int] = Batcher(recorder, size, concurrency)
        start = time.monotonic()
        asked = (batcher.submit(job, key(job)) for job in jobs)
        answers = await asyncio.gather(*asked, return_exceptions=True)
        seconds = time.monotonic() - start
        await batcher.close()
        return list(answers), seconds

    answers, seconds = asyncio.run(main())
    return answers, recorder, seconds


def test_batches_are_full_and_in_order_in_one_thread() -> None:
    answers, recorder, _ = _run(list(range(10)), size=4, concurrency=10)
    assert answers == [2 * i for i in range(10)]
    assert recorder.batches == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert len(recorder.threads) == 1


def test_keys_are_not_mixed_and_the_oldest_goes_first() -> None:
    answers, recorder, _ = _run([1, 2, 3, 4, 5], size=4, concurrency=5, key=lambda job: job % 2)
    assert answers == [2, 4, 6, 8, 10]
    assert recorder.batches == [[1, 3, 5], [2, 4]]


def test_single_request_does_not_wait_when_nobody_else_can_come() -> None:
    _, recorder, _ = _run([1], size=8, concurrency=1)
    assert recorder.batches == [[1]]


def test_short_wait_when_others_could_come() -> None:
    _, recorder, seconds = _run([1], size=8, concurrency=100)
    assert recorder.batches == [[1]]
    assert seconds >= WAIT_S


def test_failing_job_is_alone_in_its_failure() -> None:
    answers, recorder, _ = _run([1, 13, 3], size=8, concurrency=3)
    assert (answers[0], answers[2]) == (2, 6)
    assert isinstance(answers[1], RuntimeError)
    assert recorder.batches == [[1, 13, 3], [1], [13], [3]]


def test_jobs_gather_while_the_thread_works() -> None:
    recorder = Recorder()
    recorder.gate.clear()

    async def main() -> None:
        batcher: Batcher[int, int] = Batcher(recorder, 8, 1)
        first = asyncio.create_task(batcher.submit(0, "k"))
        await asyncio.sleep(0.05)
        rest = [asyncio.create_task(batcher.submit(i, "k")) for i in (1, 2, 3)]
        await asyncio.sleep(0.05)
        recorder.gate.set()
        assert await asyncio.gather(first, *rest) == [0, 2, 4, 6]
        await batcher.close()

    asyncio.run(main())
    assert recorder.batches == [[0], [1, 2, 3]]


def test_abandoned_job_is_not_run_and_costs_nobody() -> None:
    recorder = Recorder()
    recorder.gate.clear()

    async def main() -> None:
        batcher: Batcher[int, int] = Batcher(recorder, 8, 1)
        tasks = [asyncio.create_task(batcher.submit(0, "k"))]
        await asyncio.sleep(0.05)
        tasks += [asyncio.create_task(batcher.submit(i, "k")) for i in (1, 2)]
        await asyncio.sleep(0.05)
        tasks[0].cancel()  # in the thread already
        tasks[1].cancel()  # still waiting
        recorder.gate.set()
        assert await tasks[2] == 4
        await batcher.close()

    asyncio.run(main())
    assert recorder.batches == [[0], [2]]


def test_jobs_that_do_not_compare() -> None:
    async def main() -> list[float]:
        batcher: Batcher[np.ndarray, float] = Batcher(lambda jobs: [float(j.sum()) for j in jobs], 2, 4)
        answers = await asyncio.gather(*(batcher.submit(np.ones(3), "k") for _ in range(4)))
        await batcher.close()
        return list(answers)

    assert asyncio.run(main()) == [3.0] * 4


def test_close_leaves_nobody_waiting() -> None:
    recorder = Recorder()
    recorder.gate.clear()

    async def main() -> None:
        batcher: Batcher[int, int] = Batcher(recorder, 1, 2)
        tasks = [asyncio.create_task(batcher.submit(i, "k")) for i in (1, 2)]
        await asyncio.sleep(0.05)
        closing = asyncio.create_task(batcher.close())
        await asyncio.sleep(0.05)
        recorder.gate.set()
        await closing
        for task in tasks:
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())
