import asyncio
import json
import socket
import subprocess
import sys

import pytest
from gemini_lab import HELLO, KEY, ask, model, sent
from servers.gemini_server import GeminiServer, error, generated, invalid_key, retry_info
from servers.media_files import png
from servers.openai_server import OpenAIServer, Reply

from eval_anything.errors import (
    BadRequest,
    Forbidden,
    GarbageReply,
    MissingExtra,
    ModelError,
    RateLimited,
    ServerFault,
    TransportFault,
    UnknownName,
    UsageError,
)
from eval_anything.media.store import ArtifactStore
from eval_anything.models.base import ModelContext
from eval_anything.models.gemini.provider import GeminiOptions
from eval_anything.values import Image, Message, Request, Text


@pytest.fixture
def store(tmp_path):
    return ArtifactStore(tmp_path)


@pytest.fixture
def key(monkeypatch):
    monkeypatch.setenv("GEMINI_API_KEY", KEY)
    return KEY


def start(store, server=None, **given):
    """Start and stop against `server`, or against what `given` names."""

    async def go():
        if server is None:
            await model(**given).start(ModelContext(store=store))
            return
        async with server:
            asked = model(**{"base_url": server.url, **given})
            await asked.start(ModelContext(store=store))
            await asked.stop()

    asyncio.run(go())


def test_a_question_is_answered(store):
    server = GeminiServer("hi")
    (response,) = ask(store, server)
    assert response.text == "hi"
    assert 0 < response.seconds < 5
    assert sent(server) == {
        "contents": [{"role": "user", "parts": [{"text": "hello"}]}],
        "generationConfig": {"maxOutputTokens": 9},
    }
    assert server.calls[0].path.endswith("/models/gemini-2.5-pro:generateContent")
    assert len(server.checks) == 1


def test_any_to_any_over_the_wire(store):
    image = Image(store.add_bytes(png(), "image"))
    request = Request(
        messages=(Message("user", (Text("again"), image)),), output_modalities=("text", "image")
    )

    def script(call):
        return generated("here", call.body["contents"][0]["parts"][1])

    (response,) = ask(store, GeminiServer(script), request, outputs="text,image")
    assert response.text == "here"
    assert response.parts[1].artifact.sha256 == image.artifact.sha256


@pytest.mark.parametrize(
    ("reply", "kind", "said"),
    [
        (error(400, "bad"), BadRequest, "HTTP 400: bad"),
        (invalid_key(), Forbidden, "HTTP 400: API key expired. Please renew the API key."),
        (error(401, "who", status="UNAUTHENTICATED"), Forbidden, "who"),
        (error(403, "no", status="PERMISSION_DENIED"), Forbidden, "no"),
        (error(404, "no such model"), BadRequest, "no such model"),
        (error(429, "quota", retry_info("7.5s"), {"quotaId": "x"}), RateLimited, "quota"),
        (error(429, "quota"), RateLimited, "quota"),
        (error(503, "busy"), RateLimited, "busy"),
        (error(500, "oops"), ServerFault, "oops"),
        (Reply(b"<html>Bad Gateway</html>", 502), ServerFault, "<html>Bad Gateway"),
        (Reply(b"", 302, {"Location": "http://elsewhere/"}), BadRequest, "redirects to http://elsewhere/"),
        (Reply(b"<html>hello</html>"), GarbageReply, "not a reply of the Gemini API: '<html>hello"),
        (Reply(b""), GarbageReply, "neither an answer nor a reason"),
        (Reply(b'{"a": '), GarbageReply, "not a reply of the Gemini API"),
        (Reply(b"[]"), GarbageReply, ""),
        (Reply(b'"hello"'), GarbageReply, ""),
        (Reply(b"\xff\xfe"), GarbageReply, ""),
        (Reply(b"{oops", 500, {"Content-Type": "application/json"}), GarbageReply, "oops"),
        (Reply(reset=True), TransportFault, ""),
        (Reply(json.dumps(generated("x")).encode(), cut=20), TransportFault, ""),
    ],
)
def test_failures_have_their_class_and_say_where_after_one_attempt(store, reply, kind, said):
    server = GeminiServer(reply)
    with pytest.raises(ModelError) as caught:
        ask(store, server)
    assert type(caught.value) is kind
    assert str(caught.value).startswith(f"{server.url}: ")
    assert said in str(caught.value)
    assert len(server.calls) == 1, "the library tried again by itself"
    if isinstance(caught.value, RateLimited):
        assert caught.value.retry_after == (7.5 if b"RetryInfo" in reply.body else None)


