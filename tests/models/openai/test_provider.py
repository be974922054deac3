import asyncio
import base64
import json
import subprocess
import sys
import time

import pytest
from servers.media_files import png, wav
from servers.openai_server import OpenAIServer, Reply, completion, error

from eval_anything import options
from eval_anything.errors import (
    BadRequest,
    Forbidden,
    GarbageReply,
    ModelError,
    RateLimited,
    ServerFault,
    TransportFault,
    UnknownName,
    UsageError,
)
from eval_anything.media.store import ArtifactStore
from eval_anything.models.base import ModelContext
from eval_anything.models.openai.provider import OpenAIModel, OpenAIOptions
from eval_anything.values import Audio, Image, Message, Params, Request, Text

KEY = "sk-proj-0123456789abcdefghij"
HELLO = Request(messages=(Message("user", (Text("hello"),)),), params=Params(max_tokens=9))


@pytest.fixture
def store(tmp_path):
    return ArtifactStore(tmp_path)


@pytest.fixture
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    return KEY


def model(name="org/m", **given):
    given.setdefault("api_key_env", "OPENAI_API_KEY")
    return OpenAIModel(name, options.parse(OpenAIOptions, given, f"model openai/{name}"))


def ask(store, script, request=HELLO, *, timeout_s=10.0, **given):
    """The response and the calls that the server saw."""

    async def go():
        async with OpenAIServer(script) as server:
            asked = model(base_url=given.pop("base_url", server.url), **given)
            await asked.start(ModelContext(store=store, timeout_s=timeout_s))
            try:
                return await asked.generate(request), server.calls
            finally:
                await asked.stop()

    return asyncio.run(go())


def test_a_question_is_answered(store):
    response, (call,) = ask(store, "hi")
    assert response.text == "hi"
    assert 0 < response.seconds < 5
    assert call.body == {
        "model": "org/m",
        "messages": [{"role": "user", "content": "hello"}],
        "max_tokens": 9,
    }


def test_any_to_any_over_the_wire(store):
    image = store.add_bytes(png(), "image")
    request = Request(
        messages=(Message("user", (Text("say it"), Image(image))),), output_modalities=("text", "audio")
    )

    def script(call):
        sent = call.body["messages"][0]["content"][1]["image_url"]["url"]
        assert base64.b64decode(sent.partition(",")[2]) == png()
        assert call.body["modalities"] == ["text", "audio"]
        return completion("said", audio={"data": base64.b64encode(wav()).decode(), "transcript": "ding"})

    response, _ = ask(store, script, request, voice="ash", audio_format="wav")
    assert [type(part) for part in response.parts] == [Text, Audio]
    assert store.read(response.parts[1].artifact) == wav()


def test_a_large_reply_and_a_large_request_come_through(store):
    import numpy as np
    from PIL import Image as PILImage

    from eval_anything.media.convert import write_png

    noise = np.random.default_rng(0).integers(0, 256, (600, 600, 3), dtype=np.uint8)
    data = write_png(PILImage.fromarray(noise))
    assert len(data) > 1_000_000
    image = Image(store.add_bytes(data, "image"))
    request = Request(messages=(Message("user", (image,)),), output_modalities=("image",))

    def script(call):
        return completion(None, images=[call.body["messages"][0]["content"][0]])

    response, _ = ask(store, script, request)
    assert response.parts[0].artifact.sha256 == image.artifact.sha256


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (error(400, "bad"), BadRequest),
        (error(401, "who"), Forbidden),
        (error(403, "no"), Forbidden),
        (error(429, "slow", Retry_After="7"), RateLimited),
        (error(503, "busy"), RateLimited),
        (error(500, "oops"), ServerFault),
        (Reply(b"", 302, {"Location": "http://elsewhere/"}), BadRequest),
        (Reply(b"", 204), GarbageReply),
        (Reply(b"<html>hello</html>"), GarbageReply),
        (Reply(reset=True), TransportFault),
        (Reply(json.dumps(completion("x")).encode(), cut=20), TransportFault),
    ],
)
def test_failures_have_their_class(store, reply, kind):
    with pytest.raises(ModelError) as caught:
        ask(store, reply)
    assert type(caught.value) is kind
    if isinstance(caught.value, RateLimited) and reply.headers:
        assert caught.value.retry_after == 7


def test_the_timeout_is_the_contexts(store):
    with pytest.raises(TransportFault, match="no whole reply within"):
        ask(store, Reply(b"{}", delay_s=30), timeout_s=0.2)


def echo_authorization(status, form):
    def script(call):
        return Reply(form.replace("AUTH", call.authorization).encode(), status)

    return script


