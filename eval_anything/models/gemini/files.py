"""The Files API: each distinct file is uploaded once in a run, and deleted at its end."""

from __future__ import annotations

import asyncio
import datetime
import logging
import time
from typing import TYPE_CHECKING, Any

from eval_anything.errors import GarbageReply, MediaError, ModelError, TransportFault
from eval_anything.models.gemini.media import Medium
from eval_anything.models.openai.faults import excerpt

if TYPE_CHECKING:
    from eval_anything.media.store import ArtifactStore
    from eval_anything.models.gemini.connection import Connection

log = logging.getLogger(__name__)
_POLL_S, _POLL_MOST_S = 0.2, 5.0
_DELETED_AT_ONCE = 16
# The server keeps files for two days; a request takes less than this.
_SPARE_S = 1800.0


class Files:
    """What this run has on the server."""

    def __init__(self, connection: "Connection", store: "ArtifactStore", timeout_s: float) -> None:
        """`timeout_s`: how long the server may take to make an uploaded file usable."""
        self._connection = connection
        self._store = store
        self._timeout_s = timeout_s
        self._arriving: dict[tuple[str, str], asyncio.Task[Any]] = {}
        self._names: list[str] = []

    async def uri(self, medium: Medium) -> str:
        """Of the medium, usable. Raises MediaError where the server cannot process it, and what the calls
        raise.

        Everybody who wants the same file waits for one upload; after one that failed, or whose file the
        server is about to delete, there is another.
        """
        key = (medium.artifact.sha256, medium.mime)
        known = self._arriving.get(key)
        if known is None or (known.done() and not _usable(known)):
            known = self._arriving[key] = asyncio.ensure_future(self._upload(medium))
        return str((await asyncio.shield(known)).uri)

    async def close(self) -> None:
        """Delete what was uploaded. Files that cannot be deleted are told of in the log: the server deletes
        them by itself later."""
        for task in self._arriving.values():
            task.cancel()
        await asyncio.gather(*self._arriving.values(), return_exceptions=True)
        places = asyncio.Semaphore(_DELETED_AT_ONCE)
        faults = await asyncio.gather(*(self._delete(name, places) for name in self._names))
        if left := [fault for fault in faults if fault is not None]:
            log.warning("%d uploaded files stay on the server for up to two days: %s", len(left), left[0])

    async def _upload(self, medium: Medium) -> Any:
        data = await asyncio.to_thread(medium.content, self._store)
        file = await self._connection.upload(data, medium.mime)
        self._names.append(_told(file.name, "name"))
        wait_s, until = _POLL_S, time.monotonic() + self._timeout_s
        while _state(file) == "PROCESSING":
            if time.monotonic() > until:
                raise TransportFault(f"{file.name}: still being processed after {self._timeout_s:g} s")
            await asyncio.sleep(wait_s)
            wait_s = min(_POLL_MOST_S, 2 * wait_s)
            file = await self._connection.file(file.name)
        if _state(file) != "ACTIVE":
            why = file.error.message if file.error is not None and file.error.message else _state(file)
            raise MediaError(
                f"{medium.artifact.sha256[:8]} ({medium.mime}): the server could not process the uploaded"
                f" file: {excerpt(why, self._connection.secrets)}"
            )
        _told(file.uri, "URI")
        return file

    async def _delete(self, name: str, places: asyncio.Semaphore) -> ModelError | None:
        async with places:
            try:
                await self._connection.delete(name)
            except ModelError as fault:
                return fault
        return None


def _usable(upload: asyncio.Task[Any]) -> bool:
    if upload.cancelled() or upload.exception() is not None:
        return False
    expires = upload.result().expiration_time
    return expires is None or (expires - datetime.datetime.now(datetime.UTC)).total_seconds() > _SPARE_S


def _state(file: Any) -> str:
    # Servers that process nothing leave it out.
    return "ACTIVE" if file.state is None else str(file.state.value)


def _told(value: str | None, what: str) -> str:
    if not value:
        raise GarbageReply(f"an uploaded file without a {what}")
    return value
