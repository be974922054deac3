"""The journal: append-only JSON lines, one per finished response or score.

A row is on its way to the disk before its result is counted, so `kill -9` costs only what was in flight
(`LineFile` says how).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from eval_anything.errors import DataError
from eval_anything.stores.lines import LineFile
from eval_anything.stores.rows import Key, ResponseRow, Row, ScoreRow, key
from eval_anything.stores.secrets import Blanks
from eval_anything.values import Spent

_decoder: msgspec.json.Decoder[Row] = msgspec.json.Decoder(ResponseRow | ScoreRow)


def read_rows(path: Path) -> Iterator[Row]:
    """Rows in file order. A half-written last line is left out; damage elsewhere raises DataError."""
    for _, row in read_rows_with_offsets(path):
        yield row


def read_rows_with_offsets(path: Path) -> Iterator[tuple[int, Row]]:
    """Each row with the byte offset at which its line starts."""
    offset = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            try:
                yield offset, _decoder.decode(line)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
                raise DataError(f"{path}, line {number}: damaged: {fault}") from None
            offset += len(line)


def read_row_at(path: Path, offset: int) -> Row:
    with path.open("rb") as file:
        file.seek(offset)
        return _decoder.decode(file.readline())


class Journal:
    """The writer; one at a time for each file."""

    def __init__(self, path: Path, secrets: Sequence[str] = ()) -> None:
        """`secrets` are blanked out of every line, whoever put them there.

        Raises RunConflict while another process writes the journal, StorageError where it cannot be opened.
        """
        self._blank = Blanks(secrets)
        self._encoder = msgspec.json.Encoder()
        self._lines = LineFile(path)

    def append(self, row: Row) -> None:
        """Write one row. Raises StorageError (disk full, say); what was finished before stays readable."""
        self._lines.append(self._blank(self._encoder.encode(row)))

    def close(self) -> None:
        self._lines.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Finished:
    """What a journal already holds of a run: which scores are done, and where unjudged responses lie."""

    def __init__(self, path: Path, fingerprints: dict[str, str]) -> None:
        """`fingerprints`: the present one of each task; rows of any other are left alone."""
        self._path = path
        self._scored: set[Key] = set()
        self._responses: dict[Key, int] = {}
        self.spent = Spent()
        """What all of it has consumed; replaced rows count as well, for it was consumed."""
        if not path.exists():
            return
        for offset, row in read_rows_with_offsets(path):
            if fingerprints.get(row.task) != row.fingerprint:
                continue
            if isinstance(row, ScoreRow):
                self._take_score(row)
            else:
                self._take_response(offset, row)

    def _take_response(self, offset: int, row: ResponseRow) -> None:
        self.spent.add(row.task, "model", row.response.usage)
        self.spent.add(row.task, "tools", row.response.tool_usage)
        self._scored.discard(key(row))
        if row.response.state in ("error", "skipped"):
            self._responses.pop(key(row), None)
        else:
            self._responses[key(row)] = offset

    def _take_score(self, row: ScoreRow) -> None:
        """A verdict is final unless it is an outage: then the response waits to be judged again."""
        self.spent.add(row.task, "judge", row.score.usage)
        if key(row) in self._responses and row.score.state not in ("judge_error", "no_response"):
            self._scored.add(key(row))

    def scored(self, key: Key) -> bool:
        return key in self._scored

    def responded(self, key: Key) -> bool:
        return key in self._responses

    def response(self, key: Key) -> ResponseRow | None:
        """The finished response of `key`, if there is one."""
        offset = self._responses.get(key)
        if offset is None:
            return None
        row = read_row_at(self._path, offset)
        assert isinstance(row, ResponseRow)
        return row

    def __len__(self) -> int:
        return len(self._scored)


def now() -> float:
    return round(time.time(), 3)
