"""Media in the types that the Gemini API takes, and where each of a request travels."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from google.genai import types

from eval_anything.media.convert import as_wav, load_image, write_png
from eval_anything.values import Artifact, Audio, Image, MediaPart, Message, Part, ToolResult, Video

if TYPE_CHECKING:
    from eval_anything.media.store import ArtifactStore
    from eval_anything.models.gemini.files import Files

# What the API calls types that go as they are; "" for those that it does not take.
_NAMES = {
    "image/gif": "",
    "image/bmp": "",
    "audio/mpeg": "audio/mp3",
    "audio/mp4": "",
    "audio/webm": "",
    "video/quicktime": "video/mov",
    "video/x-msvideo": "video/avi",
}


class Medium(msgspec.Struct, frozen=True):
    """One file as it is sent."""

    artifact: Artifact
    mime: str
    size: int
    """Bytes, before base64."""
    converted: bytes | None = None
    note: str = ""
    """The change that the API needed; empty when the bytes go out as stored."""

    def content(self, store: "ArtifactStore") -> bytes:
        """Raises MediaError when the stored file is damaged."""
        return self.converted if self.converted is not None else store.read(self.artifact)


class Carried(msgspec.Struct, frozen=True):
    """The media of one request."""

    parts: Mapping[str, Any]
    """types.Part, by `key_of` the part of the message."""
    notes: tuple[str, ...]


def key_of(part: MediaPart) -> str:
    # One WebM file may be sent as sound and as video.
    return f"{type(part).__name__} {part.artifact.sha256}"


class Carrier:
    """Puts media into the request itself, or on the server where that would make it too large."""

    def __init__(self, store: "ArtifactStore", files: "Files", inline_bytes: int) -> None:
        self._store = store
        self._files = files
        self._inline_bytes = inline_bytes

    async def carry(self, messages: Iterable[Message]) -> Carried:
        """Raises MediaError for a file that cannot be sent, and what uploads raise."""
        found = {key_of(part): part for message in messages for part in media_of(message.parts)}
        media = {key: await asyncio.to_thread(_prepare, part, self._store) for key, part in found.items()}
        away = _largest(media, self._inline_bytes)
        parts = await asyncio.gather(*(self._part(medium, key in away) for key, medium in media.items()))
        notes = tuple(medium.note for medium in media.values() if medium.note)
        return Carried(dict(zip(media, parts, strict=True)), notes)

    async def _part(self, medium: Medium, away: bool) -> Any:
        if away:
            return types.Part(
                file_data=types.FileData(file_uri=await self._files.uri(medium), mime_type=medium.mime)
            )
        data = await asyncio.to_thread(medium.content, self._store)
        return types.Part(inline_data=types.Blob(data=data, mime_type=medium.mime))


def media_of(parts: Iterable[Part]) -> Iterator[MediaPart]:
    """Those of tool results too, in order."""
    for part in parts:
        if isinstance(part, Image | Audio | Video):
            yield part
        elif isinstance(part, ToolResult):
            yield from media_of(part.parts)


def _prepare(part: MediaPart, store: "ArtifactStore") -> Medium:
    artifact = part.artifact
    if mime := _NAMES.get(artifact.mime, artifact.mime):
        return Medium(artifact, mime, artifact.bytes_size)
    path = store.path(artifact)
    if isinstance(part, Audio):
        data, mime, form = as_wav(path), "audio/wav", "16-bit PCM WAV"
    else:
        data, mime, form = write_png(load_image(path)), "image/png", "PNG (its first frame)"
    kind = type(part).__name__.lower()
    note = f"{kind} {artifact.sha256[:8]}: {artifact.mime} was sent as {form}"
    return Medium(artifact, mime, len(data), data, note)


def _largest(media: Mapping[str, Medium], limit: int) -> set[str]:
    """Which to leave out, the largest first, so that the others in base64 have at most `limit` characters."""
    left = {key: 4 * -(-medium.size // 3) for key, medium in media.items()}
    away: set[str] = set()
    while sum(left.values()) > limit:
        key = max(left, key=left.__getitem__)
        away.add(key)
        del left[key]
    return away
