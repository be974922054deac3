"""Workers in processes of their own: what goes wrong in them is told, and none is left behind."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from eval_anything.agents.media.worker import Worker
from eval_anything.errors import GarbageReply, ModelError, TransportFault, UsageError

STANDIN = Path(__file__).with_name("standin_worker.py")


def with_worker(work, name="ok", *, answer_s=20.0, python=sys.executable):
    async def go():
        worker = Worker((python, str(STANDIN), name), 20.0, answer_s)
        try:
            await worker.start()
            return await work(worker)
        finally:
            await worker.close()

    return asyncio.run(go())


def ask(worker, prompt="a dog", seed=1):
    return worker.ask(prompt=prompt, seed=seed, duration_s=0.1)


def gone(pid):
    """Whether a process has ended, given a moment."""
    for _ in range(100):
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.05)
    return False


def test_many_requests_are_answered_each_by_its_own_file():
    async def work(worker):
        assert worker.hello["weights_only"] == "1"
        made = await asyncio.gather(*(ask(worker, seed=seed) for seed in range(5)))
        assert all(data.startswith(b"RIFF") for data in made)
        assert [int.from_bytes(data[44:52], "little") for data in made] == list(range(5))
        return worker.hello["pid"]

    assert gone(with_worker(work))


def test_an_error_belongs_to_its_request_alone():
    async def work(worker):
        with pytest.raises(ModelError, match=r"the worker: RuntimeError: cannot make that") as caught:
            await ask(worker, "error")
        assert type(caught.value) is ModelError
        first = worker.hello["pid"]
        await ask(worker)
        assert worker.hello["pid"] == first

    with_worker(work)


FAULTS = {
    "garbage": (GarbageReply, "not JSON: 'Downloading"),
    "long": (GarbageReply, "a line of more than"),
    "other": (GarbageReply, "another request"),
    "crash": (TransportFault, "ended: CUDA error: device-side assert"),
}


@pytest.mark.parametrize("prompt", FAULTS)
def test_a_worker_that_fails_is_started_anew_once(prompt):
    kind, message = FAULTS[prompt]

    async def work(worker):
        for _ in range(2):  # after an answer, it may be started once more
            before = worker.hello["pid"]
            with pytest.raises(kind, match=message):
                await ask(worker, prompt)
            assert await ask(worker)
            assert worker.hello["pid"] != before
        with pytest.raises(kind):
            await ask(worker, prompt)
        with pytest.raises(kind):
            await ask(worker, prompt)
        with pytest.raises(ModelError, match="not started any more") as caught:
            await ask(worker)
        assert not caught.value.retryable

    with_worker(work)


def test_a_worker_that_hangs_is_ended():
    async def work(worker):
        pid = worker.hello["pid"]
        with pytest.raises(TransportFault, match=r"no answer within 0.3 s"):
            await ask(worker, "hang")
        assert gone(pid)
        assert await ask(worker)

    with_worker(work, answer_s=0.3)


def test_a_caller_that_gives_up_leaves_a_worker_that_answers_the_next():
    async def work(worker):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ask(worker, "hang"), 0.3)
        assert await ask(worker)

    with_worker(work)


def test_only_files_of_its_folder_are_read():
    async def work(worker):
        with pytest.raises(GarbageReply, match="no file of its folder"):
            await ask(worker, "outside")

    with_worker(work)


def test_what_does_not_come_up_is_a_usage_error():
    async def nothing(worker):
        raise AssertionError("it came up")

    for name, message in (("no-such-model", "no such model"), ("dies", "no module named audiocraft")):
        with pytest.raises(UsageError, match=message):
            with_worker(nothing, name)
    with pytest.raises(UsageError, match=r"/nowhere/python: cannot be run: No such file"):
        with_worker(nothing, python="/nowhere/python")


def test_children_of_a_worker_end_with_it():
    async def work(worker):
        return worker.hello["child"]

    assert gone(with_worker(work, "forks"))


def test_no_worker_outlives_a_harness_that_was_killed(tmp_path):
    code = f"""
        import asyncio
        from eval_anything.agents.media.worker import Worker

        async def go():
            worker = Worker(({sys.executable!r}, {str(STANDIN)!r}, "ok"), 20.0, 20.0)
            await worker.start()
            print(worker.hello["pid"], flush=True)
            await asyncio.sleep(600)

        asyncio.run(go())
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE) as harness:
        pid = int(harness.stdout.readline())
        harness.send_signal(signal.SIGKILL)
    assert gone(pid)
