"""The response cache: answers that need not be asked for again, across runs.

Keyed by the whole request, the model's identity and the media's hashes. The key leaves out only what the
model never sees: for which sample a request was made, where a file came from, what a tool consumed (a
deny-list: a new parameter changes the key by itself). Only answers are stored, never failures, as JSON;
media lie beside them in a store of their own.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from eval_anything.errors import MediaError, StorageError
from eval_anything.media.store import ArtifactStore
from eval_anything.stores.secrets import Blanks
from eval_anything.values import Artifact, Audio, Image, Request, Response, Usage, Video

DATABASE = "responses.sqlite"


class ResponseCache:
    """SQLite (WAL): several runs may read and write it at once."""

    def __init__(self, folder: Path, secrets: Sequence[str] = ()) -> None:
        """`secrets` are blanked out of every answer: a server may repeat the key that it was sent."""
        self.folder = folder
        self.hits = 0
        self._blank = Blanks(secrets)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(folder / DATABASE, timeout=30, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS responses (key BLOB PRIMARY KEY, response BLOB NOT NULL)"
            )
        except (OSError, sqlite3.Error) as fault:
            raise StorageError(f"response cache {folder}: {fault}") from fault
        self._media = ArtifactStore(folder / "media")

    def key(self, identity: bytes, request: Request) -> bytes:
        """`identity`: canonical JSON of what decides the model's answers."""
        asked = msgspec.to_builtins(msgspec.structs.replace(request, origin=None))
        canonical = msgspec.json.encode(_as_seen(asked), order="deterministic")
        return hashlib.sha256(identity + b"\0" + canonical).digest()

    def get(self, key: bytes, store: ArtifactStore) -> Response | None:
        """The stored answer, its media put into `store`; None when it, or a medium of it, is not there or
        damaged. Raises StorageError where the database cannot be read."""
        try:
            row = self._db.execute("SELECT response FROM responses WHERE key = ?", (key,)).fetchone()
        except sqlite3.Error as fault:
            raise StorageError(f"response cache {self.folder}: {fault}") from fault
        if row is None:
            return None
        try:
            response = msgspec.json.decode(row[0], type=Response)
            for artifact in _artifacts(response):
                store.adopt(artifact, self._media)
        except (MediaError, msgspec.MsgspecError):
            return None
        self.hits += 1
        usage = Usage(from_cache=1, served=response.usage.served)  # who answered then, at no cost now
        return msgspec.structs.replace(response, cached=True, usage=usage)

    def put(self, key: bytes, response: Response, store: ArtifactStore) -> None:
        """Raises StorageError when the disk is full."""
        for artifact in _artifacts(response):
            self._media.adopt(artifact, store)
        try:
            self._db.execute(
                "INSERT OR REPLACE INTO responses VALUES (?, ?)",
                (key, self._blank(msgspec.json.encode(response))),
            )
        except sqlite3.Error as fault:
            raise StorageError(f"response cache {self.folder}: {fault}") from fault

    def __len__(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM responses").fetchone()[0])

    def close(self) -> None:
        self._db.close()


def _artifacts(response: Response) -> list[Artifact]:
    return [part.artifact for part in response.parts if isinstance(part, Image | Audio | Video)]


def _as_seen(value: Any) -> Any:
    """`value` with artifacts and tool results reduced to what the model is given."""
    if isinstance(value, dict):
        unseen = (
            {"lineage"} if "sha256" in value else {"usage"} if value.get("type") == "tool_result" else set()
        )
        return {k: _as_seen(v) for k, v in value.items() if k not in unseen}
    if isinstance(value, list | tuple):
        return [_as_seen(v) for v in value]
    return value
