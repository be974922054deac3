"""What a file is, told from its first bytes alone: names and extensions lie."""

from __future__ import annotations

import re
from typing import Final

from eval_anything.values import Modality

HEAD_BYTES: Final = 4096
"""How much of a file's beginning `sniff` wants to see."""

EXTENSIONS: Final[dict[str, str]] = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "image/gif": ".gif",
    "image/bmp": ".bmp",
    "audio/wav": ".wav",
    "audio/flac": ".flac",
    "audio/mpeg": ".mp3",
    "audio/ogg": ".ogg",
    "audio/mp4": ".m4a",
    "audio/aac": ".aac",
    "audio/webm": ".weba",
    "video/mp4": ".mp4",
    "video/quicktime": ".mov",
    "video/webm": ".webm",
    "video/x-matroska": ".mkv",
    "video/x-msvideo": ".avi",
}
"""The accepted types, with the extension under which each is stored."""

FFMPEG_FORMATS: Final[dict[str, str]] = {
    "audio/mp4": "mov",
    "audio/aac": "aac",
    "audio/webm": "matroska",
    "video/mp4": "mov",
    "video/quicktime": "mov",
    "video/webm": "matroska",
    "video/x-matroska": "matroska",
    "video/x-msvideo": "avi",
}
"""Demuxer by type. It is always named: left to guess, FFmpeg would also follow playlists to other files."""

_MAGIC: Final[tuple[tuple[bytes, str], ...]] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"fLaC", "audio/flac"),
    (b"OggS", "audio/ogg"),
    (b"ID3", "audio/mpeg"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"%PDF", "application/pdf"),
    (b"PK\x03\x04", "application/zip"),
    (b"\x1f\x8b", "application/gzip"),
)
_RIFF: Final = {b"WAVE": "audio/wav", b"WEBP": "image/webp", b"AVI ": "video/x-msvideo"}
_STILL_BRANDS: Final = (b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1")


def sniff(head: bytes, modality: Modality) -> str:
    """The mime type that `head` (the first HEAD_BYTES) shows, or "" where it shows none.

    Containers that hold sound as well as pictures (MP4, WebM) are read as `modality`.
    """
    kind = "audio" if modality == "audio" else "video"
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12], "")
    if head[4:8] == b"ftyp":
        return _iso_media(head[8:12], kind)
    if head[:4] == b"\x1aE\xdf\xa3":
        return f"{kind}/webm" if b"webm" in head[:64] or kind == "audio" else "video/x-matroska"
    for magic, mime in _MAGIC:
        if head.startswith(magic):
            return mime
    return _mpeg_audio(head) or _text(head)


def describe(mime: str) -> str:
    """A mime type as an error message names it."""
    names = {"": "of an unknown type", "text/html": "HTML", "text/plain": "text", "image/svg+xml": "SVG"}
    return names.get(mime, mime)


def _iso_media(brand: bytes, kind: str) -> str:
    if brand in _STILL_BRANDS:
        return "image/avif" if brand.startswith(b"avi") else "image/heif"
    if brand.startswith(b"M4A"):
        return "audio/mp4"
    if brand == b"qt  " and kind == "video":
        return "video/quicktime"
    return f"{kind}/mp4"


def _mpeg_audio(head: bytes) -> str:
    if len(head) < 4 or head[0] != 0xFF:
        return ""
    if head[1] & 0xF6 == 0xF0:
        return "audio/aac"
    layer, bit_rate, sample_rate = head[1] & 0x06, head[2] >> 4, head[2] >> 2 & 3
    if head[1] & 0xE0 == 0xE0 and layer and bit_rate != 15 and sample_rate != 3:
        return "audio/mpeg"
    return ""


def _text(head: bytes) -> str:
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1024].lower()
    if re.match(rb"<!doctype html|<html|<head|<body", start):
        return "text/html"
    if start.startswith(b"<svg") or (start.startswith(b"<?xml") and b"<svg" in head.lower()):
        return "image/svg+xml"
    printable = bytes(range(0x20, 0x7F)) + b"\t\r\n"
    if start and not start.translate(None, printable):
        return "text/plain"
    return ""
