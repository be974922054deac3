"""Records on disk, read one at a time: a sequence whose memory does not grow with what the records hold."""

from __future__ import annotations

import os
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

from eval_anything.errors import DataError
from eval_anything_train.data import schema
from eval_anything_train.values import Record

R = TypeVar("R", bound=Record)


class Lines(Sequence[R], Generic[R]):
    """The records of a JSONL file in the project's schema. May be read by several threads at once."""

    def __init__(self, path: Path, rename: schema.Rename, kind: type[R]) -> None:
        """Remembers where each line begins. Raises DataError where the file cannot be read."""
        self._path = path
        self._rename = rename
        self._kind = kind
        try:
            self._handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            self._starts = array("Q", [0])
            with path.open("rb") as file:
                for line in file:
                    self._starts.append(self._starts[-1] + len(line))
        except OSError as fault:
            raise DataError(f"{path}: {fault.strerror}") from None

    def __del__(self) -> None:
        if (handle := getattr(self, "_handle", None)) is not None:
            os.close(handle)

    def __len__(self) -> int:
        return len(self._starts) - 1

    @overload
    def __getitem__(self, index: int) -> R: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[R]: ...
    def __getitem__(self, index: int | slice) -> R | Sequence[R]:
        """One record, or a view of several that reads none yet. Raises DataError for a damaged line."""
        if isinstance(index, slice):
            return _View(self, range(len(self))[index])
        place = range(len(self))[index]
        start, end = self._starts[place], self._starts[place + 1]
        # pread has no position that threads would share.
        record = schema.decode(os.pread(self._handle, end - start, start), str(self), self._rename)
        if not isinstance(record, self._kind):
            raise DataError(f"{self._path}: line {place + 1} is no {self._kind.__name__.lower()}")
        return record

    def __str__(self) -> str:
        return str(self._path)


class _View(Sequence[R], Generic[R]):
    """Some records of a sequence, by their places."""

    def __init__(self, whole: Sequence[R], places: range) -> None:
        self._whole = whole
        self._places = places

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return _View(self._whole, self._places[index])
        return self._whole[self._places[index]]
