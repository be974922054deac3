"""The library's client: opened and checked, each call one attempt, what goes wrong a model error."""

from __future__ import annotations

import io
import logging
from collections.abc import Awaitable
from typing import Any, TypeVar

from google import genai
from google.genai import types

from eval_anything.errors import ModelError, RateLimited, ServerFault, UsageError
from eval_anything.models.gemini.access import Access
from eval_anything.models.gemini.faults import CALL_FAULTS, call_fault

R = TypeVar("R")
_CHECK_S = 15.0
# For servers that want no key; the library wants one, and would else take any that it finds.
_NO_KEY = "none"


class Connection:
    """Open between `open` and `close`. Calls raise TransportFault, RateLimited, ServerFault, GarbageReply,
    BadRequest and Forbidden."""

    def __init__(self, model: str, access: Access, timeout_s: float) -> None:
        self._model = model
        self.secrets = access.secrets
        self._access = access
        self._timeout_s = timeout_s

    async def open(self) -> None:
        """Raises UsageError where no Gemini API answers, or it does not know the model or the key."""
        # Which of the keys of the environment it takes is said by it even when it is given another.
        logging.getLogger("google_genai._api_client").setLevel(logging.ERROR)
        self._client = genai.Client(
            api_key=self._access.key or _NO_KEY, vertexai=False, http_options=self._options()
        )
        try:
            await self._check()
        except UsageError:
            await self.close()
            raise

    async def close(self) -> None:
        await self._client.aio.aclose()
        self._client.close()

    async def generate(self, contents: list[Any], config: Any) -> Any:
        """A types.GenerateContentResponse."""
        asked = self._client.aio.models.generate_content(model=self._model, contents=contents, config=config)
        return await self._attempt(asked)

    async def upload(self, data: bytes, mime: str) -> Any:
        """A types.File, which may not be usable yet."""
        # Uploads go where the API is, whatever address the server names for them. The library sends a piece
        # up to three times where the reply does not say how the upload stands, and cannot be told otherwise.
        options = types.HttpOptions(base_url=self._access.base_url)
        config = types.UploadFileConfig(mime_type=mime, http_options=options)
        return await self._attempt(self._client.aio.files.upload(file=io.BytesIO(data), config=config))

    async def file(self, name: str) -> Any:
        """A types.File, as it is now."""
        return await self._attempt(self._client.aio.files.get(name=name))

    async def delete(self, name: str) -> None:
        await self._attempt(self._client.aio.files.delete(name=name))

    def _options(self) -> Any:
        return types.HttpOptions(
            base_url=self._access.base_url,
            api_version=self._access.version or None,
            timeout=int(1000 * self._timeout_s),
            # One attempt, also after a failed connection, where the library tries again unless it is told.
            retry_options=types.HttpRetryOptions(attempts=1),
            # Not followed: the key would go along.
            async_client_args={"allow_redirects": False},
        )

    async def _check(self) -> None:
        options = types.HttpOptions(timeout=int(1000 * min(_CHECK_S, self._timeout_s)))
        asked = self._client.aio.models.get(
            model=self._model, config=types.GetModelConfig(http_options=options)
        )
        try:
            found = await self._attempt(asked)
        except (RateLimited, ServerFault):
            return  # it is there, and requests are sent again
        except ModelError as fault:
            raise self._unusable(str(fault)) from None
        if not found.name:
            raise self._unusable(f"{self._access.base_url}: the reply names no model")

    def _unusable(self, reason: str) -> UsageError:
        key = f" (key from {self._access.key_variable})" if self._access.key else " (no key was sent)"
        return UsageError(
            f"model gemini/{self._model}: {reason}; expected a server that speaks the Gemini API and has this"
            f" model{key}"
        )

    async def _attempt(self, call: Awaitable[R]) -> R:
        try:
            return await call
        except CALL_FAULTS as fault:
            raise call_fault(fault, self.secrets, self._access.base_url) from None
