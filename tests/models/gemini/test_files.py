import asyncio
import logging

import pytest
from gemini_lab import HELLO, ask, model, sent
from servers.gemini_server import GeminiServer, error
from servers.media_files import mp4, png, wav
from servers.openai_server import Reply

from eval_anything.errors import BadRequest, GarbageReply, MediaError, RateLimited
from eval_anything.media.store import ArtifactStore
from eval_anything.models.base import ModelContext
from eval_anything.values import Audio, Image, Message, Request, Text, Video


@pytest.fixture
def store(tmp_path):
    return ArtifactStore(tmp_path)


@pytest.fixture
def video(store):
    return Video(store.add_bytes(mp4(), "video"))


def about(*parts):
    return Request(messages=(Message("user", (*parts, Text("?"))),))


def kinds(body):
    return [next(iter(part)) for part in body["contents"][0]["parts"]]


def test_the_largest_media_of_a_large_request_are_uploaded(store, video):
    image, sound = Image(store.add_bytes(png(), "image")), Audio(store.add_bytes(wav(), "audio"))
    server = GeminiServer()
    ask(store, server, about(image, sound, video), inline_bytes=str(4 * len(mp4()) // 3 + 500))
    assert kinds(sent(server)) == ["inlineData", "fileData", "inlineData", "text"]
    data = sent(server)["contents"][0]["parts"][1]["fileData"]
    assert data == {"fileUri": f"{server.url}/v1beta/files/f1", "mimeType": "audio/wav"}
    assert server.deleted == ["files/f1"]
    assert server.files == {}


def test_by_default_a_request_stays_below_20_mb(store):
    import numpy as np

    from eval_anything.media.convert import write_wav

    noise = np.random.default_rng(0).integers(-999, 999, 4_000_000).astype(np.int16)
    sounds = [Audio(store.add_bytes(write_wav(noise[: 4_000_000 - n], 16000), "audio")) for n in range(3)]
    server = GeminiServer()
    ask(store, server, about(*sounds), timeout_s=60.0)
    assert kinds(sent(server)) == ["fileData", "fileData", "inlineData", "text"]
    assert len(server.calls[0].raw) < 20_000_000
    assert server.uploads == 2


def test_each_distinct_file_is_uploaded_once_also_when_asked_for_at_once(store, video):
    other = Image(store.add_bytes(png(), "image"))
    server = GeminiServer(polls=2)

    async def go():
        async with server:
            asked = model(base_url=server.url, inline_bytes="0")
            await asked.start(ModelContext(store=store))
            await asyncio.gather(*(asked.generate(about(video)) for _ in range(5)))
            await asked.generate(about(video, other))
            await asked.stop()

    asyncio.run(go())
    assert server.uploads == 2
    assert sorted(server.deleted) == ["files/f1", "files/f2"]
    assert len(server.calls) == 6


def test_a_file_that_is_about_to_expire_is_uploaded_anew(store, video):
    server = GeminiServer(expires="2020-01-01T00:00:00Z")
    ask(store, server, about(video), about(video), inline_bytes="0")
    assert sorted(server.deleted) == ["files/f1", "files/f2"]


def test_a_file_of_several_pieces_arrives_whole(store):
    import numpy as np

    from eval_anything.media.convert import write_wav

    noise = np.random.default_rng(0).integers(-999, 999, 9_000_000).astype(np.int16)
    sound = Audio(store.add_bytes(write_wav(noise, 16000), "audio"))
    server = GeminiServer(keep=True)
    ask(store, server, about(sound), timeout_s=60.0)
    assert server.received["files/f1"] == store.read(sound.artifact)
    assert len(server.received["files/f1"]) > 16 * 2**20  # two pieces of 8 MB, and a bit


def test_a_file_that_the_server_cannot_process_costs_its_samples(store, video):
    server = GeminiServer(fate="FAILED")
    with pytest.raises(MediaError, match=r"video/mp4.*could not process the uploaded file: FAILED"):
        ask(store, server, about(video), inline_bytes="0")
    assert server.deleted == ["files/f1"]
    assert server.calls == []


@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        (error(429, "too many files"), RateLimited, "HTTP 429: too many files"),
        (error(400, "too large"), BadRequest, "too large"),
        (Reply(b"<html>hi</html>"), GarbageReply, "not a reply of the Gemini API"),
    ],
)
def test_an_upload_that_fails_has_its_class_and_is_tried_again_when_asked(store, video, fault, kind, said):
    server = GeminiServer(upload_fault=fault)

    async def go():
        async with server:
            asked = model(base_url=server.url, inline_bytes="0")
            await asked.start(ModelContext(store=store))
            with pytest.raises(kind, match=said):
                await asked.generate(about(video))
            server.upload_fault = None
            response = await asked.generate(about(video))
            await asked.stop()
            return response

    assert asyncio.run(go()).text == "yes"
    assert server.uploads == 1


def test_a_file_that_cannot_be_deleted_is_told_of(store, video, caplog):
    server = GeminiServer(delete_fault=error(500, "not now"))
    with caplog.at_level(logging.WARNING):
        ask(store, server, about(video), HELLO, inline_bytes="0")
    assert "1 uploaded files stay on the server" in caplog.text
    assert "HTTP 500: not now" in caplog.text


def test_stopping_while_a_file_is_processed_deletes_it(store, video):
    server = GeminiServer(polls=10_000)

    async def go():
        async with server:
            asked = model(base_url=server.url, inline_bytes="0")
            await asked.start(ModelContext(store=store))
            waiting = asyncio.ensure_future(asked.generate(about(video)))
            await asyncio.wait_for(server.polled.wait(), 10)
            waiting.cancel()
            await asked.stop()

    asyncio.run(go())
    assert server.deleted == ["files/f1"]
