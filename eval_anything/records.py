"""Records of data sets: rows of JSON, JSON lines and parquet as typed values, and checks of layouts.

Every fault is a DataError that names the file, the row, the field and what was expected, before any model
is asked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from fnmatch import fnmatch
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from eval_anything.errors import DataError, MissingExtra
from eval_anything.media.sniff import EXTENSIONS, HEAD_BYTES, describe, sniff
from eval_anything.values import Modality

S = TypeVar("S", bound=msgspec.Struct)

_DATA_SUFFIXES = (".json", ".jsonl", ".parquet", ".csv", ".tsv")
_READERS = 8
"""Files opened at once: on a network file system each waits for its answer."""
_AT_ONCE = 2048
_BATCH = 64
"""Rows of a parquet file decoded at once: each may hold pictures."""
_BUFFER = 1 << 20


class Medium(NamedTuple):
    """A media file that a record names."""

    path: Path
    modality: Modality
    where: str
    """The record: "row 3 (question_id '7')"."""


class Embedded(msgspec.Struct, frozen=True):
    """A media file inside a parquet column."""

    content: bytes = msgspec.field(name="bytes")


def json_rows(path: Path, expected: str) -> list[Any]:
    """The rows of a JSON list or of JSON lines; `expected` describes the layout where there is no file."""
    try:
        text = path.read_bytes()
        decoder = msgspec.json.Decoder()
        text = text.removeprefix(b"\xef\xbb\xbf")  # some editors begin a file with it
        rows = decoder.decode(text) if text.lstrip()[:1] == b"[" else decoder.decode_lines(text)
    except FileNotFoundError:
        raise DataError(f"{path}: not there; expected {expected}") from None
    except (OSError, msgspec.MsgspecError, RecursionError) as fault:
        raise DataError(f"{path}: neither a JSON list nor JSON lines: {fault}") from None
    return _some(path, list(rows))


def parquet_rows(path: Path, expected: str, columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """The rows of a parquet file, of `columns` alone where they are given.

    Raises MissingExtra where pyarrow is not installed, DataError also for a column that is not there.
    """
    return _some(path, list(iter_parquet(path, expected, columns)))


def iter_parquet(path: Path, expected: str, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
    """The same rows one after another: a file of any size in bounded memory. Raises the same, while read."""
    with _parquet(path, expected) as file:
        held = file.schema_arrow.names
        lacking = [name for name in columns or () if name not in held]
        if lacking:
            raise DataError(f"{path}: no column {lacking[0]!r} (it has: {', '.join(held)})")
        for group in range(file.num_row_groups):  # all at once, they would be read ahead
            for batch in file.iter_batches(
                _BATCH, [group], list(columns) if columns else None, use_threads=False
            ):
                yield from batch.to_pylist()


def parquet_columns(path: Path, expected: str) -> list[str]:
    """The names of its columns. Raises as `parquet_rows` does."""
    with _parquet(path, expected) as file:
        names: list[str] = file.schema_arrow.names
        return names


@contextmanager
def _parquet(path: Path, expected: str) -> Iterator[Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtra(
            f"{path}: reading parquet needs pyarrow: pip install 'eval-anything[hub]'"
        ) from None
    try:
        with pyarrow.parquet.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False) as file:
            yield file
    except FileNotFoundError:
        raise DataError(f"{path}: not there; expected {expected}") from None
    except (OSError, pyarrow.ArrowException) as fault:
        raise DataError(f"{path}: not readable as parquet: {str(fault).strip().splitlines()[0]}") from None


def _some(path: Path, rows: list[Any]) -> list[Any]:
    if not rows:
        raise DataError(f"{path}: no rows")
    return rows


def parquet_records(root: Path, pattern: str, kind: type[S], expected: str, key: str = "") -> list[S]:
    """The rows of all parquet files below `root` that match `pattern` ("data/test-*.parquet"), in the order
    of their names. Raises DataError also where other data lie beside them."""
    shards = sorted(root.glob(pattern))
    if not shards:
        raise DataError(f"{root / pattern}: not there; expected {expected}")
    check_folder(root, [shard.relative_to(root).as_posix() for shard in shards], (), expected)
    columns = [field.encode_name for field in msgspec.structs.fields(kind)]
    found: list[S] = []
    for shard in shards:
        found += records(shard, parquet_rows(shard, expected, columns), kind, key)
    return found


def records(path: Path, rows: Iterable[Any], kind: type[S], key: str = "") -> list[S]:
    """`rows` of `path` as `kind`; `key` is the field that names a row in messages."""
    return [record(path, number, row, kind, key) for number, row in enumerate(rows)]


def record(path: Path, number: int, value: Any, kind: type[S], key: str = "") -> S:
    """One row as `kind`. Fields besides those of `kind` are not read; ids (`key`, and names that end in _id)
    may be whole numbers where text is wanted."""
    if isinstance(value, dict):
        value = {
            name: str(v)
            if (name.endswith("_id") or name == key) and isinstance(v, int) and not isinstance(v, bool)
            else v
            for name, v in value.items()
        }
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as fault:
        raise DataError(f"{place(path, number, value, key)}: {fault}") from None


def place(path: Path, number: int, value: Any = None, key: str = "") -> str:
    """How messages name a row: file, number from 0, and its id where it has one."""
    held = value.get(key) if isinstance(value, Mapping) else getattr(value, key, None) if key else None
    return f"{path}, row {number}" + (f" ({key} {held!r})" if held is not None else "")


def check_unique(path: Path, field: str, values: Iterable[str]) -> None:
    """Raises DataError for a value that occurs twice."""
    seen: set[str] = set()
    for number, value in enumerate(values):
        if value in seen:
            raise DataError(f"{path}, row {number}: {field} {value!r} occurs twice")
        seen.add(value)


def check_count(path: Path, found: int, published: int, what: str = "rows") -> None:
    """For the hub's files: raises DataError where there are not as many rows as were published."""
    if found != published:
        raise DataError(f"{path}: {found} {what}, the published data set has {published}: another revision?")


