"""`gemini/NAME`: Google's Gemini models, by google-genai."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from eval_anything.errors import MissingExtra, UsageError
from eval_anything.models.base import Account, Model, ModelContext
from eval_anything.models.gemini.access import DEFAULT_URL, find_access
from eval_anything.models.gemini.safety import parse_safety
from eval_anything.models.modalities import parse_modalities
from eval_anything.values import Capabilities, Request, Response

if TYPE_CHECKING:
    from eval_anything.models.gemini.session import Session

_TOKENS = Annotated[int, msgspec.Meta(ge=-1)]


class GeminiOptions(msgspec.Struct, frozen=True, kw_only=True):
    base_url: str = DEFAULT_URL
    """Where the API is: a proxy, or another server that speaks it."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the key: GEMINI_API_KEY for Google's own server. Servers of
    others get no key unless this names one."""
    api_key: str | None = None
    """Refused, as everybody on a machine can see its command lines: use api_key_env."""
    api_version: str = ""
    """Of the API, such as v1beta; empty: the one that the installed google-genai was made for."""
    inputs: str = "text,image,audio,video"
    """Modalities that the model takes."""
    outputs: str = "text"
    """Modalities that the model gives: text,image for image models, audio for speech models."""
    tools: bool = True
    """Whether the model can call tools."""
    thinking_budget: _TOKENS | None = None
    """Tokens that it may think; 0: none, -1: as many as it likes, None: as the server has it."""
    thinking_level: Literal["minimal", "low", "medium", "high"] | None = None
    """The same for models that have levels in place of a budget."""
    include_thoughts: bool = False
    """Whether to ask for summaries of its thinking; they are kept apart from the answer."""
    safety: str = ""
    """off, block_none, block_only_high, block_medium_and_above or block_low_and_above; or a list of
    CATEGORY=THRESHOLD (harassment, hate_speech, sexually_explicit, dangerous_content)."""
    voice: str = ""
    """Voice of audio output, such as Kore; empty: the server's choice."""
    inline_bytes: Annotated[int, msgspec.Meta(ge=0)] = 19_000_000
    """Media of one request, in base64, that go in the request itself; what is more is uploaded (Files API),
    the largest first. Requests of more than 20 MB are refused."""

    def __post_init__(self) -> None:
        if self.api_key is not None:
            raise ValueError(
                "api_key is not taken, as command lines can be seen by others: put the key into an "
                "environment variable and name that with api_key_env"
            )
        if self.thinking_budget is not None and self.thinking_level is not None:
            raise ValueError("thinking_budget and thinking_level exclude each other")

    def thinking(self) -> dict[str, Any]:
        """What is asked for of it, in the library's words."""
        asked = {
            "thinking_budget": self.thinking_budget,
            "thinking_level": self.thinking_level,
            "include_thoughts": self.include_thoughts or None,
        }
        return {name: value for name, value in asked.items() if value is not None}


class GeminiModel(Model):
    """Google's Gemini models, any modality in; text, image and audio out."""

    provider = "gemini"
    Options = GeminiOptions
    transport_options = ("base_url", "api_key_env", "api_key", "inline_bytes")

    def __init__(self, name: str, options: GeminiOptions) -> None:
        """Raises UsageError for a base URL that is none and for video output, UnknownName for an unknown
        modality, category or threshold."""
        super().__init__(name, options)
        where = f"model gemini/{name}, option"
        self._inputs = parse_modalities(options.inputs, f"{where} inputs")
        self._outputs = parse_modalities(options.outputs, f"{where} outputs")
        if "video" in self._outputs:
            raise UsageError(f"{where} outputs: the API gives text, image and audio in its answers, no video")
        self._safety = parse_safety(options.safety, f"{where} safety")
        self._access = find_access(options.base_url, options.api_key_env, options.api_version)
        self._session: Session | None = None

    def capabilities(self) -> Capabilities:
        return Capabilities(inputs=self._inputs, outputs=self._outputs, tools=self.options.tools)

    def account(self) -> Account:
        return self._access.account

    def secrets(self) -> tuple[str, ...]:
        return self._access.secrets

    async def start(self, context: ModelContext) -> None:
        """Raises UsageError when the key is missing or wrong, or no server answers that speaks the API and
        has the model; MissingExtra without google-genai."""
        await super().start(context)
        if not self._access.key and self._access.base_url == DEFAULT_URL:
            raise UsageError(
                f"model gemini/{self.name}: no key: the environment variable {self._access.key_variable} "
                "is not set (a server of your own is named with -M base_url=...)"
            )
        # The library takes more than a second to import.
        try:
            from eval_anything.models.gemini.encode import Dialect
            from eval_anything.models.gemini.session import Session
        except ModuleNotFoundError as fault:
            raise MissingExtra(
                f"model gemini/{self.name} needs {fault.name}: pip install 'eval-anything[gemini]'"
            ) from None
        dialect = Dialect(
            model=self.name,
            outputs=self._outputs,
            voice=self.options.voice,
            safety=self._safety,
            thinking=self.options.thinking(),
        )
        session = Session(dialect, self._access, context, self.options.inline_bytes)
        await session.open()
        self._session = session

    async def generate(self, request: Request) -> Response:
        if self._session is None:
            raise UsageError(f"model gemini/{self.name} was asked before it was started")
        return await self._session.ask(request)

    async def stop(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None
