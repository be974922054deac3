"""`vllm/NAME_OR_PATH`: a checkpoint behind a vLLM server that is started for the run and stopped with it."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import os
from pathlib import Path
from typing import Any

import msgspec

from eval_anything.errors import ServerFault, TransportFault, UsageError
from eval_anything.models.base import Model, ModelContext
from eval_anything.models.hf import checkpoint
from eval_anything.models.hf.load import read_template
from eval_anything.models.modalities import parse_modalities
from eval_anything.models.openai.access import Access
from eval_anything.models.openai.address import parse_addresses
from eval_anything.models.openai.provider import OpenAIModel, OpenAIOptions
from eval_anything.models.vllm import kept, served
from eval_anything.models.vllm.command import command, surroundings
from eval_anything.models.vllm.installed import find_vllm
from eval_anything.models.vllm.managed import Managed, Plan
from eval_anything.models.vllm.options import TRANSPORT, VLLMOptions, adapters, further, limits
from eval_anything.models.vllm.samples import smallest
from eval_anything.values import Capabilities, Request, Response

_ENDING_S = 1.0
"""How long after a broken connection a server's process may take to be gone."""


class _Served(OpenAIModel):
    """The server's model, as messages and lineages call it."""

    provider = "vllm"


class VLLMModel(Model):
    """A checkpoint, a folder or a hub id, behind a vLLM server that is started, and stopped at the end."""

    provider = "vllm"
    local = True
    Options = VLLMOptions
    transport_options = TRANSPORT

    options: VLLMOptions

    def __init__(self, name: str, options: VLLMOptions) -> None:
        """Raises UsageError and UnknownName for options that cannot be meant."""
        super().__init__(name, options)
        self._spec = f"{self.provider}/{name}"
        self._limits = limits(options, self._spec)
        self._adapters = adapters(options, self._spec)
        self._further = further(options, self._spec)
        self._outputs = parse_modalities(options.outputs, f"{self._spec}: option outputs")
        if set(self._outputs) != {"text"} and not options.omni:
            raise UsageError(f"{self._spec}: option outputs: media are given with -M omni=true alone")
        self._managed: Managed | None = None
        self._asked: OpenAIModel | None = None

    @functools.cached_property
    def _key(self) -> str:
        """What the server asks for. Raises UsageError where the variable that is to hold it is not set."""
        variable = self.options.api_key_env
        if variable is None:
            return kept.own_key()
        if not (key := os.environ.get(variable, "").strip()):
            raise UsageError(f"{self._spec}: no key: the environment variable {variable} is not set")
        return key

    def secrets(self) -> tuple[str, ...]:
        return self._access().secrets

    def _access(self, *urls: str) -> Access:
        return Access(
            addresses=tuple(address for url in urls for address in parse_addresses(url)),
            key=self._key,
            key_variable="",
            own=False,
            given=True,
        )

    def _folder(self) -> tuple[Path, str]:
        """Of configuration and processor, and the hub commit. Raises UsageError where it cannot be had."""
        return checkpoint.find(self.name, self.options.revision, weights=False, provider=self.provider)

    def capabilities(self) -> Capabilities:
        """By the checkpoint's files and the options; the served model is held to it when it is up."""
        if self.options.inputs:
            stated = parse_modalities(self.options.inputs, f"{self._spec}: option inputs")
        else:
            stated = served.modalities(self._folder()[0])
        chat = self.options.omni or self.options.chat_template is not None
        return Capabilities(
            inputs=tuple(m for m in stated if self._limits.get(m) != 0),
            outputs=self._outputs,
            chat=chat or served.has_chat_template(self._folder()[0]),
            plain=True,
            likelihood="plain",
            tools=self.options.tool_parser is not None,
            max_images=self._limits.get("image"),
        )

    def identity(self) -> dict[str, Any]:
        found = checkpoint.identity(*self._folder())
        if (template := read_template(self._template)) is not None:
            found["chat_template"] = hashlib.sha256(template.encode()).hexdigest()
        if self._adapters:
            found["adapters"] = {name: checkpoint.digest(path)[0] for name, path in self._adapters.items()}
        return found

    @property
    def _template(self) -> Path | None:
        given = self.options.chat_template
        return None if given is None else Path(given).expanduser()

    def notes(self) -> tuple[str, ...]:
        return checkpoint.notes(*self._folder())

    async def start(self, context: ModelContext) -> None:
        """Raises UsageError (MissingExtra) where vLLM is missing or too old, and, with the end of its log,
        where the server does not come up or serves something else."""
        await super().start(context)
        capabilities = self.capabilities()
        asked = capabilities.inputs if capabilities.chat else ()
        self._managed = Managed(await asyncio.to_thread(self._plan))
        try:
            _, media = await asyncio.gather(
                self._managed.open(context.tell), asyncio.to_thread(smallest, asked)
            )
            await self._managed.server.check(self._name, media)
            self._asked = self._client(self._managed.root, capabilities)
            await self._asked.start(context)
        except BaseException:
            await self._close(keep=False)
            raise
        context.tell(f"{self._spec}: ready")

    def _plan(self) -> Plan:
        python, _ = find_vllm(self.options.python, self.options.omni, self._spec)
        folder, commit = self._folder()
        return Plan(
            spec=self._spec,
            command=command(
                python,
                self.name if commit else str(folder.absolute()),
                self.name,
                msgspec.structs.replace(self.options, revision=commit or None),
                self._limits,
                self._adapters,
                self._further,
            ),
            environment=surroundings(python, self.options.python is None, self._key),
            weights=self.identity(),
            key=self._key,
            port=self.options.port,
            start_s=self.options.start_s,
        )

    @property
    def _name(self) -> str:
        """Who is asked: an adapter, or the checkpoint itself."""
        return self.options.adapter or next(iter(self._adapters), self.name)

    def _client(self, root: str, capabilities: Capabilities) -> OpenAIModel:
        url = f"{root}/v1"
        client = OpenAIOptions(
            base_url=url,
            inputs=",".join(capabilities.inputs),
            outputs=",".join(capabilities.outputs),
            tools=capabilities.tools,
            voice=self.options.voice,
        )
        return _Served(self._name, client, self._access(url))

    async def generate(self, request: Request) -> Response:
        if self._managed is None or self._asked is None:
            raise UsageError(f"model {self._spec} was asked before it was started")
        try:
            return await self._asked.generate(request)
        except (TransportFault, ServerFault) as fault:
            broken = isinstance(fault, TransportFault)
            if (gone := await self._managed.died(_ENDING_S if broken else 0.0)) is not None:
                raise gone from fault
            raise

    async def stop(self) -> None:
        await self._close(keep=self.options.keep_server)

    async def _close(self, keep: bool) -> None:
        managed, self._managed = self._managed, None
        asked, self._asked = self._asked, None
        if managed is None:
            return
        if asked is not None:
            await asked.stop()
        if left := await managed.close(keep):
            self.context.tell(left)
