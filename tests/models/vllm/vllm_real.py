"""`vllm/` with vLLM itself: `make test-vllm`, which builds its environment (a CPU with AVX512 is needed).

Not collected with the others: the environment takes minutes and 3.5 GB, and each start of vLLM half a minute.
The models are tiny ones with random weights.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from servers.media_files import mp4, png, wav
from tiny_models import tiny_llama, tiny_qwen2_vl
from vllm_lab import are_gone, processes

from eval_anything import options
from eval_anything.errors import BadRequest, ServerFault, ServerGone, UsageError
from eval_anything.media.store import ArtifactStore
from eval_anything.models.base import Model, ModelContext
from eval_anything.models.hf.provider import HFModel, HFOptions
from eval_anything.models.vllm.options import VLLMOptions
from eval_anything.models.vllm.provider import VLLMModel
from eval_anything.values import (
    Audio,
    Image,
    Likelihood,
    Message,
    Params,
    Part,
    Request,
    Response,
    Text,
    ToolCall,
    Video,
)

PYTHON = os.environ["VLLM_PYTHON"]
ALWAYS = {"python": PYTHON, "max_model_len": "1024", "start_s": "1800", "args": "--enforce-eager"}
TOOL = {
    "name": "draw",
    "description": "Draws.",
    "parameters": {"type": "object", "properties": {"p": {"enum": ["x"]}}, "required": ["p"]},
}
pytestmark = pytest.mark.timeout(2400)


@pytest.fixture(scope="module", autouse=True)
def _small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One gigabyte for the keys and values of the attention is plenty."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("EVAL_ANYTHING_HOME", str(tmp_path_factory.getbasetemp() / "home"))
        yield


@pytest.fixture(scope="module")
def seeing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_qwen2_vl(tmp_path_factory.mktemp("models") / "seeing", head=32)


@pytest.fixture(scope="module")
def reading(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llama(tmp_path_factory.mktemp("models") / "reading", head=32)


def model(folder: Path, **given: str) -> VLLMModel:
    return VLLMModel(str(folder), options.parse(VLLMOptions, {**ALWAYS, **given}, "-M"))


@asynccontextmanager
async def up(asked: VLLMModel, store: ArtifactStore) -> AsyncIterator[list[str]]:
    """What was told while it started."""
    told: list[str] = []
    await asked.start(ModelContext(store=store, timeout_s=120, tell=told.append))
    try:
        yield told
    finally:
        await asked.stop()


def question(*parts: Part, **params: Any) -> Request:
    given = Params(**{"max_tokens": 6, "temperature": 0.0, **params})
    return Request(messages=(Message("user", (Text("what is this?"), *parts)),), params=given)


def test_text_image_video_and_tools(seeing: Path, tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    image = Image(store.add_bytes(png(), "image"))
    video = Video(store.add_bytes(mp4(), "video"))
    audio = Audio(store.add_bytes(wav(), "audio"))
    asked = model(seeing, tool_parser="hermes", limit="image=1,video=1")
    assert asked.capabilities().inputs == ("text", "image", "video")

    async def go() -> None:
        async with up(asked, store) as told:
            assert "ready" in told[-1]
            assert len(set(told)) > 2, "how far it is"
            text, seen, watched = [
                await asked.generate(question(*parts)) for parts in ((), (image,), (video,))
            ]
            assert {text.state, seen.state, watched.state} <= {"ok", "truncated"}
            assert text.usage.input_tokens < seen.usage.input_tokens
            assert text.usage.input_tokens < watched.usage.input_tokens
            with pytest.raises(BadRequest, match="At most 0 audio"):
                await asked.generate(question(audio))
            again = await asked.generate(question(image))
            assert again.text == seen.text
            called = await asked.generate(_with_tool())
            (call,) = [part for part in called.parts if isinstance(part, ToolCall)]
            assert call.name == "draw"
            json.loads(call.arguments)  # whatever a model with random weights makes of the schema

    asyncio.run(go())
    assert not processes(str(seeing))


def _with_tool() -> Request:
    """A call that a model with random weights cannot avoid."""
    extra = {"tool_choice": {"type": "function", "function": {"name": "draw"}}}
    asked = question(max_tokens=64, extra=extra)
    return Request(messages=asked.messages, params=asked.params, tools=(TOOL,))


async def _likelihood(asked: Model, prompt: str, text: str) -> Likelihood:
    messages = (Message("user", (Text(prompt),)),)
    response = await asked.generate(Request(messages=messages, plain=True, continuation=text))
    assert response.likelihood is not None
    return response.likelihood


def test_it_answers_as_the_model_in_process_until_it_crashes(reading: Path, tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    served = model(reading, dtype="float32")
    ours = HFModel(str(reading), HFOptions(dtype="float32"))

    async def go() -> None:
        await ours.start(ModelContext(store=store))
        async with up(served, store):
            for prompt, text in (("the image", " red"), ("yes or no?", " blue sound")):
                theirs, expected = [await _likelihood(m, prompt, text) for m in (served, ours)]
                assert theirs.tokens == expected.tokens
                assert theirs.logprob == pytest.approx(expected.logprob, abs=0.01)
            answers = [(await m.generate(question())).text for m in (served, ours)]
            assert answers[0] == answers[1]
            os.kill(_engine(processes(str(reading))), signal.SIGKILL)
            await _until_gone(lambda: served.generate(question()))
        await ours.stop()

    asyncio.run(go())
    assert not processes(str(reading))


async def _until_gone(ask: Callable[[], Coroutine[Any, Any, Response]]) -> None:
    """The first answers after a crash may be 500s; then the server is gone, and that is said."""
    for _ in range(1000):
        try:
            await ask()
        except ServerGone as fault:
            assert "vLLM has ended" in str(fault) and "died unexpectedly" in str(fault)
            return
        except ServerFault:
            await asyncio.sleep(0.1)
    pytest.fail("nobody noticed")


def run(folder: Path, task: str, out: Path, *more: str, n: int = 8) -> list[str]:
    words = [sys.executable, "-m", "eval_anything", "run", "--model", f"vllm/{folder}", "--include", task]
    words += ["--tasks", "text_task", "--data", f"synthetic:n={n}", "--out", str(out), "-M", "max_tokens=4"]
    given = {**ALWAYS, "backoff_s": "0.1"}
    return [*words, *(word for pair in given.items() for word in ("-M", "=".join(pair))), *more]


def test_a_run_then_a_kept_server_then_a_crash(reading: Path, text_task: str, tmp_path: Path) -> None:
    first = subprocess.run(
        run(reading, text_task, tmp_path / "a", "--keep-server"), capture_output=True, text=True, check=False
    )
    assert first.returncode == 0, first.stderr
    kept = processes(str(reading))
    assert len(kept) >= 3, "supervisor, server, engine"
    command = run(reading, text_task, tmp_path / "b", n=100_000)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as second:
        while not (tmp_path / "b" / "journal.jsonl").exists() or _empty(tmp_path / "b" / "journal.jsonl"):
            assert second.poll() is None
            time.sleep(0.05)
        os.kill(_engine(kept), signal.SIGKILL)
        _, told = second.communicate(timeout=120)
    assert second.returncode == 3, told
    assert "using the server kept for" in told
    assert "the server that was kept has ended" in told
    assert are_gone(kept, 20)


def _empty(path: Path) -> bool:
    return path.stat().st_size == 0


def _engine(pids: list[int]) -> int:
    """The last of the processes that compute."""
    named = {pid: Path(f"/proc/{pid}/cmdline").read_text() for pid in pids}
    return max(pid for pid, name in named.items() if name.startswith("VLLM::"))


def test_a_crash_while_starting_is_told_with_its_cause(reading: Path, tmp_path: Path) -> None:
    asked = model(reading, max_model_len="100000")

    async def go() -> None:
        with pytest.raises(UsageError) as caught:
            async with up(asked, ArtifactStore(tmp_path)):
                pass
        said = str(caught.value)
        assert "vLLM ended while it started (exit code" in said
        assert "max_model_len" in said.splitlines()[0]
        assert "what helps: -M max_model_len=N must be smaller" in said

    asyncio.run(go())
    assert not processes(str(reading))


def test_options_that_this_vllm_does_not_take(reading: Path, tmp_path: Path) -> None:
    asked = model(reading, args="--enforce-eagerly-now")

    async def go() -> None:
        with pytest.raises(UsageError, match="unrecognized arguments") as caught:
            async with up(asked, ArtifactStore(tmp_path)):
                pass
        assert "what helps: this vLLM does not take these options" in str(caught.value)

    asyncio.run(go())


def test_kill_9_leaves_no_process(reading: Path, text_task: str, tmp_path: Path) -> None:
    command = run(reading, text_task, tmp_path / "run", n=100_000)
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        while not (tmp_path / "run" / "journal.jsonl").exists() or _empty(tmp_path / "run" / "journal.jsonl"):
            assert process.poll() is None
            time.sleep(0.05)
        found = processes(str(reading))
        process.kill()
    assert len(found) >= 3
    assert are_gone(found, 20)
