"""The media routes of OpenAI-compatible servers, on a real socket."""

import asyncio
import base64
import json
import struct

import numpy as np
import PIL.Image
import pytest
from servers.openai_server import OpenAIServer, Reply, error

from eval_anything.agents.media.openai_routes import (
    ImagesModel,
    ImagesOptions,
    SpeechModel,
    SpeechOptions,
    VideosModel,
    VideosOptions,
)
from eval_anything.errors import BadRequest, Forbidden, GarbageReply, ModelError, RateLimited, UsageError
from eval_anything.media.convert import write_mp4, write_png, write_wav
from eval_anything.media.store import ArtifactStore
from eval_anything.models.base import ModelContext
from eval_anything.values import Message, Params, Request, Text

PNG = write_png(PIL.Image.new("RGB", (8, 6), "red"))
WAV = write_wav(np.sin(np.arange(1600) / 9).astype(np.float32), 16000)
MP4 = write_mp4([np.zeros((16, 16, 3), np.uint8)] * 4, 4)
KINDS = {
    "image": (ImagesModel, ImagesOptions),
    "audio": (SpeechModel, SpeechOptions),
    "video": (VideosModel, VideosOptions),
}


def ask(tmp_path, modality, script, *, seed=None, draw=0, name="some-model", calls=None, **options):
    request = Request(
        messages=(Message("user", (Text("a red circle"),)),),
        output_modalities=(modality,),
        params=Params(seed=seed),
        draw=draw,
    )

    async def go():
        async with OpenAIServer(script, gets=True) as server:
            model_class, options_class = KINDS[modality]
            model = model_class(name, options_class(base_url=server.url, **options))
            await model.start(ModelContext(store=ArtifactStore(tmp_path), timeout_s=20))
            try:
                return await model.generate(request)
            finally:
                await model.stop()
                if calls is not None:
                    calls.extend(server.calls)

    return asyncio.run(go())


def images(*items):
    return {"created": 1, "data": list(items)}


def image(data=PNG, **more):
    return {"b64_json": base64.b64encode(data).decode(), **more}


def test_an_image(tmp_path):
    calls = []
    script = lambda _: images(image(revised_prompt="one red circle"))  # noqa: E731
    response = ask(tmp_path, "image", script, seed=7, draw=2, size="8x6", quality="low", calls=calls)
    (call,) = calls
    assert call.path == "/v1/images/generations"
    assert call.body == {
        "model": "some-model", "prompt": "a red circle", "n": 1, "response_format": "b64_json",
        "size": "8x6", "quality": "low", "seed": 9,
    }  # fmt: skip
    artifact = response.parts[0].artifact
    assert (artifact.mime, artifact.width, artifact.height) == ("image/png", 8, 6)
    assert artifact.lineage.name == "openai_images/some-model"
    assert artifact.lineage.details == {"size": "8x6", "quality": "low", "revised_prompt": "one red circle"}
    assert response.usage.images_out == 1 and response.seconds > 0