def check_folder(root: Path, required: Sequence[str], known: Sequence[str], expected: str) -> None:
    """Check a folder of the benchmark's layout; `known` are further names, or patterns, that may be there.

    Raises DataError for a required file or folder that is missing, and for a data file (JSON, parquet, CSV)
    beside them that the layout does not know: it would be left out without a word.
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; expected {expected}")
    for name in required:
        if not (root / name).exists():
            raise DataError(f"{root / name}: not there; expected {expected}")
    for folder in sorted({(root / name).parent for name in required} | {root}):
        for file in sorted(folder.iterdir()):
            name = file.relative_to(root).as_posix()
            is_data = file.suffix.lower() in _DATA_SUFFIXES and not file.name.startswith(".")
            if is_data and name not in required and not any(fnmatch(name, pattern) for pattern in known):
                raise DataError(f"{file}: not a file of this data set; expected {expected}")


def check_media(media: Iterable[Medium]) -> None:
    """Raises DataError, naming file and record, for the first of `media` that is not there, is empty, or does
    not begin like a file of its modality. What is broken further in costs one sample of the run."""
    waiting = iter(media)
    with ThreadPoolExecutor(_READERS) as pool:
        while some := list(islice(waiting, _AT_ONCE)):
            for fault in pool.map(_fault, some):
                if fault:
                    raise DataError(fault)


def _fault(medium: Medium) -> str:
    path, modality, where = medium
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except FileNotFoundError:
        return f"{path}: not there; {where} names it"
    except OSError as fault:
        return f"{path}: {fault.strerror}; {where} names it"
    if not head:
        return f"{path}: empty; {where} names it"
    mime = sniff(head, modality)
    if mime not in EXTENSIONS or not mime.startswith(f"{modality}/"):
        article = "an" if modality[0] in "aeiou" else "a"
        return f"{path}: {describe(mime)}, expected {article} {modality}; {where} names it"
    return ""


def write_embedded(images: Iterable[bytes], folder: Path) -> list[Path]:
    """Media that a parquet file holds, as files named by their hash, each written once; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for content in images:
        path = folder / hashlib.sha256(content).hexdigest()
        if not path.is_file() or path.stat().st_size != len(content):
            partial = path.with_suffix(".partial")
            partial.write_bytes(content)
            partial.replace(path)
        paths.append(path)
    return paths


def revision_of(rows: Sequence[msgspec.Struct], *more: bytes) -> str:
    """Hash of the rows that are used: the same for the same rows, in whatever file they came."""
    digest = hashlib.sha256(msgspec.json.encode(rows, order="deterministic"))
    for part in more:
        digest.update(part)
    return digest.hexdigest()[:16]


def sizes_of(media: Iterable[Medium], root: Path) -> bytes:
    """Names and sizes of media files, for `revision_of`: other files under the same records are other data.
    Their bytes are not read for it, which would take minutes for tens of gigabytes."""
    known = {medium.path for medium in media}
    lines = sorted(f"{path.relative_to(root).as_posix()}\0{path.stat().st_size}" for path in known)
    return "\n".join(lines).encode("utf-8", "surrogateescape")
