"""Media as the JSON strings in which they travel: base64, made once for each artifact and shared."""

from __future__ import annotations

import base64
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

import msgspec

from eval_anything.values import Artifact, Audio, MediaPart

if TYPE_CHECKING:
    from eval_anything.media.store import ArtifactStore

_KEPT_BYTES = 16 * 1024 * 1024
# The two forms that `input_audio` takes, and the mime types that are already in them.
_AUDIO_FORMATS = {
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
}


class EncodedMedia(msgspec.Struct, frozen=True):
    text: msgspec.Raw
    """A JSON string: a data URL (image, video) or bare base64 (audio)."""
    format: str = ""
    """Of audio: "wav" or "mp3"."""
    note: str = ""
    """The change that the API's contract needed; empty when the bytes went out as stored."""


class MediaEncoder:
    """Artifacts to JSON strings, the last 16 MB of them kept. Thread-safe."""

    def __init__(self, store: "ArtifactStore") -> None:
        self._store = store
        self._kept: OrderedDict[str, EncodedMedia] = OrderedDict()
        self._kept_bytes = 0
        self._lock = threading.Lock()

    def encode(self, part: MediaPart) -> EncodedMedia:
        """Raises MediaError when the stored file is damaged or cannot be converted."""
        # The modality belongs to the key: one WebM file may be sent as sound and as video.
        key = f"{type(part).__name__} {part.artifact.sha256}"
        with self._lock:
            if (known := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
                return known
        made = self._audio(part.artifact) if isinstance(part, Audio) else self._data_url(part.artifact)
        self._keep(key, made)
        return made

    def _data_url(self, artifact: Artifact) -> EncodedMedia:
        data = base64.b64encode(self._store.read(artifact))
        # The mime type comes from a closed list made by probing, so it needs no escaping.
        return EncodedMedia(msgspec.Raw(b'"data:' + artifact.mime.encode() + b";base64," + data + b'"'))

    def _audio(self, artifact: Artifact) -> EncodedMedia:
        if (form := _AUDIO_FORMATS.get(artifact.mime)) is not None:
            return EncodedMedia(_quoted(self._store.read(artifact)), form)
        from eval_anything.media.convert import as_wav

        wav = as_wav(self._store.path(artifact))
        note = f"audio {artifact.sha256[:8]}: {artifact.mime} was sent as 16-bit PCM WAV"
        return EncodedMedia(_quoted(wav), "wav", note)

    def _keep(self, key: str, made: EncodedMedia) -> None:
        size = len(memoryview(made.text))
        if size > _KEPT_BYTES:
            return
        with self._lock:
            if key in self._kept:
                return
            self._kept[key] = made
            self._kept_bytes += size
            while self._kept_bytes > _KEPT_BYTES:
                _, dropped = self._kept.popitem(last=False)
                self._kept_bytes -= len(memoryview(dropped.text))


def _quoted(data: bytes) -> msgspec.Raw:
    return msgspec.Raw(b'"' + base64.b64encode(data) + b'"')
