"""Archives of media: unpacked as hostile input, written so that equal content gives equal bytes."""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import os
import secrets
import shutil
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Final, Self, cast

from eval_anything.errors import DataError, StorageError
from eval_anything.home import home
from eval_anything.media import zipped
from eval_anything.media.limits import DEFAULT_LIMITS, MediaLimits
from eval_anything.media.members import MARKER, Budget, Refused, inner_path, naming

_HEADER_ROOM: Final = 1 << 20
"""Bytes that the archive may spend on one member beside its content; tarfile holds them all in memory."""


def unpack(archive: Path, into: Path, limits: MediaLimits = DEFAULT_LIMITS) -> Path:
    """Unpack a tar, tar.gz or zip file to `into`, whole or not at all, and return `into`.

    A folder that an earlier call has unpacked is returned as it is, and several processes may unpack at
    once. Raises DataError, naming archive and member, for members that lead out of `into`, for links out
    of it, devices and FIFOs, for too many members or bytes, and for a damaged archive; StorageError where
    the disk fails.
    """
    if (into / MARKER).is_file():
        return into
    if into.exists() and not (into.is_dir() and not any(into.iterdir())):
        raise DataError(f"{into}: exists and is not an unpacked {archive.name}; move it away")
    staging = into.with_name(f".{into.name}.{secrets.token_hex(8)}.partial")
    try:
        staging.mkdir(parents=True)
        extract = zipped.extract if zipped.is_zip(archive) else _extract
        extract(archive, staging, limits)
        (staging / MARKER).touch(exist_ok=False)
        _publish(staging, into)
    except OSError as fault:
        raise StorageError(f"{into}: {archive.name} cannot be unpacked: {fault.strerror}") from fault
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return into


def unpack_cached(archive: Path, name: str) -> Path:
    """Unpack `archive` into the cache folder of the data set `name`, once, and return where it is.

    An archive of the same path, size and time of change is the same. Raises as `unpack` does.
    """
    try:
        known = archive.stat()
    except OSError as fault:
        raise DataError(f"{archive}: {fault.strerror}") from None
    identity = f"{archive.resolve()}\0{known.st_size}\0{known.st_mtime_ns}"
    digest = hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()
    return unpack(archive, home() / "data" / name / digest[:24])


def write_tar_gz(archive: Path, files: Iterable[tuple[str, bytes | Path]]) -> None:
    """Write (name, content) pairs in their order; no times, owners or modes, so equal input, equal bytes.

    Atomic. Raises StorageError where a source cannot be read or the archive cannot be written.
    """
    partial = archive.with_name(f".{archive.name}.{secrets.token_hex(8)}.partial")
    try:
        archive.parent.mkdir(parents=True, exist_ok=True)
        with (
            partial.open("xb") as raw,
            gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
        ):
            for name, content in files:
                _append(tar, name, content)
        os.replace(partial, archive)
    except OSError as fault:
        raise StorageError(f"{archive}: cannot be written: {fault}") from fault
    finally:
        if partial.exists():
            partial.unlink()


def _append(tar: tarfile.TarFile, name: str, content: bytes | Path) -> None:
    member = tarfile.TarInfo(name)  # mtime, uid and gid are 0, the mode 644
    with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as source:
        member.size = source.seek(0, os.SEEK_END)
        source.seek(0)
        tar.addfile(member, source)


def _publish(staging: Path, into: Path) -> None:
    try:
        staging.rename(into)
    except OSError as fault:
        # Another process was quicker: what it has unpacked is the same.
        if fault.errno not in (errno.ENOTEMPTY, errno.EEXIST) or not (into / MARKER).is_file():
            raise


class _Metered(io.RawIOBase):
    """A stream that refuses to give more than it was granted: stops a bomb while it unpacks."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._left = 0

    def grant(self, count: int) -> None:
        """Allow `count` bytes from here on."""
        self._left = count + _HEADER_ROOM

    def read(self, size: int = -1) -> bytes:
        data = self._source.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise Refused("has more than 1 MiB beside its content")
        return data


def _extract(archive: Path, staging: Path, limits: MediaLimits) -> None:
    where = str(archive)
    links: list[str] = []
    with naming(lambda: where), _open_tar(archive) as (stream, tar):
        checks = _Checks(limits)
        while True:
            stream.grant(0)
            member = tar.next()
            if member is None:
                break
            where = f"{archive}, member {member.name[:200]!r}"
            checks.admit(member)
            stream.grant(member.size)
            tar.extract(member, staging, filter="data")
            if member.issym():
                links.append(member.name)
        root = staging.resolve()
        for name in links:
            # Only now: where a link leads can depend on links that came after it.
            where = f"{archive}, member {name[:200]!r}"
            if not (staging / name).resolve().is_relative_to(root):
                raise Refused("is a link that leads out of the archive")


class _Checks:
    """Decides on each member before anything of it is written; remembers what has been written."""

    def __init__(self, limits: MediaLimits) -> None:
        self._budget = Budget(limits)
        self._files: set[PurePosixPath] = set()
        self._links: set[PurePosixPath] = set()

    def admit(self, member: tarfile.TarInfo) -> None:
        self._budget.spend(member.size)
        path = inner_path(member.name)
        if path in self._links or any(parent in self._links for parent in path.parents):
            raise Refused("is written through a link")
        if member.issym():
            self._links.add(path)
        elif member.isreg():
            self._files.add(path)
        elif member.islnk():
            if inner_path(member.linkname) not in self._files:
                raise Refused(f"is a link to {member.linkname[:200]!r}, no earlier file of the archive")
        elif not member.isdir():
            raise Refused("is a device or FIFO")


class _Member(tarfile.TarInfo):
    """tarfile takes a broken header after the first for the archive's end; here it is a fault."""

    @classmethod
    def fromtarfile(cls, tar: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tar)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # public, and not in the stubs
            raise
        except tarfile.HeaderError as fault:
            raise Refused(f"the header here is broken: {fault}") from None


@contextmanager
def _open_tar(archive: Path) -> Iterator[tuple[_Metered, tarfile.TarFile]]:
    if not archive.is_file():
        raise Refused("no such file")
    with archive.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        with gzip.GzipFile(fileobj=raw) if packed else raw as source:
            stream = _Metered(cast(IO[bytes], source))
            stream.grant(0)
            with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Member) as tar:
                yield stream, tar
                stream.grant(0)
                while stream.read(1 << 16):  # padding; reading it makes gzip compare its checksum
                    pass
