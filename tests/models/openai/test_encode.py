import base64
import json

import pytest
from servers.media_files import flac, mp4, png, wav

from eval_anything.errors import BadRequest
from eval_anything.media.store import ArtifactStore
from eval_anything.models.openai.encode import Dialect, encode_request, media_bytes
from eval_anything.models.openai.media import MediaEncoder
from eval_anything.values import (
    Audio,
    File,
    Image,
    Message,
    Params,
    Reasoning,
    Request,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    Video,
)

DIALECT = Dialect(model="org/m")


@pytest.fixture
def store(tmp_path):
    return ArtifactStore(tmp_path)


def encode(store, *messages, dialect=DIALECT, **fields):
    body = encode_request(Request(messages=messages, **fields), dialect, MediaEncoder(store))
    return json.loads(body.data), body.notes


def test_plain_text_is_plain(store):
    body, notes = encode(
        store, Message("system", (Text("Be brief."),)), Message("user", (Text('"q" \u00e9 \U0001f600'),))
    )
    assert body == {
        "model": "org/m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": '"q" \u00e9 \U0001f600'},
        ],
    }
    assert notes == ()


def test_media_keep_their_place_among_the_text(store):
    parts = (
        Text("a"),
        Image(store.add_bytes(png(), "image")),
        Audio(store.add_bytes(wav(), "audio")),
        Video(store.add_bytes(mp4(), "video")),
        Text("b"),
    )
    body, _ = encode(store, Message("user", parts))
    content = body["messages"][0]["content"]
    assert content == [
        {"type": "text", "text": "a"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64," + b64(png())}},
        {"type": "input_audio", "input_audio": {"data": b64(wav()), "format": "wav"}},
        {"type": "video_url", "video_url": {"url": "data:video/mp4;base64," + b64(mp4())}},
        {"type": "text", "text": "b"},
    ]
    request = Request(messages=(Message("user", (*parts, ToolResult("1", (parts[1],)))),))
    assert media_bytes(request) == 2 * len(png()) + len(wav()) + len(mp4())


def b64(data):
    return base64.b64encode(data).decode()


def test_params_are_sent_only_where_set(store):
    hello = Message("user", (Text("x"),))
    body, _ = encode(
        store,
        hello,
        params=Params(temperature=0.0, max_tokens=5, stop=("a",), seed=3, extra={"min_p": 0.1}),
        draw=2,
    )
    assert {k: v for k, v in body.items() if k not in ("model", "messages")} == {
        "temperature": 0.0,
        "max_tokens": 5,
        "stop": ["a"],
        "seed": 5,
        "min_p": 0.1,
    }
    own = Dialect(model="m", max_tokens_field="max_completion_tokens")
    body, _ = encode(store, hello, params=Params(top_p=0.5, top_k=4, max_tokens=5), dialect=own)
    assert set(body) == {"model", "messages", "top_p", "top_k", "max_completion_tokens"}


def test_extra_fields_win(store):
    body, _ = encode(store, Message("user", ()), params=Params(temperature=1.0, extra={"temperature": 0.5}))
    assert body["temperature"] == 0.5


def test_output_modalities(store):
    hello = Message("user", (Text("x"),))
    body, _ = encode(store, hello, output_modalities=("audio",))
    assert body["modalities"] == ["text", "audio"]
    assert body["audio"] == {"voice": "alloy", "format": "wav"}
    body, _ = encode(store, hello, output_modalities=("text", "image"))
    assert body["modalities"] == ["text", "image"]
    assert "audio" not in body
    assert "modalities" not in encode(store, hello)[0]


def test_tools_calls_and_results(store):
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    image = Image(store.add_bytes(png(), "image"))
    body, notes = encode(
        store,
        Message("user", (Text("draw"),)),
        Message(
            "assistant",
            (Reasoning("hm"), Text("ok"), ToolCall("1", "draw", '{"n": 1'), ToolCall("2", "f", "{}")),
        ),
        Message("tool", (ToolResult("1", (image,)),)),
        Message("tool", (ToolResult("2", (Text("partly"),), error="no paint"),)),
        Message("user", (Text("and?"),)),
        tools=(Tool(name="draw", description="draws", parameters=schema),),
    )
    assert body["tools"] == [
        {"type": "function", "function": {"name": "draw", "description": "draws", "parameters": schema}}
    ]
    roles = [message["role"] for message in body["messages"]]
    # The media come after both results: nothing may stand between a call and its result.
    assert roles == ["user", "assistant", "tool", "tool", "user", "user"]
    assistant, first, second, media = body["messages"][1:5]
    assert assistant["content"] == "ok"
    assert assistant["tool_calls"][0] == {
        "id": "1",
        "type": "function",
        "function": {"name": "draw", "arguments": '{"n": 1'},
    }
    assert first == {"role": "tool", "tool_call_id": "1", "content": "The media follow."}
    assert second == {"role": "tool", "tool_call_id": "2", "content": "Error: no paint\npartly"}
    assert [item["type"] for item in media["content"]] == ["text", "image_url"]
    assert "tool call 1" in media["content"][0]["text"]
    assert notes == ("media of a tool result were sent in a user message",)


def test_reasoning_is_not_sent_back_and_own_media_follow(store):
    image = Image(store.add_bytes(png(), "image"))
    body, notes = encode(
        store,
        Message("assistant", (Reasoning("secret thought"), image)),
        Message("user", (Text("x"), Reasoning("r"))),
    )
    assert "secret thought" not in json.dumps(body)
    assert [message["role"] for message in body["messages"]] == ["assistant", "user", "user"]
    assert body["messages"][2]["content"] == [{"type": "text", "text": "x"}]
    assert notes == ("media of an assistant message were sent in a user message",)


def test_a_conversion_is_noted_once(store):
    sound = Audio(store.add_bytes(flac(), "audio"))
    _, notes = encode(store, Message("user", (sound, sound)))
    assert len(notes) == 1
    assert "audio/flac" in notes[0]


@pytest.mark.parametrize(
    "message",
    [
        Message("user", (File("/x.png", "image"),)),
        Message("user", (ToolResult("1"),)),
        Message("tool", (Text("x"),)),
        Message("assistant", (ToolResult("1"),)),
    ],
)
def test_what_has_no_form_is_refused_by_name(store, message):
    kind = type(message.parts[0]).__name__
    with pytest.raises(BadRequest, match=f"no form for a {kind} part in a {message.role} message"):
        encode(store, message)
