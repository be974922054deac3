"""What a model provider is: the form that built-in and foreign providers share."""

from __future__ import annotations

import abc
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from eval_anything.values import Capabilities, Modality, Request, Response

if TYPE_CHECKING:
    from eval_anything.media.store import ArtifactStore


class NoOptions(msgspec.Struct, frozen=True):
    """For components without options of their own."""


def nobody(said: str) -> None:
    """Where nobody watches."""


class ModelContext(msgspec.Struct, frozen=True):
    """What a run lends to a model while it is open."""

    store: "ArtifactStore"
    """Where input media are read from and output media are put."""
    concurrency: int = 1
    """How many `generate` calls the run will have in flight at most."""
    timeout_s: float = 600.0
    """How long one request may take."""
    tell: Callable[[str], None] = nobody
    """Shows how far a start is that takes long, in a few words: "loading weights, 40 %"."""


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """Who serves a model, and whom it bills. Holds a key, so it is never shown or written."""

    server: str
    """Host, or the provider's name where it does not say."""
    key: str = ""


class Model(abc.ABC):
    """A model that answers requests.

    Lifecycle: constructed (cheap: no network, no weights), `start`ed, asked any number of times
    concurrently, `stop`ped. `generate` returns a `Response` with state ok, refused or truncated, and
    raises a `ModelError` for everything else; retries, limits and caching are the caller's.
    """

    provider: ClassVar[str]
    """First part of the model spec: "openai" in openai/gpt-4o."""
    Options: ClassVar[type[msgspec.Struct]] = NoOptions
    """Options of this provider, given as `-M key=value`; those that only concern transport are named in
    `transport_options` and stay out of the fingerprint."""
    transport_options: ClassVar[tuple[str, ...]] = ()
    local: ClassVar[bool] = False
    """Whether it works by itself, without a server that could send a bill or set limits."""
    makes: ClassVar[tuple[Modality, ...]] = ()
    """The media that a generator makes of a text; empty for models that converse. What media tools can stand
    on is told by it without a name and without loading anything."""

    def __init__(self, name: str, options: Any) -> None:
        self.name = name
        self.options = options

    @abc.abstractmethod
    def capabilities(self) -> Capabilities:
        """What the model can take and give; known before `start`."""

    def identity(self) -> dict[str, Any]:
        """What tells this model from every other, beyond provider, name and options: revision, checkpoint
        hash. Goes into fingerprints and cache keys. Never a secret."""
        return {}

    def account(self) -> Account | None:
        """With whom its answers are counted: models of one account share its rate limits. None: nobody."""
        return None if self.local else Account(server=getattr(self, "provider", type(self).__name__))

    def notes(self) -> tuple[str, ...]:
        """What a reader of this model's scores must know (random weights, sampled checkpoint hash);
        shown with the results."""
        return ()

    def secrets(self) -> tuple[str, ...]:
        """Strings that must never be written anywhere (keys); the journal and the logs blank them out."""
        return ()

    async def start(self, context: ModelContext) -> None:
        """Connect, load weights. Raises UsageError where the model cannot be had."""
        self.context = context

    @abc.abstractmethod
    async def generate(self, request: Request) -> Response: ...

    async def stop(self) -> None:  # noqa: B027 (most models hold nothing)
        """Free what `start` took."""


def local_path(name: str) -> Path | None:
    """`name` as an existing local path, or None when it is to be looked up elsewhere."""
    path = Path(name).expanduser()
    return path if path.exists() else None