@pytest.mark.parametrize("status", [200, 302, 400, 401, 404, 429, 500, 503])
@pytest.mark.parametrize(
    "form",
    [
        '{"error": {"message": "wrong header: AUTH"}}',
        "<html>wrong header: AUTH</html>",
        '{"error": {"message": "' + "x" * 280 + 'AUTH"}}',
        '{"choices": [{"message": {"content": [{"type": "AUTH"}]}}]}',
        '{"choices": [{"message": {"content": [{"type": "image_url", "image_url": "http://x/AUTH"}]}}]}',
    ],
)
def test_an_echoed_key_is_in_no_message(store, key, status, form):
    with pytest.raises(ModelError) as caught:
        ask(store, echo_authorization(status, form))
    said = f"{caught.value} {caught.value!r} {caught.value.args}"
    assert key[:12] not in said


def test_a_key_in_a_redirect_target_is_not_shown(store, key):
    with pytest.raises(BadRequest) as caught:
        ask(store, lambda call: Reply(b"", 307, {"Location": f"http://evil/{call.authorization[7:]}"}))
    assert key[:12] not in str(caught.value)


def test_a_password_in_the_url_is_sent_and_never_shown(store, key):
    async def go():
        async with OpenAIServer(echo_authorization(401, "AUTH hunter22")) as server:
            asked = model(base_url=server.url.replace("//", "//me:hunter22@"))
            await asked.start(ModelContext(store=store))
            with pytest.raises(Forbidden) as caught:
                await asked.generate(HELLO)
            await asked.stop()
            return asked, str(caught.value), server.calls[0].authorization

    asked, line, authorization = asyncio.run(go())
    token = base64.b64encode(b"me:hunter22").decode()
    assert authorization == f"Basic {token}"
    assert "hunter22" not in line
    assert token not in line
    assert {token, "hunter22", key} <= set(asked.secrets())


def test_keys_come_from_the_environment_alone(monkeypatch, store):
    monkeypatch.setenv("MY_KEY", "sk-of-another-variable")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    _, (call,) = ask(store, "x", api_key_env="MY_KEY")
    assert call.authorization == "Bearer sk-of-another-variable"
    _, (call,) = ask(store, "x")
    assert "Authorization" not in call.headers
    with pytest.raises(UsageError, match=r"api_key_env") as caught:
        model(api_key="sk-on-the-command-line")
    assert "sk-on-the" not in str(caught.value)


def test_a_key_for_openai_is_shown_to_nobody_else(key, store):
    _, (call,) = ask(store, "x", api_key_env=None)
    assert "Authorization" not in call.headers
    _, (call,) = ask(store, "x")
    assert call.authorization == f"Bearer {key}"


def test_a_missing_key_is_said_at_start(monkeypatch, store):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(UsageError, match="OPENAI_API_KEY"):
        asyncio.run(model().start(ModelContext(store=store)))


def test_placeholder_keys_are_no_secrets(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "EMPTY")
    assert model(base_url="http://localhost:1/v1").secrets() == ()


def test_no_secret_and_no_address_in_what_identifies_the_model(key):
    asked = model(base_url="http://me:hunter22@localhost:1/v1")
    kept = {name for name in OpenAIOptions.__struct_fields__ if name not in asked.transport_options}
    assert not kept & {"base_url", "api_key", "api_key_env"}
    assert asked.identity() == {}


def test_token_limit_is_called_as_the_server_calls_it(store):
    assert model()._dialect.max_tokens_field == "max_completion_tokens"
    _, (call,) = ask(store, "x", max_tokens_field="max_completion_tokens")
    assert call.body["max_completion_tokens"] == 9


def test_options_are_checked_at_construction():
    with pytest.raises(UnknownName, match="option outputs: unknown modality 'smell'"):
        model(outputs="text,smell")
    with pytest.raises(UsageError, match="OpenAI-compatible"):
        model(base_url="localhost")
    assert model(inputs="text", tools="false").capabilities().tools is False


def test_stop_without_start_and_after_a_failed_start(store):
    async def go():
        asked = model(base_url="http://127.0.0.1:1/v1")
        with pytest.raises(UsageError):
            await asked.start(ModelContext(store=store))
        with pytest.raises(UsageError, match="before it was started"):
            await asked.generate(HELLO)
        await asked.stop()

    asyncio.run(go())


def test_one_request_costs_little_cpu(store):
    async def go():
        asked = model(base_url=(await server.stdout.readline()).decode().strip())
        await asked.start(ModelContext(store=store))
        await asyncio.gather(*(asked.generate(HELLO) for _ in range(20)))
        started = time.process_time()
        for _ in range(20):
            await asyncio.gather(*(asked.generate(HELLO) for _ in range(20)))
        spent = time.process_time() - started
        await asked.stop()
        return spent / 400

    async def served():
        nonlocal server
        server = await asyncio.create_subprocess_exec(
            sys.executable, openai_server_file(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        try:
            return await go()
        finally:
            server.stdin.close()
            await server.wait()

    server = None
    assert asyncio.run(served()) < 1.2e-3


def openai_server_file():
    import servers.openai_server

    return servers.openai_server.__file__


def test_listing_the_provider_does_not_import_aiohttp():
    code = "import sys, eval_anything.models.openai.provider; print('aiohttp' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
