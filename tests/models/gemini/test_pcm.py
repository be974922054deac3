import io
import wave

import pytest

from eval_anything.errors import GarbageReply
from eval_anything.models.gemini.pcm import is_pcm, pcm_as_wav


@pytest.mark.parametrize(
    ("mime", "rate", "channels"),
    [
        ("audio/L16;codec=pcm;rate=24000", 24000, 1),
        ("audio/l16; rate=16000; channels=2", 16000, 2),
        ("audio/pcm;rate=8000", 8000, 1),
    ],
)
def test_samples_are_kept_bit_for_bit(mime, rate, channels):
    samples = bytes(range(0, 240, 2)) * 4
    assert is_pcm(mime)
    with wave.open(io.BytesIO(pcm_as_wav(samples, mime))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (rate, channels, 2)
        assert file.readframes(10_000) == samples


def test_files_are_no_raw_sound():
    assert not any(map(is_pcm, ("audio/wav", "audio/mpeg", "image/png", "")))


@pytest.mark.parametrize(
    ("data", "mime"),
    [
        (b"ab", "audio/L16"),
        (b"ab", "audio/L16;rate=0"),
        (b"", "audio/L16;rate=8"),
        (b"abc", "audio/L16;rate=8"),
    ],
)
def test_what_cannot_be_a_sound_is_garbage(data, mime):
    with pytest.raises(GarbageReply, match="raw audio"):
        pcm_as_wav(data, mime)
