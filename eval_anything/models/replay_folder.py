"""`replay/DIR`: a folder of media files that answer samples by their names, as benchmarks lay theirs out.

`DIR/anime/00012.jpg` answers the sample `anime/00012`, and `DIR/anime/00012_3.jpg` its repeat 3; where a
repeat has no file of its own, the file without a number serves. Files below `DIR/TASK/` answer samples of
that task alone. One sample may have a file of each modality, and then all of them are its answer.

Where a task requires media, a sample without a file is one that the model made nothing for: a benchmark's
folder has no other way to say so. For other tasks it is skipped, as in any recording.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from eval_anything.errors import DataError, MediaError, UsageError
from eval_anything.media.sniff import EXTENSIONS
from eval_anything.models.tally import count_usage
from eval_anything.values import MODALITIES, Fault, Lineage, MediaPart, Modality, Request, Response

if TYPE_CHECKING:
    from eval_anything.media.store import ArtifactStore

_HASHING = 8
"""Threads: hashing leaves the interpreter to others, and on a network file system each waits for its file."""
_OF_SUFFIX: dict[str, Modality] = {
    suffix: modality
    for modality in MODALITIES
    for mime, suffix in (*EXTENSIONS.items(), ("image/jpeg", ".jpeg"))
    if mime.startswith(f"{modality}/")
}


class MediaFile(NamedTuple):
    path: str
    """Relative to the folder."""
    modality: Modality
    sha256: str


class MediaFolder:
    """The files of a folder by what they answer."""

    def __init__(self, root: Path, name: str) -> None:
        """Hashes every media file below `root`. Raises UsageError where there is none or one cannot be read,
        DataError where two files of one modality would answer one sample."""
        self.name = name
        self._root = root.resolve()
        self._answers: dict[str, list[MediaFile]] = {}
        digest = hashlib.sha256()
        for file in self._files():
            digest.update(f"{file.path}\0{file.sha256}\0".encode("utf-8", "surrogateescape"))
            self._add(file)
        if not self._answers:
            raise UsageError(f"recording {name}: no image, audio or video file in this folder")
        self.sha256 = digest.hexdigest()
        """Of all names and contents: other files are another recording."""

    def respond(self, request: Request, store: "ArtifactStore") -> Response:
        """The answer that the files give; state skipped where there is none, error where one is broken.

        Raises UsageError where a file is not what it was when the folder was read.
        """
        missing = self._missing(request)
        if missing:
            return Response(state="skipped", fault=Fault("missing", missing))
        try:
            parts = tuple(self._stored(file, store) for file in self._find(request))
        except MediaError as fault:
            return Response(state="error", fault=Fault("media", str(fault)))
        return Response(parts=parts, usage=count_usage(request, parts, requests=0))

    def _files(self) -> list[MediaFile]:
        """All media files in the order of their names."""
        try:
            found = sorted(_media_below(self._root))
            with ThreadPoolExecutor(_HASHING) as pool:
                hashes = list(pool.map(self._hashed, found))
        except OSError as fault:
            raise UsageError(f"recording {self.name}: {fault.filename}: {fault.strerror}") from None
        return [MediaFile(path, _modality(path), sha256) for path, sha256 in zip(found, hashes, strict=True)]

    def _hashed(self, path: str) -> str:
        with (self._root / path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def _add(self, file: MediaFile) -> None:
        others = self._answers.setdefault(str(PurePosixPath(file.path).with_suffix("")), [])
        for other in others:
            if other.modality == file.modality:
                raise DataError(
                    f"recording {self.name}: {other.path} and {file.path} would answer the same sample"
                )
        others.append(file)

    def _find(self, request: Request) -> list[MediaFile]:
        origin = request.origin
        if origin is None:
            return []
        for base in (f"{origin.task}/{origin.sample_id}", origin.sample_id):
            for stem in (f"{base}_{origin.repeat}", base):
                if stem in self._answers:
                    return self._answers[stem]
        return []

    def _missing(self, request: Request) -> str:
        """Why the folder cannot answer `request`, or nothing."""
        origin = request.origin
        if origin is None or request.continuation is not None:
            return f"recording {self.name}: a folder of media only answers samples of a task"
        if origin.parts > 1:
            return f"recording {self.name}: sample {origin.sample_id!r} asks {origin.parts} requests"
        if self._find(request) or any(modality != "text" for modality in request.required_modalities):
            return ""
        return f"recording {self.name} has no file for sample {origin.sample_id!r} of task {origin.task}"

    def _stored(self, file: MediaFile, store: "ArtifactStore") -> MediaPart:
        lineage = Lineage(source="model", name=f"replay/{self.name}", details={"file": file.path})
        artifact = store.add_file(self._root / file.path, file.modality, inside=self._root, lineage=lineage)
        if artifact.sha256 != file.sha256:
            raise UsageError(
                f"recording {self.name}: {file.path} has changed while it was being read; run again"
            )
        return store.part(artifact)


def _modality(path: str) -> Modality:
    return _OF_SUFFIX[PurePosixPath(path).suffix.lower()]


def _media_below(root: Path) -> Iterator[str]:
    """Paths of media files, by their suffix; hidden files and folders are not looked at."""

    def failed(fault: OSError) -> None:
        raise fault

    for folder, folders, files in os.walk(root, onerror=failed):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if not name.startswith(".") and PurePosixPath(name).suffix.lower() in _OF_SUFFIX:
                yield (Path(folder) / name).relative_to(root).as_posix()
