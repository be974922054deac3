"""Rows of data files one after another: JSON, JSON lines (also gzipped) and parquet."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from eval_anything.errors import DataError
from eval_anything.records import iter_parquet, parquet_columns, place

SUFFIXES = (".parquet", ".jsonl", ".json", ".jsonl.gz", ".json.gz")
"""In the order of preference, where a file is there twice."""
_EXPECTED = "a data file: " + ", ".join(SUFFIXES)


def suffix(path: Path) -> str:
    """Which of SUFFIXES the file has, or ""."""
    return next((end for end in SUFFIXES if path.name.lower().endswith(end)), "")


def stem(path: Path) -> str:
    return path.name[: len(path.name) - len(suffix(path))]


def columns(path: Path) -> list[str]:
    """Names of its columns: of JSON, all keys of its rows, of which single rows may lack some.

    Raises DataError, also where it has no rows.
    """
    if suffix(path) == ".parquet":
        return parquet_columns(path, _EXPECTED)
    return list(dict.fromkeys(key for _, row in rows(path) for key in row))


def row_id(row: Mapping[str, Any], path: Path, number: int) -> str:
    """The row's own `id`, or the names of file and row where it has none."""
    own = row.get("id")
    return str(own) if own not in (None, "") else f"{stem(path)}-{number}"


def rows(path: Path, wanted: Collection[str] | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows with their numbers from 0; of parquet, with the `wanted` columns alone.

    A parquet file of any size takes little memory, a JSON list that of its text. Raises DataError naming file
    and row; also, at the first row, where there are none.
    """
    end = suffix(path)
    if not end:
        raise DataError(f"{path}: {path.suffix or 'no suffix'}; expected {_EXPECTED}")
    source = (
        iter_parquet(path, _EXPECTED, None if wanted is None else sorted(wanted))
        if end == ".parquet"
        else _json(path)
    )
    number = -1
    for number, row in enumerate(source):
        yield number, row
    if number < 0:
        raise DataError(f"{path}: no rows")


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The rows of JSON or JSON lines as they are written, with their numbers. Raises DataError."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            if ".jsonl" in path.name.lower():
                written = (line for line in file if line.strip())
                yield from enumerate(written)
            else:
                text = file.read()
                whole = msgspec.json.Decoder(list[msgspec.Raw])
                if text.lstrip()[:1] == b"[":
                    yield from enumerate(bytes(raw) for raw in whole.decode(text))
                else:  # lines, by another name
                    yield from enumerate(line for line in text.splitlines() if line.strip())
    except FileNotFoundError:
        raise DataError(f"{path}: not there; expected {_EXPECTED}") from None
    except (OSError, EOFError, zlib.error, msgspec.MsgspecError, RecursionError) as fault:
        raise DataError(f"{path}: neither a JSON list nor JSON lines: {fault}") from None


def _json(path: Path) -> Iterator[dict[str, Any]]:
    reader = msgspec.json.Decoder()
    for number, line in lines(path):
        try:
            row = reader.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
            raise DataError(f"{place(path, number)}: {fault}") from None
        if not isinstance(row, dict):
            raise DataError(f"{place(path, number)}: {type(row).__name__}, expected an object")
        yield row
