"""What a started server tells of itself: whether it is ready, what it serves, which media it takes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import aiohttp
import msgspec

from eval_anything.errors import UsageError
from eval_anything.models.openai.faults import excerpt, server_message
from eval_anything.values import Modality

_READY_S = 2.0
_ANSWER_S = 60.0
_EXPECTED = "expected a vLLM server there"
_LACKS = re.compile(r"At most 0 |not (a )?multi-?modal|(does|do|is) not support", re.I)


class Card(msgspec.Struct, frozen=True):
    """One of the models that a server names."""

    id: str


class Cards(msgspec.Struct, frozen=True):
    """The reply of /v1/models."""

    data: list[Card]


class Server:
    """An address of this machine, asked with the server's key. `spec` begins the messages."""

    def __init__(self, root: str, key: str, spec: str) -> None:
        """`root`: "http://127.0.0.1:8000"."""
        self._root = root
        self._key = key
        self._spec = spec

    async def is_ready(self) -> bool:
        """Whether it answers that it can serve."""
        try:
            return (await self._ask("/health", None, _READY_S))[0] == 200
        except (aiohttp.ClientError, OSError):  # a time-out is an OSError
            return False

    async def check(self, name: str, media: Mapping[Modality, dict[str, Any]]) -> None:
        """Raises UsageError where it is not vLLM, serves other models than `name`, asks for another key, or
        does not take one of `media`, parts of a message by what they are."""
        try:
            await self._check_name(name)
            for modality, item in media.items():
                await self._check_takes(name, modality, item)
        except (aiohttp.ClientError, OSError) as fault:
            raise self._wrong(f"{type(fault).__name__}: {fault}; {_EXPECTED}") from None

    async def _check_name(self, name: str) -> None:
        status, body = await self._ask("/v1/models", None, _ANSWER_S)
        if status in (401, 403):
            raise self._wrong("it asks for another key: name the variable that has it with -M api_key_env")
        try:
            served = [card.id for card in msgspec.json.decode(body, type=Cards).data]
        except (msgspec.MsgspecError, UnicodeDecodeError):
            said = excerpt(body[:2000].decode("utf-8", "replace"), (self._key,))
            raise self._wrong(f"HTTP {status}, and no list of models: {said!r}; {_EXPECTED}") from None
        if name not in served:
            raise self._wrong(f"it serves {', '.join(served) or 'nothing'}; expected {name}")

    async def _check_takes(self, name: str, modality: Modality, item: dict[str, Any]) -> None:
        """By the route that counts tokens, which looks at media as the model would and generates nothing."""
        body = {"model": name, "messages": [{"role": "user", "content": [item]}]}
        status, reply = await self._ask("/tokenize", body, _ANSWER_S)
        said = server_message(reply)
        if status == 400 and _LACKS.search(said):
            raise self._wrong(
                f"it does not take {modality}: {excerpt(said, (self._key,))} (expected by the checkpoint's "
                f"files or -M inputs; -M inputs=text,... without {modality} masks it)"
            )

    async def _ask(self, route: str, body: dict[str, Any] | None, limit_s: float) -> tuple[int, bytes]:
        headers = {"Authorization": f"Bearer {self._key}"}
        limit = aiohttp.ClientTimeout(total=limit_s)
        async with (
            aiohttp.ClientSession(headers=headers, timeout=limit) as session,
            session.request("GET" if body is None else "POST", self._root + route, json=body) as reply,
        ):
            return reply.status, await reply.content.read(1 << 20)

    def _wrong(self, what: str) -> UsageError:
        return UsageError(f"{self._spec}: the server at {self._root}: {what}")
