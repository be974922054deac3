"""Zip archives: unpacked as hostile input, written so that equal content gives equal bytes."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import zipfile
from collections.abc import Iterable
from pathlib import Path

from eval_anything.errors import StorageError
from eval_anything.media.limits import MediaLimits
from eval_anything.media.members import Budget, Refused, inner_path, naming

_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
"""A zip's first four bytes; the latter of one without members."""


def is_zip(archive: Path) -> bool:
    """Whether the file begins as a zip does."""
    try:
        with archive.open("rb") as file:
            return file.read(4) in _MAGIC
    except OSError:
        return False


def extract(archive: Path, staging: Path, limits: MediaLimits) -> None:
    """Unpack `archive` into the folder `staging`: files and folders, and nothing else.

    Raises DataError naming archive and member.
    """
    where = str(archive)
    with naming(lambda: where), zipfile.ZipFile(archive) as packed:
        budget = Budget(limits)
        for member in packed.infolist():
            where = f"{archive}, member {member.filename[:200]!r}"
            budget.spend(member.file_size)
            _write(packed, member, staging / _path(member))


def _path(member: zipfile.ZipInfo) -> str:
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise Refused("is a link, device or FIFO")
    return str(inner_path(member.filename))


def _write(packed: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> None:
    """Never more bytes than the member says it has: the reader stops there."""
    if member.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        raise Refused("is there twice")
    with packed.open(member) as source, path.open("xb") as target:
        shutil.copyfileobj(source, target)


def write_zip(archive: Path, files: Iterable[tuple[str, bytes]]) -> None:
    """Write (name, content) pairs in their order, not compressed (media are already), without times.

    Atomic. Raises StorageError where it cannot be written.
    """
    partial = archive.with_name(f".{archive.name}.{secrets.token_hex(8)}.partial")
    try:
        archive.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(partial, "x") as packed:
            for name, content in files:
                packed.writestr(zipfile.ZipInfo(name), content)  # its date is 1980-01-01
        os.replace(partial, archive)
    except OSError as fault:
        raise StorageError(f"{archive}: cannot be written: {fault}") from fault
    finally:
        if partial.exists():
            partial.unlink()
