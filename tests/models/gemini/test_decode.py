import base64
import io
import wave

import numpy as np
import pytest
from gemini_lab import HELLO, ask
from servers.gemini_server import GeminiServer, generated
from servers.media_files import png, wav

from eval_anything.errors import GarbageReply
from eval_anything.media.store import ArtifactStore
from eval_anything.values import Audio, Image, Reasoning, Text, ToolCall


@pytest.fixture
def store(tmp_path):
    return ArtifactStore(tmp_path)


def decode(store, reply, **options):
    (response,) = ask(store, GeminiServer(lambda _: reply), **options)
    return response


def inline(mime, data):
    return {"inlineData": {"mimeType": mime, "data": base64.b64encode(data).decode()}}


def test_text_with_what_it_cost_and_who_gave_it(store):
    usage = {
        "promptTokenCount": 100,
        "cachedContentTokenCount": 60,
        "candidatesTokenCount": 20,
        "thoughtsTokenCount": 300,
        "totalTokenCount": 420,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": 30},
            {"modality": "AUDIO", "tokenCount": 70},
        ],
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 12}],
    }
    response = decode(store, generated("yes", usageMetadata=usage))
    assert (response.parts, response.state, response.finish_reason) == ((Text("yes"),), "ok", "STOP")
    assert (response.model, response.reply_id) == ("gemini-served-001", "reply-1")
    told = response.usage
    assert (told.input_tokens, told.input_cached_tokens) == (100, 60)
    assert (told.output_tokens, told.reasoning_tokens) == (320, 300)
    assert (told.input_audio_tokens, told.output_audio_tokens, told.output_image_tokens) == (70, 0, 12)


def test_pieces_of_one_text_are_one_text_and_thinking_is_apart(store):
    thought = [{"text": "let me ", "thought": True}, {"text": "see", "thought": True}]
    signed = {"text": "", "thoughtSignature": base64.b64encode(b"s").decode()}
    response = decode(store, generated(*thought, "he", "llo", signed))
    assert response.parts == (Reasoning("let me see"), Text("hello"))
    assert response.text == "hello"


def test_images_stand_where_they_were_between_the_words(store):
    response = decode(store, generated("see", inline("image/png", png()), "there"))
    assert [type(part) for part in response.parts] == [Text, Image, Text]
    artifact = response.parts[1].artifact
    assert store.read(artifact) == png()
    assert (artifact.lineage.source, artifact.lineage.name) == ("model", "gemini/gemini-2.5-pro")
    assert artifact.lineage.prompt == "hello"
    assert response.usage.images_out == 1


def test_raw_sound_becomes_a_wav_file_of_the_same_samples(store):
    samples = (8000 * np.sin(np.arange(4800) / 10)).astype("<i2")
    mime = "audio/L16;codec=pcm;rate=24000"
    response = decode(store, generated(inline(mime, samples.tobytes())), outputs="audio")
    (part,) = response.parts
    assert isinstance(part, Audio)
    assert (part.artifact.mime, part.artifact.sample_rate) == ("audio/wav", 24000)
    assert part.artifact.duration_s == pytest.approx(0.2)
    with wave.open(io.BytesIO(store.read(part.artifact))) as file:
        assert file.readframes(9999) == samples.tobytes()
    assert part.artifact.lineage.details == {"given_as": mime}
    assert response.notes == (f"audio in the reply: {mime} was kept as WAV",)
    assert response.usage.audio_s_out == pytest.approx(0.2)


def test_sound_in_a_file_format_is_kept_as_it_is(store):
    response = decode(store, generated(inline("audio/wav", wav())), outputs="audio")
    assert store.read(response.parts[0].artifact) == wav()
    assert response.notes == ()


def test_drafts_of_the_thinking_are_no_answer(store):
    draft = inline("image/png", png()) | {"thought": True}
    response = decode(store, generated(draft, inline("image/png", png(90))))
    assert [store.read(part.artifact) for part in response.parts] == [png(90)]
    assert response.notes == ("media of the thinking were left out",)


