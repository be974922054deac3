"""A content-addressed store of media: `<root>/ab/<sha256><.ext>`, written once, checked when read."""

from __future__ import annotations

import hashlib
import io
import os
import re
import secrets
import shutil
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from eval_anything.errors import MediaError, StorageError
from eval_anything.media.limits import DEFAULT_LIMITS, MediaLimits
from eval_anything.media.probe import Probe, examine, open_regular
from eval_anything.media.sniff import EXTENSIONS
from eval_anything.values import Artifact, Audio, Image, Lineage, MediaPart, Modality, Video

_REMEMBERED: Final = 4096
_LOCKS: Final = 64
_Key = tuple[str, int, int, Modality]
"""Path, size, time of change (ns), and what it is read as."""


class ArtifactStore:
    """Media of a run. All methods may be called from any thread, and several processes may share a root.

    A file of a data set is hard-linked where the file system allows it, and copied otherwise. Whoever
    then changes the data set's file in place changes the stored one too: `read` finds that out.
    """

    def __init__(self, root: Path, limits: MediaLimits = DEFAULT_LIMITS) -> None:
        self.root = root
        self.limits = limits
        self._known: OrderedDict[_Key, Artifact] = OrderedDict()
        self._known_lock = threading.Lock()
        # Striped, so that threads that want the same file wait for one probe instead of all probing it.
        self._adding = tuple(threading.Lock() for _ in range(_LOCKS))

    def add_file(
        self, path: Path, modality: Modality, *, inside: Path, lineage: Lineage | None = None
    ) -> Artifact:
        """Check and keep the file at `path` (relative paths start at `inside`).

        Raises MediaError where it leads out of `inside`, also through links, or is not whole and sane
        media of `modality`; StorageError where the store cannot be written.
        """
        real, name = _resolved(path, inside)
        key = _key(real, name, modality)
        with self._adding[hash(key) % _LOCKS]:
            artifact = self._recall(key)
            if artifact is None:
                artifact = self._keep_file(real, name, modality)
                self._remember(key, artifact)
        return msgspec.structs.replace(artifact, lineage=lineage)

    def add_bytes(
        self, data: bytes, modality: Modality, *, lineage: Lineage | None = None, name: str = ""
    ) -> Artifact:
        """Check and keep `data`, which messages call `name`.

        Raises as `add_file` does, and then leaves nothing behind.
        """
        shown = name or f"{modality} of {len(data)} bytes"
        found = examine(io.BytesIO(data), modality, self.limits, shown)
        artifact = _artifact(found, hashlib.sha256(data).hexdigest(), len(data))
        target = self.path(artifact)
        if not _holds(target, len(data)):
            with _arriving(target) as partial:
                partial.write_bytes(data)
        return msgspec.structs.replace(artifact, lineage=lineage)

    def adopt(self, artifact: Artifact, other: ArtifactStore) -> None:
        """Have what `other` holds as `artifact`. Raises as `add_file` does, and where it is damaged."""
        target = self.path(artifact)
        if not _holds(target, artifact.bytes_size):
            data = other.read(artifact)
            with _arriving(target) as partial:
                partial.write_bytes(data)

    def path(self, artifact: Artifact) -> Path:
        """Where its bytes are. Raises MediaError for an artifact that could not have come from a store."""
        # Artifacts are also read from journals, which are files that anybody may have written.
        if not re.fullmatch(r"[0-9a-f]{64}", artifact.sha256) or artifact.mime not in EXTENSIONS:
            raise MediaError(f"not a stored artifact: {artifact.sha256[:80]!r} ({artifact.mime[:80]!r})")
        return self.root / artifact.sha256[:2] / (artifact.sha256 + EXTENSIONS[artifact.mime])

    def read(self, artifact: Artifact) -> bytes:
        """Its bytes. Raises MediaError where they are gone or no longer those that were stored."""
        path = self.path(artifact)
        with open_regular(path, str(path)) as file:
            data = file.read()
        if hashlib.sha256(data).hexdigest() != artifact.sha256:
            raise MediaError(f"{path}: damaged: its content has changed since it was stored")
        return data

    def part(self, artifact: Artifact) -> MediaPart:
        """The artifact as part of a message. Raises MediaError for a type that is no medium."""
        kinds: dict[str, type[MediaPart]] = {"image": Image, "audio": Audio, "video": Video}
        modality = artifact.mime.partition("/")[0]
        if modality not in kinds:
            raise MediaError(f"{artifact.sha256[:80]}: {artifact.mime!r} is not image, audio or video")
        return kinds[modality](artifact)

    def _keep_file(self, real: Path, name: str, modality: Modality) -> Artifact:
        with open_regular(real, name) as file:
            found = examine(file, modality, self.limits, name)
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
            artifact = _artifact(found, digest, size)
            target = self.path(artifact)
            if not _holds(target, size):
                with _arriving(target) as partial:
                    _link_or_copy(real, file, partial)
        return artifact

    def _recall(self, key: _Key) -> Artifact | None:
        with self._known_lock:
            artifact = self._known.get(key)
            if artifact is not None:
                self._known.move_to_end(key)
        if artifact is None or not _holds(self.path(artifact), artifact.bytes_size):
            return None
        return artifact

    def _remember(self, key: _Key, artifact: Artifact) -> None:
        with self._known_lock:
            self._known[key] = artifact
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)


