"""What a started model holds: the connection, the files on the server, the signatures of thoughts."""

from __future__ import annotations

import asyncio
import time

import msgspec

from eval_anything.models.base import ModelContext
from eval_anything.models.gemini.access import Access
from eval_anything.models.gemini.connection import Connection
from eval_anything.models.gemini.decode import Decoder
from eval_anything.models.gemini.encode import Dialect, encode_config, encode_contents
from eval_anything.models.gemini.files import Files
from eval_anything.models.gemini.media import Carrier
from eval_anything.models.gemini.signatures import Signatures
from eval_anything.values import Request, Response


class Session:
    """Open between `open` and `close`."""

    def __init__(self, dialect: Dialect, access: Access, context: ModelContext, inline_bytes: int) -> None:
        """`inline_bytes`: media of one request, in base64, that are not uploaded."""
        self._dialect = dialect
        self._connection = Connection(dialect.model, access, context.timeout_s)
        self._files = Files(self._connection, context.store, context.timeout_s)
        self._carrier = Carrier(context.store, self._files, inline_bytes)
        self._decoder = Decoder(f"gemini/{dialect.model}", context.store, access.base_url, access.secrets)
        self._signatures = Signatures()

    async def open(self) -> None:
        """Raises UsageError where no Gemini API answers, or it does not know the model or the key."""
        await self._connection.open()

    async def close(self) -> None:
        """Delete what was uploaded, and disconnect."""
        await self._files.close()
        await self._connection.close()

    async def ask(self, request: Request) -> Response:
        """One attempt. Raises ModelError, and MediaError for a file that cannot be sent."""
        config = encode_config(request, self._dialect)
        media = await self._carrier.carry(request.messages)
        contents, notes = encode_contents(request, self._dialect, media, self._signatures)
        sent = time.perf_counter()
        reply = await self._connection.generate(contents, config)
        seconds = time.perf_counter() - sent
        # Media in a reply are decoded to be checked, which would hold up the event loop.
        decoded = await asyncio.to_thread(self._decoder.decode, reply, request)
        self._signatures.keep(request.messages, decoded.calls)
        notes = (*notes, *decoded.response.notes)
        return msgspec.structs.replace(decoded.response, seconds=seconds, notes=notes)
