"""The journal: append-only JSON lines, one per finished response or score.

Each line goes to the kernel in one write before the result is counted, so `kill -9` costs only what was in
flight; a background fsync bounds what a power failure costs. A line that could not be written whole is cut
off again, so the file always ends at a finished row.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from eval_anything.errors import DataError, RunConflict, StorageError
from eval_anything.stores.rows import Key, ResponseRow, Row, ScoreRow, key
from eval_anything.stores.secrets import Blanks

_FSYNC_EVERY_S = 1.0
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
    """The writer; one at a time for each file (held by a lock that a dying process gives back)."""

    def __init__(self, path: Path, secrets: Sequence[str] = ()) -> None:
        """`secrets` are blanked out of every line, whoever put them there.

        Raises RunConflict while another process writes the journal, StorageError where it cannot be opened.
        """
        self.path = path
        self._blank = Blanks(secrets)
        self._encoder = msgspec.json.Encoder()
        self._lock = threading.Lock()
        self._dirty = False
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as fault:
            raise StorageError(f"{path}: cannot be written: {fault.strerror}") from fault
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._fd)
            raise RunConflict(f"{path.parent}: another process is writing this run") from None
        self._end = self._cut_half_written_line()
        self._closing = threading.Event()
        self._syncer = threading.Thread(target=self._sync_now_and_then, name="journal-fsync", daemon=True)
        self._syncer.start()

    def append(self, row: Row) -> None:
        """Write one row. Raises StorageError (disk full, say); what was finished before stays readable."""
        line = self._blank(self._encoder.encode(row)) + b"\n"
        with self._lock:
            try:
                written = os.pwrite(self._fd, line, self._end)
                while written < len(line):
                    written += os.pwrite(self._fd, line[written:], self._end + written)
            except OSError as fault:
                os.ftruncate(self._fd, self._end)
                raise StorageError(f"{self.path}: cannot be written: {fault.strerror}") from fault
            self._end += len(line)
            self._dirty = True

    def close(self) -> None:
        self._closing.set()
        self._syncer.join()
        self._sync()
        os.close(self._fd)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _cut_half_written_line(self) -> int:
        """Where the last whole line ends; whatever a dying process left behind it is cut off."""
        size = os.fstat(self._fd).st_size
        position = size
        while position > 0:
            start = max(0, position - 65536)
            newline = os.pread(self._fd, position - start, start).rfind(b"\n")
            if newline >= 0:
                position = start + newline + 1
                break
            position = start
        if position != size:
            os.ftruncate(self._fd, position)
        return position

    def _sync_now_and_then(self) -> None:
        while not self._closing.wait(_FSYNC_EVERY_S):
            self._sync()

    def _sync(self) -> None:
        with self._lock:
            dirty, self._dirty = self._dirty, False
        if dirty:
            os.fsync(self._fd)


class Finished:
    """What a journal already holds of a run: which scores are done, and where unjudged responses lie."""

    def __init__(self, path: Path, fingerprints: dict[str, str]) -> None:
        """`fingerprints`: the present one of each task; rows of any other are left alone."""
        self._path = path
        self._scored: set[Key] = set()
        self._responses: dict[Key, int] = {}
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
        self._scored.discard(key(row))
        if row.response.state in ("error", "skipped"):
            self._responses.pop(key(row), None)
        else:
            self._responses[key(row)] = offset

    def _take_score(self, row: ScoreRow) -> None:
        """A verdict is final unless it is an outage: then the response waits to be judged again."""
        if key(row) in self._responses and row.score.state not in ("judge_error", "no_response"):
            self._scored.add(key(row))

    def scored(self, key: Key) -> bool:
        return key in self._scored

    def response(self, key: Key) -> ResponseRow | None:
        """The finished response of `key` that still has to be judged."""
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
