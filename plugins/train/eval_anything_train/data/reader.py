"""What reads a data set: files, and the records in them one after another."""

from __future__ import annotations

import abc
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from eval_anything_train.data.annotated import Left
from eval_anything_train.values import Record

_HASHED = 64 << 20
"""Bytes. Larger files are told by size and time alone; clocks of file systems tick a few times in 10 ms."""


class Item(NamedTuple):
    """One row."""

    number: int
    """Of the row in its file, from 0."""
    where: str
    """File and row, for messages."""
    made: Record | Left


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a data set before its rows are read."""

    name: str
    """As it was asked for."""
    files: tuple[Path, ...]
    """What decides what is read."""
    revision: str = ""
    """Commit, of one from the hub."""
    licence: str = ""
    subtask: str = ""
    options: Mapping[str, Any] = {}
    """What else decides what is read."""
    notes: tuple[str, ...] = ()
    synthetic: bool = False


class Reader(abc.ABC):
    """One data set, found and not yet read."""

    about: About

    @abc.abstractmethod
    def items(self, kind: type[Record]) -> Iterator[Item]:
        """All rows, in order, as records from which one of `kind` can be made (`kinds.convert`).

        Raises DataError naming file and row.
        """


def stamps(files: Iterable[Path]) -> list[tuple[str, int, int, str]]:
    """Path, size, time of change and, where that is quick, hash: what is the same in them has not changed."""
    found = []
    for path in files:
        real = path.resolve()
        known = real.stat()
        digest = hashlib.sha256(real.read_bytes()).hexdigest() if known.st_size <= _HASHED else ""
        found.append((str(real), known.st_size, known.st_mtime_ns, digest))
    return found
