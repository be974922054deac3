"""Members of archives as hostile input: what any of them may be, and what is said of those that may not."""

from __future__ import annotations

import errno
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Final

from eval_anything.errors import DataError
from eval_anything.media.limits import MediaLimits

MARKER: Final = ".unpacked"
"""Lies in a folder that was unpacked to its end."""
_STORAGE_ERRNOS: Final = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO),
    *(errno.EMFILE, errno.ENFILE),
}


class Refused(Exception):
    """What is wrong, without the names of archive and member."""


class Budget:
    """Counts members and the bytes that they say they have."""

    def __init__(self, limits: MediaLimits) -> None:
        self._limits = limits
        self._members = 0
        self._bytes = 0

    def spend(self, size: int) -> None:
        """Raises Refused where one more member of `size` bytes is too much."""
        self._members += 1
        self._bytes += size
        if self._members > self._limits.max_archive_members:
            raise Refused(f"is one of more than {self._limits.max_archive_members} members")
        if self._bytes > self._limits.max_archive_bytes:
            raise Refused(f"unpacks the archive to more than {self._limits.max_archive_bytes} bytes")


def inner_path(name: str) -> PurePosixPath:
    """The path of a member, inside of the folder into which it is unpacked."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise Refused("leads out of the archive")
    if path.parts[:1] == (MARKER,):
        raise Refused("has a name that is reserved")
    return path


@contextmanager
def naming(where: Callable[[], str]) -> Iterator[None]:
    """Turn what an archive can do wrong into a DataError that begins with `where()`; let disk faults pass."""
    try:
        yield
    except OSError as fault:
        if fault.errno in _STORAGE_ERRNOS:
            raise
        raise DataError(f"{where()}: {fault.strerror or fault}") from fault
    except (
        *(tarfile.TarError, zipfile.BadZipFile, Refused, EOFError, zlib.error, ValueError, LookupError),
        *(ArithmeticError, RuntimeError),  # the latter: encrypted, or packed in a way that nobody knows
    ) as fault:
        raise DataError(f"{where()}: {fault}") from fault
