"""Whole runs with a Gemini model: what a user types, sees and finds in the run's directory."""

import base64
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from gemini_lab import KEY, sent
from servers.gemini_server import GeminiServer, body_of, error, generated, invalid_key, retry_info
from servers.media_files import png
from servers.openai_server import Reply, in_thread

import eval_anything
from eval_anything.cli.main import main
from eval_anything.errors import EvalAnythingError
from eval_anything.stores.journal import read_rows
from eval_anything.stores.rows import ResponseRow

PLUGINS = Path(__file__).parents[2] / "plugins"


@pytest.fixture
def go(text_task: str, tmp_path: Path) -> Any:
    def go(server: GeminiServer, task: str = "text_task", n: int = 12, **options: Any) -> Any:
        given = {"base_url": server.url, "backoff_s": 0.001, **options.pop("model_options", {})}
        values = {"data": f"synthetic:n={n}", "include": [text_task], "out": tmp_path / "run", **options}
        name = values.pop("model", "gemini/gemini-2.5-pro")
        return eval_anything.evaluate(name, task, model_options=given, **values)

    return go


def answers(folder: Path) -> list[ResponseRow]:
    return [row for row in read_rows(folder / "journal.jsonl") if isinstance(row, ResponseRow)]


def test_amu_as_a_user_runs_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with in_thread(GeminiServer("I see three red circles.")) as server:
        command = [
            "run",
            "--model",
            "gemini/gemini-2.5-pro",
            "-M",
            f"base_url={server.url}",
            "--tasks",
            "amu",
        ]
        more = ["--data", "synthetic:n=6", "-M", "inline_bytes=20000", "--out", str(tmp_path / "run")]
        assert main(command + more) == 0
    assert "AMU" in capsys.readouterr().out
    types = Counter(
        (part.get("inlineData") or part["fileData"])["mimeType"].partition("/")[0]
        for call in server.calls
        for part in body_of(call)["contents"][0]["parts"]
        if "text" not in part
    )
    assert types["audio"] == 6
    assert types["image"] + types["video"] == 6
    assert server.uploads == len(server.deleted) > 0
    response = answers(tmp_path / "run")[0].response
    assert (response.model, response.reply_id) == ("gemini-served-001", "reply-1")


