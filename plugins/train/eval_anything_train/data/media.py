"""Media of training records: those inside a row become files, those that a row names are found."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from eval_anything.errors import DataError, MediaError
from eval_anything.home import home
from eval_anything.records import Medium, check_media
from eval_anything.values import MODALITIES, File, Modality, part_modality
from eval_anything_train.values import Record

_INSIDE = ("", "videos", "images", "audios", "media")
"""Rows name media from the folder of their file, or from one of these in it."""
_FEW_CHANNELS = 8
"""Of a two-dimensional array of sound, the shorter side is the channels."""


def folder() -> Path:
    """Where media are kept that came inside of records, by sha256."""
    return home() / "data" / "train" / "media"


class Places:
    """The folders in which a data set's media may lie, and archives that are unpacked when one is missed."""

    def __init__(
        self, folders: Iterable[Path], archives: Iterable[Callable[[], Path]] = (), *, trusted: bool
    ) -> None:
        """Each of `archives` is asked for its path when it is needed: it may have to be downloaded.

        `trusted`: names may lead anywhere; those of a downloaded data set may not.
        """
        self.folders = [inner for path in folders for inner in _inner(path)]
        self._archives = list(archives)
        self.trusted = trusted

    def find(self, name: str, where: str) -> Path:
        """The file called `name`, or where it should be; `where` is the row for messages.

        Raises DataError for a name that leads out of the data set, or is a web address.
        """
        if name.lower().startswith(("http://", "https://", "data:")):
            raise DataError(f"{where}: {name[:60]!r} is no file; media are not fetched from the web")
        pure = PurePosixPath(name)
        if not self.trusted and (pure.is_absolute() or ".." in pure.parts):
            raise DataError(f"{where}: {name!r} leads out of the data set")
        while True:
            for place in self.folders:
                if os.path.lexists(path := place / pure):
                    return path
            if not self._archives:
                return self.folders[0] / pure
            from eval_anything.media.archive import unpack_cached

            archive = self._archives.pop(0)()
            if archive.is_file():
                self.folders += _inner(unpack_cached(archive, "train"))


def _inner(path: Path) -> list[Path]:
    root = path.resolve()
    return [root / name for name in _INSIDE if not name or (root / name).is_dir()]


class Keeper:
    """Makes `File` parts of what rows hold."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self._stored: Any = None

    def files(self, value: Any, modality: Modality, where: str) -> tuple[File, ...]:
        """The media in a cell: one or a list of them; none where it is empty.

        Each may be bytes, a name, {bytes, path} as parquet has it, or {array, sampling_rate} of sound, which
        becomes a WAV file. Raises DataError, beginning with `where`, for anything else and for broken bytes.
        """
        several = value if isinstance(value, list | tuple) else [value]
        return tuple(self._file(one, modality, where) for one in several if one is not None and one != "")

    def _file(self, value: Any, modality: Modality, where: str) -> File:
        if isinstance(value, dict) and value.get("array") is not None:
            value = _wav(value, where)
        elif isinstance(value, dict) and value.keys() & {"bytes", "path"}:
            value = value.get("bytes") or value.get("path")
        if isinstance(value, bytes | bytearray) and value:
            return self._keep(bytes(value), modality, where)
        if isinstance(value, str) and value:
            return File(str(self.places.find(value, where)), modality)
        raise DataError(f"{where}: {type(value).__name__} is no {modality}: expected bytes or a path")

    def _keep(self, content: bytes, modality: Modality, where: str) -> File:
        if self._stored is None:
            from eval_anything.media.store import ArtifactStore

            self._stored = ArtifactStore(folder())
        try:
            return File(str(self._stored.path(self._stored.add_bytes(content, modality))), modality)
        except MediaError as fault:
            raise DataError(f"{where}: {fault}") from None


def _wav(value: dict[str, Any], where: str) -> bytes:
    import numpy as np

    from eval_anything.media.convert import write_wav

    rate = value.get("sampling_rate")
    if not isinstance(rate, int) or rate < 1:
        raise DataError(f"{where}: sampling_rate is {rate!r}, expected hertz")
    try:
        samples = np.asarray(value["array"], dtype=np.float32)
    except (TypeError, ValueError) as fault:
        raise DataError(f"{where}: array is not one of numbers: {fault}") from None
    if samples.ndim == 2 and samples.shape[0] <= min(_FEW_CHANNELS, samples.shape[1]):
        samples = samples.T
    if samples.ndim not in (1, 2) or not samples.size:
        raise DataError(f"{where}: array has the shape {samples.shape}, expected samples")
    return write_wav(samples, rate)


def survey(records: Iterable[Record], of: str) -> tuple[tuple[Modality, ...], tuple[Modality, ...]]:
    """What `records` hold in prompts, and in answers.

    Raises DataError, naming file and record, for the first medium that is not there, is empty or does not
    begin like one of its kind.
    """
    given: set[Modality] = set()
    made: set[Modality] = set()

    def media() -> Iterator[Medium]:
        for record in records:
            where = f"record {record.id!r} of {of}"
            asked = (part for message in record.messages for part in message.parts)
            answered = (p for name in ("answer", "chosen", "rejected") for p in getattr(record, name, ()))
            for parts, seen in ((asked, given), (answered, made)):
                for part in parts:
                    if (modality := part_modality(part)) is not None:
                        seen.add(modality)
                    if isinstance(part, File):
                        yield Medium(Path(part.path), part.modality, where)

    check_media(media())
    return tuple(m for m in MODALITIES if m in given), tuple(m for m in MODALITIES if m in made)
