"""What reads a data set: files, and the records in them one after another."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from eval_anything_train.data.annotated import Left
from eval_anything_train.values import Record


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


def stamps(files: Iterable[Path]) -> list[tuple[str, int, int]]:
    """Path, size and time of change: another content under the same is taken for the same."""
    real = [path.resolve() for path in files]
    return [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in real]