@pytest.mark.parametrize("listening", [False, True])
def test_no_gemini_server_ends_with_2_in_one_message_and_leaves_nothing(
    listening: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    html = Reply(f"<html>It works! {KEY}</html>".encode())
    with in_thread(GeminiServer(check=html)) as server:
        url = server.url if listening else "http://127.0.0.1:1"
        command = ["run", "--model", "gemini/m", "-M", f"base_url={url}", "-M", "api_key_env=MY_KEY"]
        assert (
            main([*command, "--tasks", "amu", "--data", "synthetic:n=2", "--out", str(tmp_path / "run")]) == 2
        )
    said = capsys.readouterr().err
    assert f"model gemini/m: {url}: " in said
    assert "expected a server that speaks the Gemini API and has this model (key from MY_KEY)" in said
    assert KEY not in said
    assert "Traceback" not in said
    assert not (tmp_path / "run").exists()


def test_an_expired_key_stops_the_run_at_once_and_what_is_done_is_kept(
    go: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    expired = True

    def script(call: Any) -> Any:
        """Echoes the key: in answers and in errors."""
        shown = call.headers["x-goog-api-key"]
        return invalid_key(f"API key {shown} expired.") if expired and call.number >= 5 else f"yes {shown}"

    with in_thread(GeminiServer(script)) as server:
        options = {"model_options": {"api_key_env": "MY_KEY"}, "n": 100, "concurrency": 1}
        with pytest.raises(EvalAnythingError, match=r"ended early: .*HTTP 400: API key \[key\] expired"):
            go(server, **options)
        assert len(answers(tmp_path / "run")) == 5
        assert server.count == 6
        expired = False
        task = go(server, **options).tasks[0]
        assert server.count == 6 + 95
    assert task.headline.n_scored == 100
    for file in (file for file in tmp_path.rglob("*") if file.is_file()):
        assert KEY.encode() not in file.read_bytes(), file


def test_waits_as_long_as_it_is_told_and_asks_again(go: Any) -> None:
    def script(call: Any) -> Any:
        return error(429, "quota", retry_info("0.2s")) if call.number == 0 else "yes"

    with in_thread(GeminiServer(script)) as server:
        task = go(server, n=4, concurrency=1).tasks[0]
    assert (task.headline.n_scored, task.model_usage.requests, server.count) == (4, 5, 5)


def test_blocked_answers_are_refusals_and_not_errors(go: Any, tmp_path: Path) -> None:
    def script(call: Any) -> Any:
        return (
            generated(finish="SAFETY")
            if call.number % 2
            else {"promptFeedback": {"blockReason": "BLOCKLIST"}}
        )

    with in_thread(GeminiServer(script)) as server:
        task = go(server, n=4).tasks[0]
    assert (task.counts.refused, task.counts.errors, server.count) == (4, {}, 4)
    assert {row.response.finish_reason for row in answers(tmp_path / "run")} == {
        "SAFETY",
        "BLOCKLIST, the prompt",
    }


def test_a_model_without_a_modality_costs_samples_and_not_the_run(go: Any, tmp_path: Path) -> None:
    refused = "Image input modality is not enabled for models/gemini-2.5-pro"
    with in_thread(GeminiServer(lambda call: error(400, refused) if call.number % 2 else "yes")) as server:
        task = go(server, n=8, error_budget=1.0).tasks[0]
    assert (task.counts.errors, task.counts.scored) == ({"bad_request": 4}, 4)
    failed = next(row.response for row in answers(tmp_path / "run") if row.response.state == "error")
    assert failed.fault is not None
    assert failed.fault.message == f"{server.url}: HTTP 400: {refused}"


def test_the_native_agent_calls_tools_and_gets_its_thoughts_back(go: Any) -> None:
    signature = base64.b64encode(b"a thought").decode()
    call = {
        "functionCall": {"name": "generate_image", "args": {"prompt": "x"}},
        "thoughtSignature": signature,
    }

    def script(received: Any) -> Any:
        asked = body_of(received)["contents"][-1]
        return "seen" if any("functionResponse" in part for part in asked["parts"]) else generated(call)

    with in_thread(GeminiServer(script)) as server:
        task = go(
            server,
            "media_task",
            n=3,
            model="gemini/gemini-3-pro-preview",
            agent="native",
            include=[str(PLUGINS / "media_task.py")],
        ).tasks[0]
    assert (task.headline.value, task.counts.tool_calls, task.model_usage.requests) == (2.0, 3, 6)
    last = sent(server)["contents"]
    assert last[1]["parts"][0]["thoughtSignature"] == signature
    assert last[2]["parts"][0]["functionResponse"]["response"]["output"]
    assert "inlineData" in last[2]["parts"][-1], "the model is shown what was made"


def test_image_and_speech_models_are_media_tools(go: Any, tmp_path: Path) -> None:
    sound = {"inlineData": {"mimeType": "audio/L16;codec=pcm;rate=24000", "data": "AAAQAAAA" * 600}}
    image = {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(png()).decode()}}

    def script(call: Any) -> Any:
        return generated(*(["here", image] if "image-model" in call.path else [sound]))

    slots = "[[response]]: words\n[[image_instruction]]: a fox\n[[audio_instruction]]: rain\n"
    with in_thread(GeminiServer(script)) as server:
        tools = {"image": "gemini/image-model", "audio": "gemini/speech-model"}
        options = {"image.outputs": "text,image", "audio.outputs": "audio", "audio.voice": "Kore"}
        urls = {f"{name}.base_url": server.url for name in tools}
        results = eval_anything.evaluate(
            "fake/constant",
            "media_task",
            data="synthetic:n=2",
            include=[str(PLUGINS / "media_task.py")],
            model_options={"reply": slots, "outputs": "text"},
            agent_options={**tools, **options, **urls},
            out=tmp_path / "run",
        )
    assert results.tasks[0].headline.value == 3.0
    parts = answers(tmp_path / "run")[0].response.parts
    assert [part.artifact.mime for part in parts[1:]] == ["image/png", "audio/wav"]


def test_the_key_is_in_no_command_line_and_no_output(text_task: str, tmp_path: Path) -> None:
    with in_thread(GeminiServer("yes", key=KEY)) as server:
        command = ["run", "--include", text_task, "--model", "gemini/m", "-M", f"base_url={server.url}"]
        more = ["-M", "api_key_env=MY_KEY", "--tasks", "text_task", "--data", "synthetic:n=3"]
        done = subprocess.run(
            [sys.executable, "-m", "eval_anything", *command, *more, "--out", str(tmp_path / "run")],
            env={"MY_KEY": KEY, "HOME": str(tmp_path), "PATH": ""},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert KEY not in done.stdout + done.stderr
    assert len(server.calls) == 3
