"""`openai/NAME`: any model behind an OpenAI-compatible chat completions server."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Literal

import msgspec

from eval_anything.errors import UsageError
from eval_anything.models.base import Account, Model, ModelContext
from eval_anything.models.modalities import parse_modalities
from eval_anything.models.openai.access import Access, find_access
from eval_anything.models.openai.address import CHAT_ROUTE, DEFAULT_URL
from eval_anything.models.openai.decode import Decoder
from eval_anything.models.openai.encode import Body, Dialect, encode_request, media_bytes
from eval_anything.models.openai.faults import http_fault
from eval_anything.models.openai.media import MediaEncoder
from eval_anything.models.openai.plain import ROUTE, PlainScorer, encode_plain
from eval_anything.models.openai.wire import PlainCompletion
from eval_anything.values import Capabilities, Request, Response

if TYPE_CHECKING:
    from eval_anything.models.openai.connection import Connection, HttpReply

# Work on more bytes than this leaves the event loop, which hundreds of requests share. Media in a reply
# are decoded to be checked, which takes longer than base64 does.
_INLINE_REQUEST_BYTES = 512 * 1024
_INLINE_REPLY_BYTES = 64 * 1024


class OpenAIOptions(msgspec.Struct, frozen=True, kw_only=True):
    base_url: str = DEFAULT_URL
    """Where the server is; several URLs separated by commas share the load."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the key: OPENAI_API_KEY for OpenAI's own server. Servers
    of others get no key unless this names one."""
    api_key: str | None = None
    """Refused, as everybody on a machine can see its command lines: use api_key_env."""
    inputs: str = "text,image,audio,video"
    """Modalities that the model takes."""
    outputs: str = "text"
    """Modalities that the model gives."""
    tools: bool = True
    """Whether the model can call tools."""
    voice: str = "alloy"
    """Voice of audio output."""
    audio_format: Literal["wav", "mp3", "flac", "opus"] = "wav"
    """File format of audio output."""
    max_tokens_field: Literal["auto", "max_tokens", "max_completion_tokens"] = "auto"
    """Name of the token limit; auto: max_completion_tokens at api.openai.com, max_tokens elsewhere."""

    def __post_init__(self) -> None:
        if self.api_key is not None:
            raise ValueError(
                "api_key is not taken, as command lines can be seen by others: put the key into an "
                "environment variable and name that with api_key_env"
            )


class OpenAIModel(Model):
    """Any model behind an OpenAI-compatible server (--base-url), or OpenAI's own."""

    provider = "openai"
    Options = OpenAIOptions
    transport_options = ("base_url", "api_key_env", "api_key", "max_tokens_field")

    def __init__(self, name: str, options: OpenAIOptions, access: Access | None = None) -> None:
        """`access`: who is asked with which key, where the options do not say it (a server that we started).

        Raises UsageError for a base URL that is none, UnknownName for an unknown modality.
        """
        super().__init__(name, options)
        self._spec = f"{self.provider}/{name}"
        where = f"model {self._spec}, option"
        self._inputs = parse_modalities(options.inputs, f"{where} inputs")
        self._outputs = parse_modalities(options.outputs, f"{where} outputs")
        self._access = access or find_access(options.base_url, options.api_key_env)
        self._secrets = self._access.secrets
        self._connection: Connection | None = None
        self._dialect = Dialect(
            model=name,
            max_tokens_field=self._max_tokens_field(options),
            voice=options.voice,
            audio_format=options.audio_format,
        )

    def _max_tokens_field(self, options: OpenAIOptions) -> str:
        if options.max_tokens_field != "auto":
            return options.max_tokens_field
        return "max_completion_tokens" if self._access.own else "max_tokens"

    def capabilities(self) -> Capabilities:
        # OpenAI's own server has the completions route for none of its chat models.
        plain = not self._access.own
        return Capabilities(
            inputs=self._inputs,
            outputs=self._outputs,
            tools=self.options.tools,
            plain=plain,
            likelihood="plain" if plain else "",
        )

    def secrets(self) -> tuple[str, ...]:
        return self._secrets

    def account(self) -> Account:
        return self._access.account

    async def start(self, context: ModelContext) -> None:
        """Raises UsageError when the key is missing or a server cannot be reached."""
        await super().start(context)
        self._media = MediaEncoder(context.store)
        self._decoder = Decoder(self._spec, context.store, self._secrets)
        self._connection = await self._access.connect(self._spec, context.timeout_s)
        self._scorer = PlainScorer(self.name, self._ask_plain)

    async def generate(self, request: Request) -> Response:
        if request.continuation is not None:
            return await self._scorer.score(request, request.continuation)
        body = await self._encode(request)
        sent = time.perf_counter()
        reply = await self._post(body.data, ROUTE if request.plain else CHAT_ROUTE)
        seconds = time.perf_counter() - sent
        if len(reply.body) > _INLINE_REPLY_BYTES:
            response = await asyncio.to_thread(self._decoder.decode, reply.body, request, reply.server)
        else:
            response = self._decoder.decode(reply.body, request, reply.server)
        return msgspec.structs.replace(response, seconds=seconds, notes=body.notes)

    async def _post(self, body: bytes, route: str) -> "HttpReply":
        if self._connection is None:
            raise UsageError(f"model {self._spec} was asked before it was started")
        reply = await self._connection.post(body, route)
        if not 200 <= reply.status < 300:
            raise http_fault(reply.status, reply.headers, reply.body, self._secrets, reply.server)
        return reply

    async def _ask_plain(self, body: bytes) -> PlainCompletion:
        reply = await self._post(body, ROUTE)
        return self._decoder.read_plain(reply.body, reply.server)

    async def _encode(self, request: Request) -> Body:
        if request.plain:
            return Body(encode_plain(request, self._dialect), ())
        if media_bytes(request) > _INLINE_REQUEST_BYTES:
            return await asyncio.to_thread(encode_request, request, self._dialect, self._media)
        return encode_request(request, self._dialect, self._media)

    async def stop(self) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None
