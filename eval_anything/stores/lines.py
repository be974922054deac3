"""A file of lines that only grows, each line written whole or not at all; one writer at a time."""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path
from typing import Self

from eval_anything.errors import RunConflict, StorageError

_FSYNC_EVERY_S = 1.0


class LineFile:
    """The writer. It holds a lock that a dying process gives back.

    Each line goes to the kernel in one write, so `kill -9` costs nothing that was appended; a background
    fsync bounds what a power failure costs.
    """

    def __init__(self, path: Path) -> None:
        """A half-written last line of a killed process is cut off.

        Raises RunConflict while another process writes the file, StorageError where it cannot be opened.
        """
        self.path = path
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
        self._syncer = threading.Thread(
            target=self._sync_now_and_then, name=f"{path.stem}-fsync", daemon=True
        )
        self._syncer.start()

    def append(self, line: bytes) -> None:
        """Write `line` and a newline. Raises StorageError (disk full, say); earlier lines stay whole."""
        line += b"\n"
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

    def cut(self, end: int) -> None:
        """Forget what lies beyond byte `end`, which is where a line ends."""
        with self._lock:
            os.ftruncate(self._fd, end)
            self._end = end
            self._dirty = True

    def sync(self) -> None:
        """Return when all lines are on the disk."""
        with self._lock:
            dirty, self._dirty = self._dirty, False
        if dirty:
            os.fsync(self._fd)

    def close(self) -> None:
        self._closing.set()
        self._syncer.join()
        self.sync()
        os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _cut_half_written_line(self) -> int:
        """Where the last whole line ends."""
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
            self.sync()
