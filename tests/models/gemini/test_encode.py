import base64
import json

import pytest
from gemini_lab import ask, sent
from servers.gemini_server import GeminiServer, generated
from servers.media_files import flac, mp3, mp4, png, wav

from eval_anything.errors import BadRequest, MediaError
from eval_anything.media.store import ArtifactStore
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

DRAW = Tool(
    name="draw",
    description="Draws.",
    parameters={
        "type": "object",
        "properties": {"the_prompt": {"type": "string"}},
        "required": ["the_prompt"],
    },
)


@pytest.fixture
def store(tmp_path):
    return ArtifactStore(tmp_path)


def encode(store, *messages, options=None, **fields):
    """The body that a server gets, and the response."""
    server = GeminiServer()
    (response,) = ask(store, server, Request(messages=messages, **fields), **(options or {}))
    return sent(server), response


def inline(mime, data):
    return {"inlineData": {"mimeType": mime, "data": base64.urlsafe_b64encode(data).decode()}}


def test_text_and_system_instruction(store):
    body, response = encode(
        store,
        Message("system", (Text("Be brief."),)),
        Message("user", (Text('"q" \u00e9 \U0001f600'),)),
        Message("assistant", (Reasoning("hm"), Text("a"))),
        Message("user", (Text("more"),)),
    )
    assert body == {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {"role": "user", "parts": [{"text": '"q" \u00e9 \U0001f600'}]},
            {"role": "model", "parts": [{"text": "a"}]},
            {"role": "user", "parts": [{"text": "more"}]},
        ],
        "generationConfig": {},
    }
    assert response.notes == ()


def test_media_keep_their_place_among_the_text(store):
    parts = (
        Text("a"),
        Image(store.add_bytes(png(), "image")),
        Audio(store.add_bytes(wav(), "audio")),
        Audio(store.add_bytes(mp3(), "audio")),
        Audio(store.add_bytes(flac(), "audio")),
        Video(store.add_bytes(mp4(), "video")),
        Text("b"),
    )
    body, response = encode(store, Message("user", parts))
    assert body["contents"][0]["parts"] == [
        {"text": "a"},
        inline("image/png", png()),
        inline("audio/wav", wav()),
        inline("audio/mp3", mp3()),
        inline("audio/flac", flac()),
        inline("video/mp4", mp4()),
        {"text": "b"},
    ]
    assert response.usage.images_in == 1
    assert response.usage.audio_s_in == pytest.approx(0.9, abs=0.1)
    assert response.notes == ()


def test_types_that_the_api_does_not_take_are_converted_and_said(store):
    import io

    from PIL import Image as PILImage

    target = io.BytesIO()
    PILImage.new("RGB", (9, 5), (10, 200, 30)).save(target, "GIF")
    body, response = encode(
        store, Message("user", (Image(store.add_bytes(target.getvalue(), "image")), Text("?")))
    )
    data = body["contents"][0]["parts"][0]["inlineData"]
    assert data["mimeType"] == "image/png"
    with PILImage.open(io.BytesIO(base64.urlsafe_b64decode(data["data"]))) as image:
        assert (image.format, image.size) == ("PNG", (9, 5))
    assert "image/gif was sent as PNG" in response.notes[0]


def test_a_damaged_file_costs_the_sample(store):
    image = Image(store.add_bytes(png(), "image"))
    store.path(image.artifact).chmod(0o600)
    store.path(image.artifact).write_bytes(b"x" * len(png()))
    with pytest.raises(MediaError, match="damaged"):
        encode(store, Message("user", (image,)))


def test_parameters_are_sent_only_where_set(store):
    params = Params(
        temperature=0.5,
        top_p=0.25,
        top_k=4,
        max_tokens=9,
        stop=("END",),
        seed=2**31 - 1,
        extra={"generationConfig": {"mediaResolution": "MEDIA_RESOLUTION_LOW"}, "labels": {"a": "b"}},
    )
    body, _ = encode(store, Message("user", (Text("x"),)), params=params, draw=2)
    assert body["generationConfig"] == {
        "temperature": 0.5,
        "topP": 0.25,
        "topK": 4,
        "maxOutputTokens": 9,
        "stopSequences": ["END"],
        "seed": 1,  # 31 bits are what it takes
        "mediaResolution": "MEDIA_RESOLUTION_LOW",
    }
    assert body["labels"] == {"a": "b"}


def test_thinking_and_safety(store):
    options = {"thinking_budget": "128", "include_thoughts": "true", "safety": "harassment=off"}
    body, _ = encode(store, Message("user", (Text("x"),)), options=options)
    assert body["generationConfig"]["thinkingConfig"] == {"thinkingBudget": 128, "includeThoughts": True}
    assert body["safetySettings"] == [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}]
    body, _ = encode(store, Message("user", (Text("x"),)), options={"thinking_level": "low"})
    assert body["generationConfig"]["thinkingConfig"] == {"thinkingLevel": "LOW"}


