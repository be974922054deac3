"""A model behind its limiter, its retries and the cache: every question ends in exactly one state."""

from __future__ import annotations

import asyncio
import random
import traceback
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from eval_anything.errors import (
    Forbidden,
    MediaError,
    ModelError,
    RateLimited,
    StorageError,
    TransportFault,
    UnknownName,
)
from eval_anything.media.store import ArtifactStore
from eval_anything.models.base import Model, ModelContext, nobody
from eval_anything.options import option_names, split
from eval_anything.registry import Plugins
from eval_anything.run.limiter import Limiter
from eval_anything.stores.cache import ResponseCache
from eval_anything.stores.rows import as_read
from eval_anything.suggest import nearest
from eval_anything.values import Capabilities, Fault, Params, Price, Reasoning, Request, Response, Text, Usage

if TYPE_CHECKING:
    from eval_anything.run.rates import Rates


class EndpointOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How requests travel; none of this can change an answer, so none of it is in a fingerprint."""

    concurrency: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Requests in flight at most; None: the run's --concurrency."""
    retries: Annotated[int, msgspec.Meta(ge=0)] = 6
    """How often a request that failed on the way (transport, 429, 5xx, garbage) is sent again."""
    backoff_s: Annotated[float, msgspec.Meta(ge=0)] = 0.5
    """Wait before the first retry, in seconds; doubles each time, with jitter, up to 30."""
    timeout_s: Annotated[float, msgspec.Meta(gt=0)] = 600.0
    """How long one attempt may take, in seconds."""
    rpm: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """Requests a minute at most; shared by all models of the run that use the same key at the same server."""
    tpm: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """Tokens a minute at most, of prompts and answers; shared likewise."""


class Endpoint:
    """What the run asks: a model, how it decodes, and how requests reach it."""

    def __init__(
        self, spec: str, model: Model, params: Params, options: EndpointOptions, concurrency: int = 32
    ) -> None:
        self.label = spec
        self.model = model
        self.params = params
        self.options = options
        self.places = options.concurrency or concurrency
        self.limiter = Limiter(self.places)
        self.cache: ResponseCache | None = None
        self.account = model.account()
        self.price: Price | None = None
        """None: not known."""
        self.rates: Rates | None = None
        """Of its account; None: no limits."""
        self._jitter = random.Random(0)

    def capabilities(self) -> Capabilities:
        return self.model.capabilities()

    def identity(self) -> dict[str, Any]:
        """What decides its answers: spec, options that are not transport, checkpoint, parameters."""
        options = msgspec.to_builtins(self.model.options)
        kept = {k: v for k, v in options.items() if k not in self.model.transport_options}
        return {
            "spec": self.label,
            "options": kept,
            "params": msgspec.to_builtins(self.params),
            **self.model.identity(),
        }

    async def start(
        self,
        store: ArtifactStore,
        cache: ResponseCache | None = None,
        tell: Callable[[str], None] = nobody,
    ) -> None:
        """`tell`: shows how far a start is that takes long."""
        self.cache = cache
        # Transport options too: two servers may serve different weights under one name.
        known = {**self.identity(), "all_options": msgspec.to_builtins(self.model.options)}
        self._identity_key = msgspec.json.encode(known, order="deterministic")
        await self.model.start(
            ModelContext(store=store, concurrency=self.places, timeout_s=self.options.timeout_s, tell=tell)
        )

    async def stop(self) -> None:
        await self.model.stop()

    async def ask(self, request: Request, accept: Callable[[Response], bool] | None = None) -> Response:
        """One answer. `accept` says whether it may be cached (a judge's reply without a verdict may not).

        Raises Forbidden (no further request can succeed) and StorageError; everything else that goes wrong
        is a Response in state error.
        """
        request = msgspec.structs.replace(request, params=merge(request.params, self.params))
        if self.cache is not None:
            key = self.cache.key(self._identity_key, request)
            if (known := self.cache.get(key, self.model.context.store)) is not None:
                return known
        response = await self._ask_until_answered(request)
        good = response.state in ("ok", "truncated", "refused") and (accept is None or accept(response))
        if self.cache is not None and good:
            self.cache.put(key, response, self.model.context.store)
        return response

    async def _ask_until_answered(self, request: Request) -> Response:
        attempt = 0
        while True:
            attempt += 1
            try:
                response = await self._attempt(request)
            except ModelError as fault:
                if isinstance(fault, Forbidden):
                    raise
                if not fault.retryable or attempt > self.options.retries:
                    return _failed(fault.kind, str(fault), attempt)
                await asyncio.sleep(self._backoff(attempt, fault))
            except MediaError as fault:
                return _failed("media", str(fault), attempt)
            else:
                self.limiter.succeeded()
                return msgspec.structs.replace(response, usage=self._accounted(response, attempt))

    def _accounted(self, response: Response, attempts: int) -> Usage:
        """The usage of an answer with its cost, and with the name under which the server gave it."""
        usage = msgspec.structs.replace(response.usage, requests=attempts)
        if response.model:
            mark = f" ({response.system_fingerprint})" if response.system_fingerprint else ""
            usage = msgspec.structs.replace(usage, served={self.label: {f"{response.model}{mark}": 1}})
        # A server that bills knows best; nobody bills for a local model that has no price.
        if usage.cost_usd is not None or (self.price is None and self.account is None):
            return usage
        cost = None if self.price is None else self.price.cost(usage)
        return msgspec.structs.replace(usage, cost_usd=cost, unpriced=int(cost is None))

    async def _attempt(self, request: Request) -> Response:
        loop = asyncio.get_running_loop()
        async with self.limiter:
            set_aside = 0 if self.rates is None else await self.rates.admit(request)
            sent_at = loop.time()
            try:
                async with asyncio.timeout(self.options.timeout_s):
                    response = as_read(_writable(await self.model.generate(request)), Response)
            except RateLimited as fault:
                self.limiter.slow_down(fault.retry_after, sent_at)
                raise
            except TimeoutError:
                raise TransportFault(f"no answer within {self.options.timeout_s:g} s") from None
            except (ModelError, MediaError, StorageError):
                raise
            except Exception as fault:
                raise _bug(fault) from fault
        if self.rates is not None:
            self.rates.answered(response.usage, set_aside)
        return msgspec.structs.replace(response, seconds=loop.time() - sent_at)

    def _backoff(self, attempt: int, fault: ModelError) -> float:
        if isinstance(fault, RateLimited) and fault.retry_after is not None:
            return 0.0  # the limiter holds everybody back until then
        ceiling = min(30.0, self.options.backoff_s * 2.0 ** (attempt - 1))
        return ceiling * self._jitter.uniform(0.5, 1.0)


