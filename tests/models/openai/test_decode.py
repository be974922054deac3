import base64
import copy
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from servers.media_files import mp4, png, wav
from servers.openai_server import completion

from eval_anything.errors import GarbageReply, ModelError, RateLimited
from eval_anything.media.store import ArtifactStore
from eval_anything.models.openai.decode import Decoder
from eval_anything.values import (
    Audio,
    Image,
    Message,
    Params,
    Reasoning,
    Request,
    Response,
    Text,
    ToolCall,
    Video,
)

REQUEST = Request(messages=(Message("user", (Text("draw"),)),), params=Params(seed=4))


@pytest.fixture(scope="module")
def decoder(tmp_path_factory):
    return Decoder("openai/m", ArtifactStore(tmp_path_factory.mktemp("store")), ("sk-secret-key",))


def decode(decoder, reply):
    body = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
    return decoder.decode(body, REQUEST, "http://host/v1")


def b64(data):
    return base64.b64encode(data).decode()


def url(mime, data):
    return f"data:{mime};base64,{b64(data)}"


def rich():
    """A reply that uses every form at once."""
    reply = completion(
        [
            {"type": "text", "text": "<think>hm</think>\n\nhere"},
            {"type": "image_url", "image_url": {"url": url("image/png", png())}},
            {"type": "audio_url", "audio_url": {"url": url("audio/wav", wav())}},
            {"type": "video_url", "video_url": url("video/mp4", mp4())},
            {"type": "input_audio", "input_audio": {"data": b64(wav()), "format": "wav"}},
        ],
        reasoning_content="first",
        images=[{"type": "image_url", "index": 0, "image_url": {"url": url("image/png", png(9))}}],
        audio={"id": "a", "data": b64(wav()), "transcript": "ding", "expires_at": 1},
        tool_calls=[{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{"}}],
        refusal=None,
    )
    reply["usage"]["completion_tokens_details"] = {"reasoning_tokens": 2}
    reply["usage"]["cost"] = 0.25
    return reply


def test_plain_text(decoder):
    response = decode(decoder, completion("hello"))
    assert response.parts == (Text("hello"),)
    assert (response.state, response.finish_reason, response.model) == ("ok", "stop", "served-model")
    usage = response.usage
    assert (usage.requests, usage.input_tokens, usage.output_tokens, usage.cost_usd) == (1, 7, 3, None)


def test_every_form_at_once_in_order(decoder):
    response = decode(decoder, rich())
    kinds = [type(part) for part in response.parts]
    assert kinds == [Reasoning, Reasoning, Text, Image, Audio, Video, Audio, Image, Audio, ToolCall]
    assert response.text == "here"
    assert response.parts[8].transcript == "ding"
    assert response.parts[9] == ToolCall("c", "f", "{")
    lineage = response.parts[3].artifact.lineage
    assert (lineage.source, lineage.name, lineage.prompt, lineage.seed) == ("model", "openai/m", "draw", 4)
    usage = response.usage
    assert (usage.images_out, usage.reasoning_tokens, usage.cost_usd) == (2, 2, 0.25)
    assert usage.audio_s_out == pytest.approx(0.6)
    assert usage.video_s_out == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("content", "finish_reason", "parts", "state"),
    [
        ("<think>a</think>b", "stop", (Reasoning("a"), Text("b")), "ok"),
        ("  <think>\na\n</think>\n\nb\n", "stop", (Reasoning("a"), Text("b")), "ok"),
        ("<think>never ends", "length", (Reasoning("never ends"),), "truncated"),
        ("<think></think>b", "stop", (Text("b"),), "ok"),
        ("b <think>c</think>", "stop", (Text("b <think>c</think>"),), "ok"),
        ("cut of", "length", (Text("cut of"),), "truncated"),
        ("no", "content_filter", (Text("no"),), "refused"),
        (None, "content_filter", (), "refused"),
        (None, "stop", (), "ok"),
        ("", None, (), "ok"),
        ([], "stop", (), "ok"),
    ],
)
def test_text_and_states(decoder, content, finish_reason, parts, state):
    response = decode(decoder, completion(content, finish_reason))
    assert (response.parts, response.state) == (parts, state)


def test_kinds_of_tokens_and_the_build_are_kept(decoder):
    reply = completion("yes") | {"system_fingerprint": "fp_1"}
    reply["usage"] = {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": 20, "else": None},
        "completion_tokens_details": {"audio_tokens": 30, "reasoning_tokens": None},
    }
    response = decode(decoder, reply)
    usage = response.usage
    assert (usage.input_cached_tokens, usage.input_audio_tokens, usage.output_audio_tokens) == (64, 20, 30)
    assert (response.model, response.system_fingerprint) == ("served-model", "fp_1")
    assert decode(decoder, completion("yes")).system_fingerprint == ""


def test_reasoning_fields_and_refusals(decoder):
    assert decode(decoder, completion("x", reasoning="r")).parts == (Reasoning("r"), Text("x"))
    assert decode(decoder, completion("x", reasoning_content="r", reasoning="r")).parts[0] == Reasoning("r")
    refused = decode(decoder, completion(None, refusal="I cannot."))
    assert (refused.state, refused.parts) == ("refused", (Text("I cannot."),))
    listed = decode(decoder, completion([{"type": "refusal", "refusal": "No."}]))
    assert (listed.state, listed.parts) == ("refused", (Text("No."),))


def without(reply, *path):
    whole = copy.deepcopy(reply)
    inner = whole
    for step in path[:-1]:
        inner = inner[step]
    del inner[path[-1]]
    return whole


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (b"<html><body>Bad Gateway</body></html>", "not a chat completion.*<html>"),
        (b"", "not a chat completion"),
        (b'{"choices": [{"mess', "not a chat completion"),
        (b"[" * 100_000, "not a chat completion"),
        (b'{"skipped": ' + b"[" * 100_000, "not a chat completion"),
        (b"\xff\xfe", "not a chat completion"),
        (b'"text"', "not a chat completion"),
        (b'{"choices": [{"message": {"content": "\\ud800"}}]}', "not a chat completion"),
        ({"choices": None}, "no choices"),
        ({"choices": []}, "no choices"),
        ({}, "no choices"),
        ({"error": {"message": "upstream died"}}, "an error under status 200.*upstream died"),
        (without(completion("x"), "choices", 0, "message"), "missing required field `message`"),
        (completion(3), r"\$.choices\[0\].message.content"),
        (completion("x") | {"usage": {"prompt_tokens": -1}}, "prompt_tokens"),
        (completion([{"type": "hologram"}]), "type 'hologram'"),
        (completion([{"type": "image_url"}]), "type 'image_url'"),
        (
            completion([{"type": "image_url", "image_url": "http://u:p@evil/x?k=1"}]),
            r"not fetched \(http://evil/x\)",
        ),
        (completion([{"type": "image_url", "image_url": "data:image/svg+xml,<svg/>"}]), "not base64"),
        (completion([{"type": "image_url", "image_url": "data:image/png;base64,@@@@"}]), "base64 is broken"),
        (
            completion([{"type": "image_url", "image_url": "data:image/png;base64,\u00e9"}]),
            "base64 is broken",
        ),
        (completion([{"type": "image_url", "image_url": url("image/png", png()[:50])}]), "broken image"),
        (
            completion([{"type": "image_url", "image_url": url("image/png", b"<html></html>")}]),
            "broken image.*HTML",
        ),
        (completion([{"type": "video_url", "video_url": url("video/mp4", mp4()[:300])}]), "broken video"),
        (completion(None, audio={"data": b64(png())}), "broken audio"),
        (completion(None, audio={"transcript": "x"}), "audio without data"),
    ],
)
def test_garbage_is_named(decoder, reply, said):
    with pytest.raises(GarbageReply, match=said) as caught:
        decode(decoder, reply)
    line = str(caught.value)
    assert line.startswith("http://host/v1: ")
    assert line.isprintable()
    assert len(line) < 700