@pytest.mark.parametrize(
    ("outputs", "asked", "told"),
    [
        ("text", ("text",), None),
        ("text,image", ("text",), ["TEXT"]),
        ("text,image", ("image",), ["TEXT", "IMAGE"]),
        ("image", ("image",), ["IMAGE"]),
        ("audio", ("audio",), ["AUDIO"]),
        ("text,image,audio", ("text", "image"), ["TEXT", "IMAGE"]),
    ],
)
def test_modalities_of_the_answer(store, outputs, asked, told):
    options = {"outputs": outputs, "voice": "Kore"}
    body, _ = encode(store, Message("user", (Text("x"),)), output_modalities=asked, options=options)
    config = body["generationConfig"]
    assert config.get("responseModalities") == told
    voice = {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}}
    assert config.get("speechConfig") == (voice if asked == ("audio",) else None)


def test_tools_calls_and_results(store):
    image = Image(store.add_bytes(png(), "image"))
    body, response = encode(
        store,
        Message("user", (Text("draw two"),)),
        Message("assistant", (ToolCall("1", "draw", '{"the_prompt": "a"}'), ToolCall("2", "draw", ""))),
        Message("tool", (ToolResult("1", (Text("done"), image)),)),
        Message("tool", (ToolResult("2", error="no prompt", wrong=True),)),
        tools=(DRAW,),
    )
    assert body["tools"] == [
        {
            "functionDeclarations": [
                {"name": "draw", "description": "Draws.", "parametersJsonSchema": DRAW.parameters}
            ]
        }
    ]
    assert body["contents"][1:] == [
        {
            "role": "model",
            "parts": [
                {"functionCall": {"id": "1", "name": "draw", "args": {"the_prompt": "a"}}},
                {"functionCall": {"id": "2", "name": "draw", "args": {}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "1", "name": "draw", "response": {"output": "done"}}},
                {
                    "functionResponse": {
                        "id": "2",
                        "name": "draw",
                        "response": {"error": "no prompt", "output": ""},
                    }
                },
                {"text": "Media of the result of tool call 1:"},
                inline("image/png", png()),
            ],
        },
    ]
    assert response.notes == ("media of a tool result were sent after it",)


def test_the_signature_of_a_thought_goes_back_with_its_call(store):
    """Agents give calls ids of their own, and put them after the text: it is found all the same."""
    call = {"name": "draw", "args": {"the_prompt": "a"}, "id": "server-7"}
    signed = {"functionCall": call, "thoughtSignature": base64.b64encode(b"thought").decode()}
    asked = Request(messages=(Message("user", (Text("draw"),)),), tools=(DRAW,))
    turn = Message("assistant", (Text("ok"), ToolCall("call_1", "draw", '{"the_prompt":"a"}')))
    answered = Request(
        messages=(*asked.messages, turn, Message("tool", (ToolResult("call_1", (Text("done"),)),))),
        tools=(DRAW,),
    )
    server = GeminiServer(lambda c: generated(signed, "ok") if c.number == 0 else "fine")
    first, second = ask(store, server, asked, answered, name="gemini-3-pro")
    assert first.parts[0] == ToolCall("server-7", "draw", '{"the_prompt":"a"}')
    assert second.text == "fine"
    parts = sent(server)["contents"][1]["parts"]
    assert base64.urlsafe_b64decode(parts[1]["thoughtSignature"]) == b"thought"


@pytest.mark.parametrize(
    ("name", "signature"),
    [("gemini-3-pro-preview", "skip_thought_signature_validator"), ("gemini-2.5-pro", None)],
)
def test_a_lost_signature_is_said_to_be_lost(store, name, signature):
    """As after a reply from the cache. Models before the third have none to lose."""
    body, _ = encode(
        store,
        Message("user", (Text("draw"),)),
        Message("assistant", (ToolCall("1", "draw", "{}"), ToolCall("2", "draw", "{}"))),
        Message("tool", (ToolResult("1"), ToolResult("2"))),
        options={"name": name},
    )
    first, second = body["contents"][1]["parts"]
    assert first.get("thoughtSignature") == signature
    assert "thoughtSignature" not in second


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ((Message("user", (File("/x.png", "image"),)),), "no form for a File part in a user message"),
        ((Message("system", (ToolCall("1", "f", "{}"),)),), "ToolCall part in a system message"),
        ((Message("user", (ToolCall("1", "f", "{}"),)),), "ToolCall part in a user message"),
        ((Message("tool", (Text("x"),)),), "Text part in a tool message"),
        ((Message("tool", (ToolResult("9"),)),), "a tool call that is not there: '9'"),
        ((Message("assistant", (ToolCall("1", "f", "[1]"),)),), "call of f are not a JSON object"),
        ((Message("assistant", (ToolCall("1", "f", "{"),)),), "call of f are not a JSON object"),
    ],
)
def test_what_has_no_form_is_a_bad_request(store, messages, said):
    with pytest.raises(BadRequest, match=said):
        encode(store, *messages)


def test_media_in_a_system_message_have_no_form(store):
    with pytest.raises(BadRequest, match="Image part in a system message"):
        encode(store, Message("system", (Image(store.add_bytes(png(), "image")),)))


def test_the_body_is_json_whatever_the_text(store):
    odd = "\u2028 \x00 \ud7ff </script>"
    body, _ = encode(store, Message("user", (Text(odd),)))
    assert json.loads(json.dumps(body))["contents"][0]["parts"][0]["text"] == odd
