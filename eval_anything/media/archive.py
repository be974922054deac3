"""Archives of media: unpacked as hostile input, written so that equal content gives equal bytes."""

from __future__ import annotations

import errno
import gzip
import io
import os
import secrets
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Final, Self, cast

from eval_anything.errors import DataError, StorageError
from eval_anything.media.limits import DEFAULT_LIMITS, MediaLimits

_MARKER: Final = ".unpacked"
"""Lies in a folder that was unpacked to its end."""
_HEADER_ROOM: Final = 1 << 20
"""Bytes that the archive may spend on one member beside its content; tarfile holds them all in memory."""
_STORAGE_ERRNOS: Final = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO),
    *(errno.EMFILE, errno.ENFILE),
}


def unpack(archive: Path, into: Path, limits: MediaLimits = DEFAULT_LIMITS) -> Path:
    """Unpack a tar or tar.gz file to `into`, whole or not at all, and return `into`.

    A folder that an earlier call has unpacked is returned as it is, and several processes may unpack at
    once. Raises DataError, naming archive and member, for members that lead out of `into`, for links out
    of it, devices and FIFOs, for too many members or bytes, and for a damaged archive; StorageError where
    the disk fails.
    """
    if (into / _MARKER).is_file():
        return into
    if into.exists() and not (into.is_dir() and not any(into.iterdir())):
        raise DataError(f"{into}: exists and is not an unpacked {archive.name}; move it away")
    staging = into.with_name(f".{into.name}.{secrets.token_hex(8)}.partial")
    try:
        staging.mkdir(parents=True)
        _extract(archive, staging, limits)
        (staging / _MARKER).touch(exist_ok=False)
        _publish(staging, into)
    except OSError as fault:
        raise StorageError(f"{into}: {archive.name} cannot be unpacked: {fault.strerror}") from fault
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return into


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
        partial.unlink(missing_ok=True)


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
        if fault.errno not in (errno.ENOTEMPTY, errno.EEXIST) or not (into / _MARKER).is_file():
            raise


class _Refused(Exception):
    """What is wrong, without the names of archive and member."""


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
            raise _Refused("has more than 1 MiB beside its content")
        return data


def _extract(archive: Path, staging: Path, limits: MediaLimits) -> None:
    where = str(archive)
    links: list[str] = []
    with _naming(lambda: where), _open_tar(archive) as (stream, tar):
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
                raise _Refused("is a link that leads out of the archive")


class _Checks:
    """Decides on each member before anything of it is written; remembers what has been written."""

    def __init__(self, limits: MediaLimits) -> None:
        self._limits = limits
        self._members = 0
        self._bytes = 0
        self._files: set[PurePosixPath] = set()
        self._links: set[PurePosixPath] = set()

    def admit(self, member: tarfile.TarInfo) -> None:
        self._members += 1
        self._bytes += member.size
        if self._members > self._limits.max_archive_members:
            raise _Refused(f"is one of more than {self._limits.max_archive_members} members")
        if self._bytes > self._limits.max_archive_bytes:
            raise _Refused(f"unpacks the archive to more than {self._limits.max_archive_bytes} bytes")
        path = _inner_path(member.name)
        if path in self._links or any(parent in self._links for parent in path.parents):
            raise _Refused("is written through a link")
        if member.issym():
            self._links.add(path)
        elif member.isreg():
            self._files.add(path)
        elif member.islnk():
            if _inner_path(member.linkname) not in self._files:
                raise _Refused(f"is a link to {member.linkname[:200]!r}, no earlier file of the archive")
        elif not member.isdir():
            raise _Refused("is a device or FIFO")


def _inner_path(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise _Refused("leads out of the archive")
    if path.parts[:1] == (_MARKER,):
        raise _Refused("has a name that is reserved")
    return path


class _Member(tarfile.TarInfo):
    """tarfile takes a broken header after the first for the archive's end; here it is a fault."""

    @classmethod
    def fromtarfile(cls, tar: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tar)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # public, and not in the stubs
            raise
        except tarfile.HeaderError as fault:
            raise _Refused(f"the header here is broken: {fault}") from None


@contextmanager
def _open_tar(archive: Path) -> Iterator[tuple[_Metered, tarfile.TarFile]]:
    if not archive.is_file():
        raise _Refused("no such file")
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


@contextmanager
def _naming(where: Callable[[], str]) -> Iterator[None]:
    """Turn what an archive can do wrong into a DataError that begins with `where()`; let disk faults pass."""
    try:
        yield
    except OSError as fault:
        if fault.errno in _STORAGE_ERRNOS:
            raise
        raise DataError(f"{where()}: {fault.strerror or fault}") from fault
    except (
        *(tarfile.TarError, _Refused, EOFError, zlib.error, ValueError, LookupError, ArithmeticError),
        RecursionError,
    ) as fault:
        raise DataError(f"{where()}: {fault}") from fault