def test_an_error_under_200_keeps_its_class_and_no_key(decoder):
    with pytest.raises(RateLimited) as caught:
        decode(decoder, {"error": {"code": 429, "message": "slow down, sk-secret-key"}})
    assert "slow down, [key]" in str(caught.value)
    with pytest.raises(GarbageReply) as caught:
        decode(decoder, b"oops sk-secret-key")
    assert "sk-secret" not in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def places(node, path=()):
    yield path
    steps = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for step, inner in steps:
        yield from places(inner, (*path, step))


def replaced(node, path, value):
    if not path:
        return value
    whole = copy.copy(node)
    whole[path[0]] = replaced(node[path[0]], path[1:], value)
    return whole


RICH = rich()
PLACES = list(places(RICH))


def answers_or_says_why(decoder, body):
    try:
        assert isinstance(decoder.decode(body, REQUEST, "http://host/v1"), Response)
    except ModelError as fault:
        assert str(fault).isprintable()


QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@QUICK
@given(place=st.sampled_from(PLACES), value=JSON)
def test_a_reply_with_one_wrong_value_never_breaks_the_decoder(decoder, place, value):
    answers_or_says_why(decoder, json.dumps(replaced(RICH, place, value)).encode())


@QUICK
@given(data=st.data())
def test_a_reply_with_wrong_bytes_never_breaks_the_decoder(decoder, data):
    body = bytearray(json.dumps(RICH).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    answers_or_says_why(decoder, bytes(body[: data.draw(st.integers(0, len(body)))]))


@QUICK
@given(st.binary(max_size=200))
def test_random_bytes_never_break_the_decoder(decoder, body):
    answers_or_says_why(decoder, body)