def endpoint_options(plugins: Plugins, spec: str) -> tuple[str, ...]:
    """Names of the options that `make_endpoint` takes for `spec`."""
    provider = plugins.models.get(spec.partition("/")[0])
    return tuple(n for kind in (provider.Options, EndpointOptions, Params) for n in option_names(kind))


def make_endpoint(
    plugins: Plugins, spec: str, options: Mapping[str, Any], concurrency: int, flag: str
) -> Endpoint:
    """A model behind its limiter, from its spec and the flat `key=value` options of the command line."""
    provider, slash, name = spec.partition("/")
    if not slash or not name:
        names = plugins.models.names()
        hint = f"; did you mean {hit + '/...'!r}?" if (hit := nearest(provider, names)) else ""
        raise UnknownName(
            f"model {spec!r} is not of the form provider/name{hint} (known: {', '.join(names)})"
        )
    cls = plugins.models.get(provider)
    where = f"{flag}, options of {spec}"
    own, transport, params = split(options, (cls.Options, EndpointOptions, Params), where)
    model: Model = cls(name, own)
    return Endpoint(spec, model, params, transport, concurrency)


def _bug(fault: Exception) -> ModelError:
    place = traceback.extract_tb(fault.__traceback__)[-1]
    return ModelError(f"{type(fault).__name__}: {fault} ({place.name}, line {place.lineno})")


def _writable(response: Response) -> Response:
    """Lone surrogates, which no file and no judge can be sent, become replacement characters."""
    try:
        for part in response.parts:
            if isinstance(part, Text | Reasoning):
                part.text.encode()
    except UnicodeEncodeError:
        parts = tuple(
            type(part)(part.text.encode("utf-8", "replace").decode())
            if isinstance(part, Text | Reasoning)
            else part
            for part in response.parts
        )
        return msgspec.structs.replace(response, parts=parts)
    return response


def _failed(kind: str, message: str, attempts: int) -> Response:
    return Response(state="error", fault=Fault(kind, message), usage=Usage(requests=attempts))


def merge(base: Params, own: Params) -> Params:
    """`own` where it says something, `base` elsewhere."""
    said = {
        name: value
        for name in Params.__struct_fields__
        if (value := getattr(own, name)) not in (None, (), {}) and name != "extra"
    }
    return msgspec.structs.replace(base, **said, extra={**base.extra, **own.extra})
