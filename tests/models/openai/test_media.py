import base64
import io
import threading

import pytest
import soundfile
from servers.media_files import flac, mp3, mp4, png, wav

from eval_anything.errors import MediaError
from eval_anything.media.store import ArtifactStore
from eval_anything.models.openai import media
from eval_anything.models.openai.media import MediaEncoder
from eval_anything.values import Audio, Image, Video


def text(encoded):
    raw = bytes(encoded.text)
    assert raw[:1] == raw[-1:] == b'"'
    return raw[1:-1].decode()


@pytest.fixture
def store(tmp_path):
    return ArtifactStore(tmp_path)


def test_bytes_travel_as_they_are_stored(store):
    for data, kind, mime in ((png(), Image, "image/png"), (mp4(), Video, "video/mp4")):
        part = kind(store.add_bytes(data, kind.__name__.lower()))
        head, _, body = text(MediaEncoder(store).encode(part)).partition(",")
        assert head == f"data:{mime};base64"
        assert base64.b64decode(body) == data


@pytest.mark.parametrize(("data", "form"), [(wav, "wav"), (mp3, "mp3")])
def test_wav_and_mp3_are_not_converted(store, data, form):
    encoded = MediaEncoder(store).encode(Audio(store.add_bytes(data(), "audio")))
    assert (encoded.format, encoded.note) == (form, "")
    assert base64.b64decode(text(encoded)) == data()


def test_other_audio_becomes_wav_and_that_is_noted(store):
    artifact = store.add_bytes(flac(), "audio")
    encoded = MediaEncoder(store).encode(Audio(artifact))
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(text(encoded))))
    assert (encoded.format, rate, len(samples)) == ("wav", 8000, 1600)
    assert encoded.note == f"audio {artifact.sha256[:8]}: audio/flac was sent as 16-bit PCM WAV"


def test_base64_is_made_once(store):
    artifact = store.add_bytes(png(), "image")
    encoder = MediaEncoder(store)
    first = encoder.encode(Image(artifact))
    # A second reading would fail now.
    store.path(artifact).unlink()
    assert encoder.encode(Image(artifact)) is first
    with pytest.raises(MediaError):
        MediaEncoder(store).encode(Image(artifact))


def test_memory_is_bounded_and_the_oldest_goes_first(store, monkeypatch):
    images = [Image(store.add_bytes(png(shade), "image")) for shade in range(5)]
    size = len(bytes(MediaEncoder(store).encode(images[0]).text))
    monkeypatch.setattr(media, "_KEPT_BYTES", 2 * size + size // 2)
    encoder = MediaEncoder(store)
    kept = [encoder.encode(image) for image in images[:2]]
    assert encoder.encode(images[0]) is kept[0]
    encoder.encode(images[2])
    assert encoder.encode(images[0]) is kept[0]
    assert encoder.encode(images[1]) is not kept[1]
    monkeypatch.setattr(media, "_KEPT_BYTES", size // 2)
    tiny = MediaEncoder(store)
    assert tiny.encode(images[0]) is not tiny.encode(images[0])


def test_many_threads_may_encode_at_once(store):
    images = [Image(store.add_bytes(png(shade), "image")) for shade in range(4)]
    encoder = MediaEncoder(store)
    expected = [bytes(MediaEncoder(store).encode(image).text) for image in images]
    wrong = []

    def work():
        for turn in range(200):
            if bytes(encoder.encode(images[turn % 4]).text) != expected[turn % 4]:
                wrong.append(turn)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