def _resolved(path: Path, inside: Path) -> tuple[Path, str]:
    """The real path behind `path`, and the name for messages: relative to the data set where it can be."""
    try:
        root = inside.resolve()
        real = (root / path).resolve()
    except (OSError, RuntimeError, ValueError) as fault:
        raise MediaError(f"{path}: {fault}") from None
    if not real.is_relative_to(root):
        raise MediaError(f"{path}: leads out of {inside}")
    return real, str(path)


def _key(real: Path, name: str, modality: Modality) -> _Key:
    try:
        status = real.stat()
    except OSError as fault:
        raise MediaError(f"{name}: {fault.strerror}") from None
    return (str(real), status.st_size, status.st_mtime_ns, modality)


def _artifact(found: Probe, digest: str, size: int) -> Artifact:
    return Artifact(
        sha256=digest,
        mime=found.mime,
        bytes_size=size,
        width=found.width,
        height=found.height,
        duration_s=found.duration_s,
        sample_rate=found.sample_rate,
    )


def _holds(target: Path, size: int) -> bool:
    """Whether the store already has it; a file of another size is a damaged one, to be replaced."""
    try:
        return target.stat().st_size == size
    except OSError:
        return False


@contextmanager
def _arriving(target: Path) -> Iterator[Path]:
    """A temporary name beside `target`, which takes its place when all went well and is gone otherwise."""
    partial = target.with_name(f".{secrets.token_hex(8)}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        os.replace(partial, target)
    except OSError as fault:
        raise StorageError(f"{target}: cannot be written: {fault.strerror or fault}") from fault
    finally:
        # Also after success: renaming one hard link of a file onto another leaves both in place.
        _remove(partial)


def _remove(partial: Path) -> None:
    try:
        partial.unlink(missing_ok=True)
    except OSError as fault:
        raise StorageError(f"{partial}: cannot be removed: {fault.strerror}") from fault


def _link_or_copy(real: Path, file: BinaryIO, partial: Path) -> None:
    try:
        os.link(real, partial, follow_symlinks=False)
        if os.path.samestat(partial.lstat(), os.fstat(file.fileno())):
            return
        partial.unlink()  # the name came to stand for another file since it was opened
    except OSError:
        # Another file system, one without links, or somebody else's file.
        partial.unlink(missing_ok=True)
    file.seek(0)
    with partial.open("wb") as copy:
        shutil.copyfileobj(file, copy, 1 << 20)
