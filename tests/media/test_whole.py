"""Structure against size, on files built byte by byte."""

from __future__ import annotations

import io
import struct

import pytest

from eval_anything.media.whole import Truncated, check_whole


def check(data: bytes, mime: str) -> None:
    check_whole(io.BytesIO(data), len(data), mime)


def box(kind: bytes, size: int) -> bytes:
    return struct.pack(">I", size) + kind + bytes(size - 8)


def riff(kind: bytes, chunks: bytes, promised: int | None = None) -> bytes:
    return b"RIFF" + struct.pack("<I", 4 + len(chunks) if promised is None else promised) + kind + chunks


DATA = b"data" + struct.pack("<I", 6) + bytes(6)


@pytest.mark.parametrize(
    ("data", "mime"),
    [
        (box(b"ftyp", 16) + box(b"moov", 32) + box(b"mdat", 24), "video/mp4"),
        (box(b"ftyp", 16) + box(b"moov", 32) + struct.pack(">I", 0) + b"mdat" + bytes(9), "video/mp4"),
        (box(b"moov", 32) + struct.pack(">I4sQ", 1, b"mdat", 20) + bytes(4), "video/mp4"),
        (box(b"moov", 32) + box(b"moof", 16), "audio/mp4"),
        (riff(b"WAVE", b"LIST" + struct.pack("<I", 3) + bytes(4) + DATA), "audio/wav"),
        (riff(b"WAVE", b"data" + b"\xff" * 4 + bytes(6), promised=0xFFFFFFFF), "audio/wav"),
        (riff(b"WAVE", DATA, promised=0), "audio/wav"),
        (b"\x1aE\xdf\xa3\x80\x18\x53\x80\x67\xff" + bytes(5), "video/webm"),
        (b"\x1aE\xdf\xa3\x80\x18\x53\x80\x67\x85" + bytes(5), "video/webm"),
        (b"OggS" + bytes(22) + b"\x02\x03\x01" + bytes(4), "audio/ogg"),
        (b"\xff\xfb\x90\x00" + bytes(99), "audio/mpeg"),
        (b"\xff\xfb\x90\x00" + bytes(9) + b"Info" + struct.pack(">III", 3, 9, 40) + bytes(99), "audio/mpeg"),
    ],
)
def test_whole_files_pass(data: bytes, mime: str) -> None:
    check(data, mime)


@pytest.mark.parametrize(
    ("data", "mime", "reason"),
    [
        (box(b"ftyp", 16) + box(b"mdat", 24), "video/mp4", "no index"),
        (box(b"ftyp", 16) + box(b"moov", 24), "video/mp4", "no media data"),
        (box(b"moov", 24) + box(b"mdat", 24)[:-1], "video/mp4", "byte 24 runs past"),
        (box(b"moov", 24) + struct.pack(">I", 3) + b"mdat", "video/mp4", "byte 24 runs past"),
        (riff(b"WAVE", DATA, promised=99), "audio/wav", "promises 107 bytes"),
        (riff(b"WAVE", DATA[:-1], promised=0), "audio/wav", "need 6 bytes, 5 are there"),
        (riff(b"WAVE", b""), "audio/wav", "before its samples"),
        (riff(b"AVI ", bytes(9), promised=15), "video/x-msvideo", "promises 23 bytes"),
        (b"\x1aE\xdf\xa3\x80\x18\x53\x80\x67\x86" + bytes(5), "video/webm", "promises 16 bytes"),
        (b"\x1aE\xdf\xa3\x80", "video/webm", "before its segment"),
        (b"\x1aE\xdf\xa3\x00", "video/webm", "header is broken"),
        (b"OggS" + bytes(22) + b"\x02\x03\x01" + bytes(3), "audio/ogg", "last page"),
        (b"\xff\xfb\x90\x00" + b"Xing" + struct.pack(">III", 3, 9, 40), "audio/mpeg", "promises 40 bytes"),
    ],
)
def test_files_that_end_too_early(data: bytes, mime: str, reason: str) -> None:
    with pytest.raises(Truncated, match=reason):
        check(data, mime)
