"""Is a file whole? Told from what its container promises and its size, reading a few bytes only.

Decoders are forgiving: most of them play a truncated file as if it were a shorter one. Each function
raises `Truncated` where the file ends before its own structure does.
"""

from __future__ import annotations

import re
from typing import BinaryIO, Final

_UNKNOWN_32: Final = 0xFFFFFFFF
"""What a writer that could not seek back leaves in a RIFF size field; common in streamed speech."""
_OGG_PAGE_MAX: Final = 27 + 255 + 255 * 255
_XING_SEARCH: Final = 4096


class Truncated(Exception):
    """The message says what is missing."""


def check_whole(file: BinaryIO, size: int, mime: str) -> None:
    """Raises Truncated; formats without a structure that would tell pass."""
    if mime in ("audio/wav", "image/webp", "video/x-msvideo"):
        _check_riff(file, size)
    elif mime in ("audio/mp4", "video/mp4", "video/quicktime"):
        _check_boxes(file, size)
    elif mime in ("audio/webm", "video/webm", "video/x-matroska"):
        _check_segment(file, size)
    elif mime == "audio/ogg":
        _check_last_page(file, size)
    elif mime == "audio/mpeg":
        _check_xing(file, size)


def _read(file: BinaryIO, offset: int, count: int) -> bytes:
    file.seek(offset)
    return file.read(count)


def _check_riff(file: BinaryIO, size: int) -> None:
    """RIFF: the outer size, and for WAVE that of the data chunk. A missing pad byte is forgiven."""
    head = _read(file, 0, 12)
    promised = int.from_bytes(head[4:8], "little")
    if promised != _UNKNOWN_32 and promised + 8 > size + 1:
        raise Truncated(f"its header promises {promised + 8} bytes, the file has {size}")
    if head[8:12] != b"WAVE":
        return
    offset = 12
    while len(chunk := _read(file, offset, 8)) == 8:
        length = int.from_bytes(chunk[4:], "little")
        if chunk[:4] == b"data":
            if length != _UNKNOWN_32 and offset + 8 + length > size:
                raise Truncated(f"its samples need {length} bytes, {size - offset - 8} are there")
            return
        offset += 8 + length + length % 2
    raise Truncated("it ends before its samples begin")


def _check_boxes(file: BinaryIO, size: int) -> None:
    """ISO media (MP4, MOV): every top-level box must end inside the file, and one must be the index."""
    offset, kinds = 0, set()
    while offset < size:
        head = _read(file, offset, 16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        elif length == 0:
            length = size - offset  # "to the end of the file"
        if length < 8 or offset + length > size:
            raise Truncated(f"a part that begins at byte {offset} runs past the file's end ({size} bytes)")
        kinds.add(head[4:8])
        offset += length
    if b"moov" not in kinds:
        raise Truncated("it has no index (moov)")
    if not kinds & {b"mdat", b"moof"}:
        raise Truncated("it has an index and no media data (mdat)")


def _check_segment(file: BinaryIO, size: int) -> None:
    """Matroska, WebM: the size of the segment, unless its writer left it open (a live stream)."""
    head = _read(file, 0, 64)
    length, width = _vint(head[4:])
    offset = 4 + width + length
    head = _read(file, offset, 12)
    if head[:4] != b"\x18\x53\x80\x67":
        raise Truncated("it ends before its segment begins")
    length, width = _vint(head[4:])
    unknown = (1 << 7 * width) - 1
    if length != unknown and offset + 4 + width + length > size:
        promised = offset + 4 + width + length
        raise Truncated(f"its header promises {promised} bytes, the file has {size}")


def _vint(data: bytes) -> tuple[int, int]:
    """A variable-length integer of EBML (RFC 8794, section 4): value, and the bytes that it takes."""
    if not data or data[0] == 0:
        raise Truncated("its header is broken")
    width = 9 - data[0].bit_length()
    return int.from_bytes(data[:width], "big") & ((1 << 7 * width) - 1), width


def _check_last_page(file: BinaryIO, size: int) -> None:
    """Ogg: the last page's segment table must not reach past the end (RFC 3533, section 6)."""
    start = max(0, size - _OGG_PAGE_MAX)
    tail = _read(file, start, size - start)
    page = tail[tail.rfind(b"OggS") :]
    if len(page) < 27 or len(page) < 27 + page[26] + sum(page[27 : 27 + page[26]]):
        raise Truncated("its last page is cut")


def _check_xing(file: BinaryIO, size: int) -> None:
    """MP3: the byte count in the Xing or Info frame that most encoders write first."""
    head = _read(file, 0, 10)
    start = 0
    if head[:3] == b"ID3":
        start = 10 + sum(
            (byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True)
        )
    first = _read(file, start, _XING_SEARCH)
    found = re.search(rb"(?:Xing|Info)(.{4})", first, re.DOTALL)
    if found is None:
        return
    flags = int.from_bytes(found[1], "big")
    field = found.end() + (4 if flags & 1 else 0)
    if flags & 2:
        promised = int.from_bytes(first[field : field + 4], "big")
        # Not start + promised: writers do not agree on whether the tag before the first frame counts.
        if promised > size:
            raise Truncated(f"its header promises {promised} bytes, the file has {size}")
