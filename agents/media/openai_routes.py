"""Images, speech and videos by the media routes of OpenAI-compatible servers.

`openai_images/NAME` asks `/images/generations`, `openai_speech/NAME` `/audio/speech`, `openai_videos/NAME`
`/videos`. What comes back is checked like any hostile file; URLs in replies are never fetched.
"""

from __future__ import annotations

import abc
import asyncio
import base64
import binascii
import re
import time
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from eval_anything.agents.media.made import answer, check_asked, keep, prompt_of
from eval_anything.errors import GarbageReply, ModelError, RateLimited, ServerFault, TransportFault
from eval_anything.models.base import Account, Model, ModelContext
from eval_anything.models.openai.access import find_access
from eval_anything.models.openai.address import DEFAULT_URL
from eval_anything.models.openai.faults import excerpt, http_fault
from eval_anything.models.replied import lineage_of
from eval_anything.values import Capabilities, Request, Response, Text

if TYPE_CHECKING:
    from eval_anything.models.openai.connection import Connection, HttpReply

_DECLINED = ("content_policy_violation", "moderation_blocked", "content_filter")
_JOB_ID = re.compile(r"[\w-][\w.-]{0,199}")


class RouteOptions(msgspec.Struct, frozen=True, kw_only=True):
    base_url: str = DEFAULT_URL
    """Where the server is; several URLs separated by commas share the load."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the key: OPENAI_API_KEY for OpenAI's own server. Servers
    of others get no key unless this names one."""


class ImagesOptions(RouteOptions, frozen=True, kw_only=True):
    size: str | None = None
    """WIDTHxHEIGHT in pixels; None: the server's choice."""
    quality: str | None = None
    """As the server calls it (low, high, hd); None: its choice."""
    format: Literal["png", "jpeg", "webp"] | None = None
    """File format; None: the server's choice."""


class SpeechOptions(RouteOptions, frozen=True, kw_only=True):
    voice: str = "alloy"
    """Who speaks."""
    format: Literal["wav", "mp3", "flac", "opus"] = "wav"
    """File format."""


class VideosOptions(RouteOptions, frozen=True, kw_only=True):
    size: str | None = None
    """WIDTHxHEIGHT in pixels; None: the server's choice."""
    duration_s: Annotated[int, msgspec.Meta(ge=1, le=600)] | None = None
    """Seconds; None: the server's choice."""
    poll_s: Annotated[float, msgspec.Meta(gt=0)] = 2.0
    """Seconds between two questions whether the video is done."""
    wait_s: Annotated[float, msgspec.Meta(gt=0)] = 540.0
    """Seconds after which a video that is not done is given up; below `timeout_s`, which would ask again."""


class _RouteModel(Model, abc.ABC):
    """One media route: what is posted to it, and how the medium is found in the reply."""

    transport_options = ("base_url", "api_key_env")

    def __init__(self, name: str, options: Any) -> None:
        """Raises UsageError for a base URL that is none."""
        super().__init__(name, options)
        self._access = find_access(options.base_url, options.api_key_env)
        self._connection: Connection | None = None
        self._spec = f"{self.provider}/{name}"

    def capabilities(self) -> Capabilities:
        return Capabilities(inputs=("text",), outputs=self.makes)

    def secrets(self) -> tuple[str, ...]:
        return self._access.secrets

    def account(self) -> Account:
        return self._access.account

    async def start(self, context: ModelContext) -> None:
        """Raises UsageError when the key is missing or a server cannot be reached."""
        await super().start(context)
        self._connection = await self._access.connect(self._spec, context.timeout_s)

    async def stop(self) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def generate(self, request: Request) -> Response:
        check_asked(request, self.makes[0], self._spec)
        prompt = prompt_of(request, self._spec)
        sent = time.perf_counter()
        try:
            reply, data, details = await self._fetch(self._body(prompt, request))
        except _Declined as declined:
            parts = (Text(str(declined)),)
            return Response(parts=parts, state="refused", finish_reason="content_filter")
        seconds = time.perf_counter() - sent
        lineage = lineage_of(request, self._spec, request.params.seed, {**self._settings(), **details})
        try:
            part = await asyncio.to_thread(keep, self.context.store, data, self.makes[0], lineage)
        except GarbageReply as fault:
            raise GarbageReply(f"{reply.server}: {fault}; it begins with {self._excerpt(data)!r}") from None
        return msgspec.structs.replace(answer(request, part), seconds=seconds)

    @abc.abstractmethod
    def _body(self, prompt: str, request: Request) -> dict[str, Any]: ...

    @abc.abstractmethod
    async def _fetch(self, body: dict[str, Any]) -> "tuple[HttpReply, bytes, dict[str, Any]]":
        """The reply, the medium's bytes, and what else the reply tells of it."""

    def _settings(self) -> dict[str, Any]:
        stated = msgspec.to_builtins(self.options)
        left_out = (*self.transport_options, "poll_s", "wait_s")
        return {k: v for k, v in stated.items() if k not in left_out and v is not None}

    def _seed(self, request: Request) -> dict[str, Any]:
        """Servers of others take a seed; OpenAI's own refuses fields that it does not know."""
        seed = request.params.seed
        return {} if seed is None or self._access.own else {"seed": seed + request.draw}

    async def _post(self, route: str, body: dict[str, Any]) -> "HttpReply":
        assert self._connection is not None, "asked before it was started"
        return self._checked(await self._connection.post(msgspec.json.encode(body), route))

    def _checked(self, reply: "HttpReply") -> "HttpReply":
        if 200 <= reply.status < 300:
            return reply
        fault = http_fault(reply.status, reply.headers, reply.body, self.secrets(), reply.server)
        if reply.status == 400 and any(word in reply.body.decode("utf-8", "replace") for word in _DECLINED):
            raise _Declined(str(fault))
        raise fault

    def _object(self, reply: "HttpReply") -> dict[str, Any]:
        try:
            value = msgspec.json.decode(reply.body)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as fault:
            said = self._excerpt(reply.body)
            raise GarbageReply(f"{reply.server}: not JSON ({fault}): {said!r}") from None
        if not isinstance(value, dict):
            raise GarbageReply(f"{reply.server}: no JSON object: {self._excerpt(reply.body)!r}")
        return value

    def _excerpt(self, data: bytes) -> str:
        return excerpt(data[:2000].decode("utf-8", "replace"), self.secrets())


