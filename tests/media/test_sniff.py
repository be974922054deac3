"""First bytes decide, whatever the name says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval_anything.media.sniff import EXTENSIONS, FFMPEG_FORMATS, HEAD_BYTES, describe, sniff
from eval_anything.values import Modality


@pytest.mark.parametrize(
    ("head", "modality", "mime"),
    [
        (b"\0\0\0\x20ftypisom", "video", "video/mp4"),
        (b"\0\0\0\x20ftypisom", "audio", "audio/mp4"),
        (b"\0\0\0\x20ftypM4A ", "video", "audio/mp4"),
        (b"\0\0\0\x20ftypqt  ", "video", "video/quicktime"),
        (b"\0\0\0\x20ftypavif", "image", "image/avif"),
        (b"\0\0\0\x20ftypheic", "image", "image/heif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image", "image/webp"),
        (b"RIFF\0\0\0\0ACON", "image", ""),
        (b"\xff\xfb\x90\x00", "audio", "audio/mpeg"),
        (b"ID3\x04\0\0\0\0\0\0", "audio", "audio/mpeg"),
        (b"\xff\xf1\x50\x80", "audio", "audio/aac"),
        (b"\xff\xff\xff\xff", "audio", ""),
        (b"\xef\xbb\xbf <!DOCTYPE HTML>", "image", "text/html"),
        (b"II*\0\x08\0\0\0", "image", "image/tiff"),
        (b"\0\0\0\0", "image", ""),
        (b"", "image", ""),
    ],
)
def test_known_beginnings(head: bytes, modality: Modality, mime: str) -> None:
    assert sniff(head, modality) == mime


@given(head=st.binary(max_size=HEAD_BYTES), modality=st.sampled_from(["image", "audio", "video"]))
def test_any_bytes_have_an_answer(head: bytes, modality: Modality) -> None:
    assert describe(sniff(head, modality))


def test_what_is_accepted_can_be_stored_and_decoded() -> None:
    assert len(set(EXTENSIONS.values())) == len(EXTENSIONS)
    assert set(FFMPEG_FORMATS) <= set(EXTENSIONS)
    assert {mime for mime in EXTENSIONS if mime.startswith("video/")} <= set(FFMPEG_FORMATS)