def test_retry_after_as_a_header(store):
    reply = error(429, "slow")
    with pytest.raises(RateLimited) as caught:
        ask(store, GeminiServer(Reply(reply.body, 429, {**reply.headers, "Retry-After": "7"})))
    assert caught.value.retry_after == 7


def test_the_timeout_is_the_contexts(store):
    with pytest.raises(TransportFault, match="no whole reply in time"):
        ask(store, GeminiServer(Reply(b"{}", delay_s=30)), timeout_s=0.3)


def test_a_server_that_goes_away_is_a_transport_fault(store):
    async def go():
        async with GeminiServer() as server:
            asked = model(base_url=server.url)
            await asked.start(ModelContext(store=store))
        with pytest.raises(TransportFault, match=r"127\.0\.0\.1"):
            await asked.generate(HELLO)
        await asked.stop()

    asyncio.run(go())


def test_a_server_that_is_not_there_is_said_before_anything_starts(store):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(UsageError, match=f"http://127.0.0.1:{port}: connection refused; expected a server"):
        start(store, base_url=f"http://127.0.0.1:{port}")


@pytest.mark.parametrize(
    ("check", "said"),
    [
        (Reply(b"<html>Welcome</html>"), "<html>Welcome</html>"),
        (Reply(b'{"ok": true}'), "names no model"),
        (Reply(b"[1]"), ""),
        (Reply(b'{"detail": "Not Found"}', 404), "Not Found"),
        (error(404, "models/x is not found for API version v1"), "models/x is not found"),
        (invalid_key("API key not valid. Please pass a valid API key."), "API key not valid"),
        (error(403, "blocked"), "blocked"),
        (Reply(reset=True), ""),
    ],
)
def test_what_is_not_the_api_or_has_not_the_model_is_said_before_anything_starts(store, check, said):
    with pytest.raises(UsageError) as caught:
        start(store, GeminiServer(check=check))
    assert said in str(caught.value)
    assert "http://127.0.0.1:" in str(caught.value)
    assert "expected a server that speaks the Gemini API and has this model" in str(caught.value)


def test_a_server_of_another_protocol(store):
    with pytest.raises(UsageError, match="expected a server that speaks the Gemini API"):
        start(store, OpenAIServer("hi"))


@pytest.mark.parametrize("check", [error(503, "busy"), error(500, "oops"), error(429, "slow")])
def test_a_server_that_is_busy_at_the_start_is_asked_later(store, check):
    (response,) = ask(store, GeminiServer("hi", check=check))
    assert response.text == "hi"


def test_the_key_comes_from_the_environment_alone(store, monkeypatch):
    monkeypatch.setenv("MY_KEY", "a-key-of-another-variable")
    server = GeminiServer(key="a-key-of-another-variable")
    ask(store, server, api_key_env="MY_KEY")
    assert server.calls[0].headers["x-goog-api-key"] == "a-key-of-another-variable"
    with pytest.raises(UsageError, match="api_key_env") as caught:
        model(api_key="AIza-on-the-command-line")
    assert "AIza-on-the" not in str(caught.value)


def test_a_key_of_google_is_shown_to_nobody_else(store, key, monkeypatch):
    monkeypatch.setenv("GOOGLE_API_KEY", key)  # the library would take it
    server = GeminiServer()
    ask(store, server)
    assert key not in str(server.calls[0].headers)


def test_settings_of_the_library_in_the_environment_change_nothing(store, monkeypatch, capfd):
    monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("GOOGLE_API_KEY", "g" * 20)
    monkeypatch.setenv("GEMINI_API_KEY", "h" * 20)
    server = GeminiServer("hi")
    (response,) = ask(store, server)
    assert response.text == "hi"
    assert "GOOGLE_API_KEY" not in capfd.readouterr().err


def test_a_missing_key_is_said_at_start(store):
    with pytest.raises(UsageError, match="the environment variable GEMINI_API_KEY is not set"):
        start(store)


def echo_key(status, form):
    def script(call):
        return Reply(form.replace("KEY", call.headers["x-goog-api-key"]).encode(), status)

    return script


