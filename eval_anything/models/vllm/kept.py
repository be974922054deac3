"""Servers that outlive the run that started them: their folders, and how a later run finds them.

A server has a folder in EVAL_ANYTHING_HOME/vllm with its log; one that is kept has `server.json` there too.
The key is the user's own, in a file that nobody else may read.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from eval_anything.home import home

_RECORD = "server.json"
_LOGS_KEPT = 20


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A server that was left running."""

    spec: str
    pid: int
    """Of its supervisor: SIGTERM to it ends the server."""
    born: str
    """When that process began, in the kernel's words: numbers of processes are used again."""
    port: int
    command: list[str]
    """Without the port."""
    weights: dict[str, Any]
    """What its checkpoint and adapters were: hashes, commits, versions."""
    log: str

    def is_alive(self) -> bool:
        return born(self.pid) == self.born

    def __str__(self) -> str:
        return f"the server kept for {self.spec} on port {self.port}; it ends with: kill {self.pid}"


def own_key() -> str:
    """This user's key for managed servers, made on first use."""
    file = _folder() / "key"
    with contextlib.suppress(FileNotFoundError):
        return file.read_text().strip()
    with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False) as new:  # for the owner alone
        new.write(secrets.token_urlsafe(24))
    with contextlib.suppress(FileExistsError):
        os.link(new.name, file)  # another process may have been faster
    os.unlink(new.name)
    return file.read_text().strip()


def new_log() -> Path:
    """Where a new server's log goes. Of servers that have ended, the last 20 logs are kept."""
    _prune()
    return Path(tempfile.mkdtemp(prefix="server-", dir=_folder())) / "log.txt"


def remember(server: Kept) -> None:
    """So that `running` finds it."""
    Path(server.log).with_name(_RECORD).write_bytes(msgspec.json.encode(server))


def running() -> list[Kept]:
    """The kept servers that still run."""
    found = []
    for file in sorted(_folder().glob(f"server-*/{_RECORD}")):
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            server = msgspec.json.decode(file.read_bytes(), type=Kept)
            if server.is_alive():
                found.append(server)
    return found


def born(pid: int) -> str:
    """When process `pid` began, as a text to compare; empty where there is none, or a dead one."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if fields[0] == "Z" else fields[19]
    except OSError:
        pass
    try:
        os.kill(pid, 0)  # no /proc here: that it exists must do
    except OSError:
        return ""
    return "unknown"


def _folder() -> Path:
    folder = home() / "vllm"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _prune() -> None:
    logs = {Path(server.log).parent for server in running()}
    folders = sorted(_folder().glob("server-*"), key=lambda path: path.stat().st_mtime, reverse=True)
    for folder in [path for path in folders if path not in logs][_LOGS_KEPT:]:
        shutil.rmtree(folder, ignore_errors=True)