class _Declined(Exception):
    """The server's content filter said no; the message is its own."""


class ImagesModel(_RouteModel):
    """Images by the route /images/generations of OpenAI-compatible servers (--base-url), or OpenAI's own."""

    provider = "openai_images"
    makes = ("image",)
    Options = ImagesOptions

    def _body(self, prompt: str, request: Request) -> dict[str, Any]:
        body: dict[str, Any] = {"model": self.name, "prompt": prompt, "n": 1}
        if not (self._access.own and self.name.startswith("gpt-image")):  # which gives nothing but base64
            body["response_format"] = "b64_json"
        named = {
            "size": self.options.size,
            "quality": self.options.quality,
            "output_format": self.options.format,
        }
        body |= {field: value for field, value in named.items() if value is not None}
        return body | self._seed(request) | request.params.extra

    async def _fetch(self, body: dict[str, Any]) -> "tuple[HttpReply, bytes, dict[str, Any]]":
        reply = await self._post("/images/generations", body)
        match self._object(reply).get("data"):
            case [{"b64_json": str(text), **rest}, *_]:
                revised = rest.get("revised_prompt")
                details = {"revised_prompt": revised} if isinstance(revised, str) and revised else {}
                return reply, self._decoded(text, reply), details
            case [{"url": str()}, *_]:
                raise GarbageReply(f"{reply.server}: the image came as a URL, which is not fetched")
        raise GarbageReply(f"{reply.server}: no image in the reply: {self._excerpt(reply.body)!r}")

    def _decoded(self, text: str, reply: "HttpReply") -> bytes:
        try:
            return base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError) as fault:
            said = excerpt(text[:100], self.secrets())
            raise GarbageReply(f"{reply.server}: the image is not base64 ({fault}): {said!r}") from None


class SpeechModel(_RouteModel):
    """Speech by the route /audio/speech of an OpenAI-compatible server (--base-url): it says the prompt."""

    provider = "openai_speech"
    makes = ("audio",)
    Options = SpeechOptions

    def _body(self, prompt: str, request: Request) -> dict[str, Any]:
        voice = {"voice": self.options.voice, "response_format": self.options.format}
        return {"model": self.name, "input": prompt} | voice | self._seed(request) | request.params.extra

    async def _fetch(self, body: dict[str, Any]) -> "tuple[HttpReply, bytes, dict[str, Any]]":
        reply = await self._post("/audio/speech", body)
        return reply, reply.body, {}


class VideosModel(_RouteModel):
    """Videos by the route /videos of OpenAI-compatible servers (--base-url): made in a job, then fetched."""

    provider = "openai_videos"
    makes = ("video",)
    Options = VideosOptions
    transport_options = ("base_url", "api_key_env", "poll_s", "wait_s")

    def _body(self, prompt: str, request: Request) -> dict[str, Any]:
        body: dict[str, Any] = {"model": self.name, "prompt": prompt}
        if self.options.size is not None:
            body["size"] = self.options.size
        if self.options.duration_s is not None:
            body["seconds"] = str(self.options.duration_s)
        return body | self._seed(request) | request.params.extra

    async def _fetch(self, body: dict[str, Any]) -> "tuple[HttpReply, bytes, dict[str, Any]]":
        began = time.monotonic()
        reply = await self._post("/videos", body)
        job = self._object(reply)
        identifier = job.get("id")
        if not isinstance(identifier, str) or not _JOB_ID.fullmatch(identifier):
            raise GarbageReply(f"{reply.server}: no job in the reply: {self._excerpt(reply.body)!r}")
        route = f"/videos/{identifier}"
        while not self._done(job, reply):
            left = began + self.options.wait_s - time.monotonic()
            if left <= 0:
                raise ModelError(f"{reply.server}: video not done within {self.options.wait_s:g} s")
            await asyncio.sleep(min(self.options.poll_s, left))
            # A job that goes on is worth more than one question: starting anew would pay for it twice.
            try:
                job = self._object(await self._get(route, reply.server))
            except (TransportFault, RateLimited, ServerFault, GarbageReply):
                continue
        content = await self._get(f"{route}/content", reply.server)
        return content, content.body, {"job": identifier}

    async def _get(self, route: str, server: str) -> "HttpReply":
        assert self._connection is not None, "asked before it was started"
        return self._checked(await self._connection.get(route, server))

    def _done(self, job: dict[str, Any], reply: "HttpReply") -> bool:
        """Whether the video can be fetched. Raises for a job that has failed, or whose state is none."""
        match job.get("status"):
            case "completed":
                return True
            case "queued" | "in_progress" | "processing" | "pending" | "running":
                return False
            case "failed" | "cancelled" | "expired" as state:
                said = excerpt(msgspec.json.encode(job.get("error")).decode(), self.secrets())
                if any(word in said for word in _DECLINED):
                    raise _Declined(said)
                raise ModelError(f"{reply.server}: the video's job {state}: {said}")
        said = excerpt(msgspec.json.encode(job).decode(), self.secrets())
        raise GarbageReply(f"{reply.server}: a job in no known state: {said!r}")
