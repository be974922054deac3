"""Runs a server for somebody, and ends it with them: a script of its own, which imports nothing of ours.

Run as: PYTHON -I supervisor.py LOG GRACE_S COMMAND...

Stands between a run and its server, because nothing else ends a server when the run is killed with -9: then
standard input, the run's end of a pipe, closes. The server gets SIGTERM, and when it has ended, or after
GRACE_S seconds, whatever is left of it and of all that it has started gets SIGKILL. The same at SIGTERM.

A line "keep" on standard input leaves server and supervisor alone from then on, until the server ends or this
process gets SIGTERM.

What the server prints is added to LOG. The exit code is the server's, 128 + N after signal N, 127 where it
cannot be run at all, and 0 where it was told to end.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_LOOK_S = 1.0
_STEP_S = 0.02


class _Tree:
    """The server and its descendants, which are all ours: on Linux, those whose parents end come to us."""

    def __init__(self, command: list[str], log: int) -> None:
        self.code: int | None = None
        self._server = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            process_group=0,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 (there are no threads here)
        )

    def look(self) -> int | None:
        """Collect what has ended; the server's exit code once it has."""
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    break
                if pid == self._server.pid:
                    code = os.waitstatus_to_exitcode(status)
                    self.code = self._server.returncode = code if code >= 0 else 128 - code
        return self.code

    def end(self, grace_s: float) -> None:
        """Ask the server to end, and then end everything."""
        until = time.monotonic() + grace_s
        if self.look() is None:
            os.kill(self._server.pid, signal.SIGTERM)
        while self.look() is None and time.monotonic() < until:
            time.sleep(_STEP_S)
        self.kill()

    def kill(self) -> None:
        while True:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._server.pid, signal.SIGKILL)
            left = _descendants(os.getpid())
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.look()
            if not left and self.code is not None:
                return
            time.sleep(_STEP_S)


def main() -> int:
    log_path, grace_s, *command = sys.argv[1:]
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    parent = os.getppid()
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    told: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _: told.append(number))
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    try:
        tree = _Tree(command, log)
    except OSError as fault:
        os.write(log, f"{command[0]}: cannot be run: {fault.strerror}\n".encode())
        return 127
    kept = False
    while (code := tree.look()) is None and not told:
        if not kept and os.getppid() != parent:
            break  # a process that the run forked may still hold its end of the pipe
        ready = select.select([woken] if kept else [woken, 0], [], [], _LOOK_S)[0]
        if woken in ready:
            os.read(woken, 4096)
        if 0 in ready:
            if not (words := os.read(0, 4096)):
                break
            kept = b"keep" in words
    tree.end(float(grace_s)) if code is None else tree.kill()
    return code or 0


def _die_with_parent() -> None:
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _prctl(what: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(what, value, 0, 0, 0)


def _descendants(root: int) -> list[int]:
    """Of the process `root`, dead ones that nobody has collected left out; empty where there is no /proc."""
    parents: dict[int, int] = {}
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir("/proc"):
            if name.isdigit():
                with contextlib.suppress(OSError), open(f"/proc/{name}/stat") as file:
                    state, parent = file.read().rpartition(")")[2].split()[:2]
                    if state != "Z":
                        parents[int(name)] = int(parent)
    found = [pid for pid, parent in parents.items() if parent == root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


if __name__ == "__main__":
    sys.exit(main())
