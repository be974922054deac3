"""`openai/` against a real server that is not ours: `transformers serve` with a tiny model."""

import asyncio
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers.media_files import wav
from tiny_models import tiny_llama, tiny_qwen2_audio

import eval_anything
from eval_anything.media.store import ArtifactStore
from eval_anything.models.base import ModelContext
from eval_anything.models.openai.provider import OpenAIModel, OpenAIOptions
from eval_anything.stores.journal import read_rows
from eval_anything.stores.rows import ResponseRow
from eval_anything.values import Audio, Message, Params, Request, Response, Text

UP_WITHIN_S = 90
SERVE = """
from eval_anything.models.hf.torchvision_shim import declare_missing_operators
declare_missing_operators()  # where torchvision does not match torch, transformers would not import
from importlib.metadata import entry_points
entry_points(group="console_scripts", name="transformers")["transformers"].load()()
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Base URL and checkpoint of a running `transformers serve`."""
    folder = tmp_path_factory.mktemp("served") / "llama"
    tiny_llama(folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", SERVE, "serve", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--device", "cpu"]
    log = folder.parent / "log.txt"
    with log.open("wb") as sink, subprocess.Popen(command, stdout=sink, stderr=sink) as server:
        try:
            _wait(f"http://127.0.0.1:{port}/health", server, log)
            yield f"http://127.0.0.1:{port}/v1", folder
        finally:
            server.terminate()


def _wait(url: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + UP_WITHIN_S
    while time.monotonic() < until:
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except urllib.error.HTTPError:
            return  # it answers
        except OSError:
            assert server.poll() is None, log.read_text()
            time.sleep(0.2)
        else:
            return
    pytest.fail(f"not up within {UP_WITHIN_S} s:\n{log.read_text()}")


def test_a_run_against_transformers_serve(served: tuple[str, Path], text_task: str, tmp_path: Path) -> None:
    url, folder = served
    results = eval_anything.evaluate(
        f"openai/{folder}",
        "text_task",
        data="synthetic:n=3",
        include=[text_task],
        out=tmp_path / "run",
        concurrency=2,
        model_options={"base_url": url, "max_tokens": 8, "timeout_s": 120},
    )
    rows = [r for r in read_rows(tmp_path / "run" / "journal.jsonl") if isinstance(r, ResponseRow)]
    assert {row.response.state for row in rows} <= {"ok", "truncated"}
    assert all(row.response.usage.output_tokens > 0 for row in rows)
    assert results.tasks[0].counts.scored == 3


def test_a_sound_reaches_the_model(served: tuple[str, Path], tmp_path: Path) -> None:
    """Not an image: transformers decodes those by the part of torchvision that has to match torch."""
    folder = tiny_qwen2_audio(tmp_path / "hearing")
    store = ArtifactStore(tmp_path / "media")
    sound = Audio(store.add_bytes(wav(), "audio"))
    model = OpenAIModel(str(folder), OpenAIOptions(base_url=served[0]))

    async def go() -> tuple[Response, Response]:
        await model.start(ModelContext(store=store, timeout_s=120))
        try:
            return await ask(model), await ask(model, sound)
        finally:
            await model.stop()

    deaf, hearing = asyncio.run(go())
    assert {deaf.state, hearing.state} <= {"ok", "truncated"}
    assert hearing.usage.input_tokens > deaf.usage.input_tokens


async def ask(model: OpenAIModel, *media: Audio) -> Response:
    message = Message("user", (Text("what is that?"), *media))
    return await model.generate(Request(messages=(message,), params=Params(max_tokens=4)))