@pytest.mark.parametrize("status", [200, 302, 400, 401, 429, 500])
def test_an_echoed_key_is_in_no_message(store, key, status):
    forms = (
        '{"error": {"message": "wrong header: KEY"}}',
        "<html>wrong header: KEY</html>",
        '{"error": {"message": "' + "x" * 280 + 'KEY"}}',
        '{"candidates": [{"content": {"parts": [{"text": {"a": "KEY"}}]}}]}',
        '{"candidates": [{"content": {"parts": [{"inlineData": {"data": "AA==", "mimeType": "KEY"}}]}}]}',
    )

    async def go():
        server = GeminiServer(lambda call: echo_key(status, forms[call.number])(call))
        async with server:
            asked = model(base_url=server.url, api_key_env="GEMINI_API_KEY")
            await asked.start(ModelContext(store=store))
            for _ in forms:
                with pytest.raises(ModelError) as caught:
                    await asked.generate(HELLO)
                assert key[:12] not in f"{caught.value} {caught.value!r} {caught.value.args}"
            await asked.stop()

    asyncio.run(go())


def test_a_key_does_not_follow_a_redirect(store, key):
    async def go():
        async with GeminiServer() as thief:
            target = f"{thief.url}/v1/models/x:generateContent"
            async with GeminiServer(Reply(b"", 307, {"Location": target})) as server:
                asked = model(base_url=server.url, api_key_env="GEMINI_API_KEY")
                await asked.start(ModelContext(store=store))
                with pytest.raises(BadRequest, match="not followed with the key"):
                    await asked.generate(HELLO)
                await asked.stop()
            return thief.calls

    assert asyncio.run(go()) == []


def test_no_secret_and_no_address_in_what_identifies_the_model(key):
    asked = model()
    assert asked.secrets() == (key,)
    kept = {name for name in GeminiOptions.__struct_fields__ if name not in asked.transport_options}
    assert not kept & {"base_url", "api_key", "api_key_env", "inline_bytes"}
    assert {"safety", "thinking_budget", "outputs", "voice", "api_version"} <= kept
    assert asked.identity() == {}


def test_placeholder_keys_are_no_secrets(monkeypatch):
    monkeypatch.setenv("GEMINI_API_KEY", "EMPTY")
    assert model().secrets() == ()


def test_options_are_checked_at_construction():
    with pytest.raises(UnknownName, match="option outputs: unknown modality 'smell'"):
        model(outputs="text,smell")
    with pytest.raises(UsageError, match="text, image and audio in its answers, no video"):
        model(outputs="video")
    with pytest.raises(UnknownName, match="option safety: unknown threshold 'block_nothing'"):
        model(safety="block_nothing")
    with pytest.raises(UsageError, match="exclude each other"):
        model(thinking_budget="1", thinking_level="low")
    with pytest.raises(UsageError, match="speaks the Gemini API"):
        model(base_url="localhost")
    capabilities = model(inputs="text", outputs="text,image", tools="false").capabilities()
    assert (capabilities.inputs, capabilities.outputs) == (("text",), ("text", "image"))
    assert not (capabilities.tools or capabilities.plain or capabilities.likelihood)


def test_the_version_of_the_api(store):
    server = GeminiServer()
    ask(store, server, api_version="v1alpha")
    assert server.calls[0].path.startswith("/v1alpha/models/")


def test_without_the_library_it_is_said_what_to_install(store, monkeypatch):
    monkeypatch.setitem(sys.modules, "google.genai", None)
    for name in [n for n in sys.modules if n.startswith("eval_anything.models.gemini.")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(MissingExtra, match=r"needs google.*: pip install 'eval-anything\[gemini\]'"):
        start(store, base_url="http://127.0.0.1:1")


def test_stop_without_start_and_after_a_failed_start(store):
    async def go():
        asked = model(base_url="http://127.0.0.1:1")
        with pytest.raises(UsageError):
            await asked.start(ModelContext(store=store))
        with pytest.raises(UsageError, match="before it was started"):
            await asked.generate(HELLO)
        await asked.stop()

    asyncio.run(go())


def test_listing_the_provider_does_not_import_the_library():
    code = (
        "import sys, eval_anything.models.gemini.provider;"
        "print([name for name in ('google.genai', 'aiohttp', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