def test_speech(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-a-long-key-of-tests")
    calls = []
    response = ask(tmp_path, "audio", Reply(WAV), voice="ash", api_key_env="MY_KEY", calls=calls)
    assert calls[0].path == "/v1/audio/speech"
    assert calls[0].authorization == "Bearer sk-a-long-key-of-tests"
    assert calls[0].body == {
        "model": "some-model", "input": "a red circle", "voice": "ash", "response_format": "wav",
    }  # fmt: skip
    assert response.parts[0].artifact.duration_s == pytest.approx(0.1)
    assert response.usage.audio_s_out == pytest.approx(0.1)


def video_server(*states, content=None):
    """A script: the job's states in turn, one for each question, then the content."""
    left = list(states)

    def script(call):
        if call.path.endswith("/content"):
            return content or Reply(MP4, headers={"Content-Type": "video/mp4"})
        state = left.pop(0)
        return state if isinstance(state, Reply) else {"id": "video_1", **state}

    return script


def test_a_video_is_waited_for_over_faults_on_the_way(tmp_path):
    calls = []
    script = video_server(
        {"status": "queued"},
        {"status": "in_progress"},
        error(503, "overloaded"),
        Reply(reset=True),
        Reply(b"<html>"),
        {"status": "completed"},
    )
    response = ask(tmp_path, "video", script, poll_s=0.01, duration_s=1, size="16x16", calls=calls)
    assert calls[0].body == {
        "model": "some-model", "prompt": "a red circle", "size": "16x16", "seconds": "1",
    }  # fmt: skip
    assert [c.path for c in calls] == [
        "/v1/videos",
        *["/v1/videos/video_1"] * 5,
        "/v1/videos/video_1/content",
    ]
    artifact = response.parts[0].artifact
    assert artifact.mime == "video/mp4" and artifact.duration_s == pytest.approx(1)
    assert artifact.lineage.details == {"size": "16x16", "duration_s": 1, "job": "video_1"}


def test_a_video_that_is_never_done_is_given_up_and_not_asked_for_again(tmp_path):
    script = video_server(*[{"status": "queued"}] * 1000)
    with pytest.raises(ModelError, match=r"not done within 0.2 s") as caught:
        ask(tmp_path, "video", script, poll_s=0.01, wait_s=0.2)
    assert not caught.value.retryable


def test_a_job_that_fails_says_why(tmp_path):
    failed = {"status": "failed", "error": {"code": "out_of_memory", "message": "no memory"}}
    with pytest.raises(ModelError, match=r"failed: .*no memory"):
        ask(tmp_path, "video", video_server(failed))
    declined = {"status": "failed", "error": {"code": "moderation_blocked", "message": "no"}}
    assert ask(tmp_path, "video", video_server(declined)).state == "refused"


def test_a_declined_prompt_is_refused(tmp_path):
    body = json.dumps({"error": {"code": "content_policy_violation", "message": "not that"}}).encode()
    response = ask(tmp_path, "image", Reply(body, 400))
    assert response.state == "refused" and "not that" in response.text


def endless_wav():
    """A header that announces ten hours of sound."""
    size = 10 * 3600 * 16000
    head = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", size + 36, b"WAVE", b"fmt ", 16, 1, 1, 8000, 16000, 2, 16)
    return head + struct.pack("<4sI", b"data", size) + b"\0" * 1000


HTML = b"<html><body>Bad Gateway</body></html>"
GARBAGE = {
    "html for an image": ("image", Reply(HTML), "not JSON .*Bad Gateway"),
    "html for speech": ("audio", Reply(HTML), "no usable audio.*Bad Gateway"),
    "html for a video": ("video", video_server({"status": "completed"}, content=Reply(HTML)), "Bad Gateway"),
    "no object": ("image", Reply(b"[1]"), "no JSON object"),
    "no image": ("image", Reply(b'{"data": []}'), "no image in the reply"),
    "a URL": ("image", Reply(b'{"data": [{"url": "http://127.0.0.1/x"}]}'), "not fetched"),
    "no base64": ("image", Reply(b'{"data": [{"b64_json": "%%%"}]}'), "not base64"),
    "a broken image": ("image", lambda _: images(image(PNG[:-20])), "no usable image"),
    "sound for an image": ("image", lambda _: images(image(WAV)), "no usable image"),
    "no sound": ("audio", Reply(write_wav(np.zeros(0, np.float32), 16000)), "audio"),
    "nothing": ("audio", Reply(b""), "no usable audio"),
    "ten hours": ("audio", Reply(endless_wav()), "no usable audio"),
    "no job": ("video", Reply(b"{}"), "no job"),
    "a job that leads elsewhere": ("video", lambda _: {"id": "../admin", "status": "queued"}, "no job"),
    "no state": ("video", video_server({"status": "odd"}), "no known state"),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_is_told_with_the_evidence(tmp_path, name):
    modality, script, message = GARBAGE[name]
    with pytest.raises(GarbageReply, match=message) as caught:
        ask(tmp_path, modality, script)
    assert str(caught.value).startswith("http://127.0.0.1:")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1000


def test_faults_keep_their_kind_and_show_no_key(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-a-long-key-of-tests")
    for status, kind in ((401, Forbidden), (429, RateLimited), (400, BadRequest)):
        with pytest.raises(kind) as caught:
            reply = error(status, "the key sk-a-long-key-of-tests is bad")
            ask(tmp_path, "image", reply, api_key_env="MY_KEY")
        assert "sk-a" not in str(caught.value)


def test_openai_itself_needs_a_key(tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    model = ImagesModel("gpt-image-1", ImagesOptions())
    with pytest.raises(UsageError, match="OPENAI_API_KEY"):
        asyncio.run(model.start(ModelContext(store=ArtifactStore(tmp_path))))
