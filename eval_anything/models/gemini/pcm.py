"""Raw sound as the API gives it (`audio/L16;codec=pcm;rate=24000`) as a WAV file."""

from __future__ import annotations

import re

from eval_anything.errors import GarbageReply
from eval_anything.media.convert import write_wav

_PCM = ("audio/l16", "audio/pcm")
_NUMBER = r";\s*{}\s*=\s*(\d+)"


def is_pcm(mime: str) -> bool:
    """Whether `mime` says raw samples, without a header that tells what they are."""
    return mime.partition(";")[0].strip().lower() in _PCM


def pcm_as_wav(data: bytes, mime: str) -> bytes:
    """16-bit samples, low byte first as the API sends them, as a WAV file of the same samples.

    `mime` has the rate, and the number of channels where there are several. Raises GarbageReply without a
    rate, and for data that are not whole samples.
    """
    import numpy as np

    rate = re.search(_NUMBER.format("rate"), mime, re.IGNORECASE)
    channels = re.search(_NUMBER.format("channels"), mime, re.IGNORECASE)
    count = int(channels.group(1)) if channels else 1
    if rate is None or not int(rate.group(1)) or not count:
        raise GarbageReply(f"raw audio without its sample rate: {mime!r}")
    if not data or len(data) % (2 * count):
        raise GarbageReply(f"raw audio of {len(data)} bytes, which are not whole samples ({mime!r})")
    samples = np.frombuffer(data, "<i2").astype(np.int16)
    return write_wav(samples if count == 1 else samples.reshape(-1, count), int(rate.group(1)))
