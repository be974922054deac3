"""Data sets as trainers get them: read once into the cache, then record by record from there."""

from __future__ import annotations

import dataclasses
import errno
import functools
import hashlib
import os
import secrets
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from eval_anything.errors import DataError, StorageError
from eval_anything.home import home
from eval_anything.values import Modality
from eval_anything_train import feedback, values
from eval_anything_train.data import media, schema
from eval_anything_train.data.annotated import Left
from eval_anything_train.data.kinds import convert
from eval_anything_train.data.lines import Lines
from eval_anything_train.data.reader import About, Reader, stamps
from eval_anything_train.values import Record

R = TypeVar("R", bound=Record)
_RECORDS, _ABOUT = "records.jsonl", "about.json"
_NO_FEEDBACK = "no language feedback"


@dataclasses.dataclass(frozen=True)
class DataSet(Generic[R]):
    """Records to train on; all their media have been found."""

    name: str
    records: Sequence[R]
    """On disk; one is read when it is asked for."""
    notes: tuple[str, ...]
    """Rows left out and why, and what else is to be known."""
    inputs: tuple[Modality, ...]
    """What prompts hold."""
    outputs: tuple[Modality, ...]
    """What answers hold."""
    licence: str = ""
    revision: str = ""
    """Commit of the hub's repository."""
    subtask: str = ""
    """Short name ("ti2t") of the part of align-anything."""
    synthetic: bool = False


def fingerprint(records: Iterable[Record]) -> str:
    """16 hex digits of the sha256 over all records; media count with names and sizes, wherever they lie.

    Raises DataError naming record and file where a medium is not there.
    """
    state = hashlib.sha256()
    for record in records:
        state.update(schema.encode(record, functools.partial(_sized, record.id)) + b"\n")
    return state.hexdigest()[:16]


def _sized(record: str, path: str) -> str:
    try:
        return f"{Path(path).name}:{os.stat(path).st_size}"
    except OSError as fault:
        raise DataError(f"record {record!r}: {path}: {fault.strerror}") from None


def prepare(reader: Reader, kind: type[R], limit: int | None = None) -> DataSet[R]:
    """The records of `reader` as `kind`, the first `limit` of them.

    They are written into the cache folder once, media inside of rows as well, and read from there. Raises
    DataError where rows cannot be read, none is left, or a medium is missing.
    """
    about = reader.about
    folder = home() / "data" / "train" / _identity(reader, kind, limit)
    if fresh := not folder.is_dir():
        _make(folder, reader, kind, limit)
    try:
        inputs, outputs = media.survey(_lines(folder, kind), about.name)
    except DataError:
        if fresh:
            raise
        # Media that came out of the rows may have been cleared away since.
        shutil.rmtree(folder, ignore_errors=True)
        _make(folder, reader, kind, limit)
        inputs, outputs = media.survey(_lines(folder, kind), about.name)
    left = msgspec.json.decode((folder / _ABOUT).read_bytes(), type=tuple[str, ...])
    return DataSet(
        name=about.name,
        records=_lines(folder, kind),
        notes=(*about.notes, *left),
        inputs=inputs,
        outputs=outputs,
        licence=about.licence,
        revision=about.revision,
        subtask=about.subtask,
        synthetic=about.synthetic,
    )


def _lines(folder: Path, kind: type[Any]) -> Lines[Any]:
    return Lines(folder / _RECORDS, str, kind)


def _identity(reader: Reader, kind: type[Any], limit: int | None) -> str:
    """What decides the records: files, options, and the code that reads them."""
    about = reader.about
    what: list[Any] = [type(reader).__name__, kind.__name__, limit, str(media.folder())]
    what += [stamps(about.files), dict(about.options), _code()]
    return hashlib.sha256(msgspec.json.encode(what, order="deterministic")).hexdigest()[:24]


@functools.cache
def _code() -> str:
    sources = [*Path(__file__).parent.glob("*.py"), Path(feedback.__file__), Path(values.__file__)]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(sources))).hexdigest()


def _make(folder: Path, reader: Reader, kind: type[Any], limit: int | None) -> None:
    """Write the folder, whole or not at all; several processes may do so at once."""
    staging = folder.with_name(f".{folder.name}.{secrets.token_hex(8)}.partial")
    try:
        staging.mkdir(parents=True)
        count = _Count(reader.about)
        with (staging / _RECORDS).open("wb") as file:
            for record in count.records(reader, kind, limit):
                file.write(schema.encode(record) + b"\n")
        (staging / _ABOUT).write_bytes(msgspec.json.encode(count.notes()))
        os.rename(staging, folder)
    except OSError as fault:
        # Another process was quicker: what it has written is the same.
        if fault.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise StorageError(f"{folder}: cannot be written: {fault.strerror}") from fault
    finally:
        shutil.rmtree(staging, ignore_errors=True)


class _Count:
    """Keeps count while the rows are read: of those left out, and of ids."""

    def __init__(self, about: About) -> None:
        self.about = about
        self.rows = 0
        self.made = 0
        self.left: Counter[str] = Counter()
        self.first: dict[str, str] = {}
        self.ids: set[str] = set()
        self.doubles = 0

    def records(self, reader: Reader, kind: type[Record], limit: int | None) -> Iterator[Record]:
        for number, where, made in reader.items(kind):
            self.rows += 1
            if isinstance(made, Left):
                self._leave(made.why, where)
                continue
            found = convert(self._unique(made, number), kind, where)
            if not found:
                self._leave(_NO_FEEDBACK, where)
            for record in found:
                self.made += 1
                yield record
                if self.made == limit:
                    return

    def notes(self) -> tuple[str, ...]:
        """Raises DataError where no row is left."""
        left = [
            f"{n} of {self.rows} rows left out: {why} (first: {self.first[why]})"
            for why, n in self.left.most_common()
        ]
        if not self.made:
            raise DataError(f"{self.about.name}: nothing to train on; {'; '.join(left)}")
        doubles = f"{self.doubles} ids occurred before: their row numbers were added to them"
        return (*left, *((doubles,) if self.doubles else ()))

    def _leave(self, why: str, where: str) -> None:
        self.left[why] += 1
        self.first.setdefault(why, where)

    def _unique(self, record: Record, number: int) -> Record:
        if record.id in self.ids:
            self.doubles += 1
            name, times = f"{record.id}-{number}", 1
            while name in self.ids:
                times += 1
                name = f"{record.id}-{number}-{times}"
            record = msgspec.structs.replace(record, id=name)
        self.ids.add(record.id)
        return record