def test_tool_calls(store):
    calls = [
        {"functionCall": {"name": "draw", "args": {"prompt": "\u00e9", "n": 2}, "id": "a"}},
        {"functionCall": {"name": "stop"}},
    ]
    response = decode(store, generated("so:", *calls))
    assert response.parts == (
        Text("so:"),
        ToolCall("a", "draw", '{"prompt":"\u00e9","n":2}'),
        ToolCall("", "stop", "{}"),
    )


def rated(*blocked):
    return [
        {"category": f"HARM_CATEGORY_{name}", "probability": "HIGH", "blocked": name in blocked}
        for name in ("HARASSMENT", "DANGEROUS_CONTENT")
    ]


FINISHES = {
    "MAX_TOKENS": "truncated",
    **dict.fromkeys(("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII"), "refused"),
    **dict.fromkeys(("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "LANGUAGE"), "refused"),
    "MALFORMED_FUNCTION_CALL": "ok",
    "STOP": "ok",
}


@pytest.mark.parametrize("parts", [(), ("some",)])
def test_finish_reasons_are_states_also_without_any_part(store, parts):
    words = list(FINISHES)
    server = GeminiServer(lambda call: generated(*parts, finish=words[call.number]))
    responses = ask(store, server, *[HELLO] * len(words))
    assert {r.finish_reason: r.state for r in responses} == FINISHES
    assert {r.text for r in responses} == {"".join(parts)}


def test_a_blocked_answer_has_its_category(store):
    reply = generated(finish="SAFETY")
    reply["candidates"][0]["safetyRatings"] = rated("DANGEROUS_CONTENT")
    response = decode(store, reply)
    assert response.state == "refused"
    assert response.finish_reason == "SAFETY (HARM_CATEGORY_DANGEROUS_CONTENT)"


@pytest.mark.parametrize(
    ("feedback", "said"),
    [
        ({"blockReason": "PROHIBITED_CONTENT"}, "PROHIBITED_CONTENT, the prompt"),
        (
            {"blockReason": "SAFETY", "safetyRatings": rated("HARASSMENT")},
            "SAFETY, the prompt (HARM_CATEGORY_HARASSMENT)",
        ),
    ],
)
def test_a_blocked_prompt_is_refused_with_its_reason(store, feedback, said):
    usage = {"promptTokenCount": 4, "totalTokenCount": 4}
    response = decode(store, {"promptFeedback": feedback, "usageMetadata": usage, "modelVersion": "v"})
    assert (response.state, response.finish_reason, response.parts) == ("refused", said, ())
    assert (response.usage.input_tokens, response.model) == (4, "v")


def test_a_reason_that_is_newer_than_the_library(store):
    response = decode(store, generated("some", finish="SOLAR_FLARE"))
    assert (response.state, response.finish_reason) == ("ok", "SOLAR_FLARE")


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ({}, "neither an answer nor a reason"),
        ({"candidates": []}, "neither an answer nor a reason"),
        (generated(finish="OTHER"), "no answer in the reply .finish reason OTHER"),
        (generated(finish=None), "no answer in the reply .finish reason none"),
        (generated(inline("application/pdf", b"x")), "inline data of type 'application/pdf'"),
        (generated(inline("image/png", b"<html>")), "broken image"),
        (generated({"inlineData": {"mimeType": "image/png", "data": "a"}}), "not a reply of the Gemini API"),
        (generated(inline("audio/L16", b"\0\0")), "without its sample rate"),
        (generated(inline("audio/L16;rate=24000", b"\0\0\0")), "3 bytes, which are not whole samples"),
        (generated({"fileData": {"fileUri": "http://x/", "mimeType": "image/png"}}), "not read: file_data"),
        ({"candidates": "no"}, "no answer in the reply"),
        ({"candidates": [{"content": {"parts": 3}}]}, "not a reply of the Gemini API"),
    ],
)
def test_what_is_no_answer_is_garbage_and_says_where(store, reply, said):
    with pytest.raises(GarbageReply, match=rf"^http://127.0.0.1:\d+: .*{said}"):
        decode(store, reply)


def test_a_reply_without_usage_still_counts_its_media(store):
    reply = generated(inline("image/png", png()))
    del reply["usageMetadata"]
    (response,) = ask(store, GeminiServer(lambda _: reply), HELLO)
    assert (response.usage.images_out, response.usage.output_tokens) == (1, 0)
