"""`audiocraft/NAME`: sounds by AudioGen and music by MusicGen, in an environment of audiocraft's own."""

from __future__ import annotations

import asyncio
import hashlib
import time
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from eval_anything.agents.media.made import answer, check_asked, keep, prompt_of, seed_of
from eval_anything.agents.media.worker import Worker
from eval_anything.errors import ModelError, UsageError
from eval_anything.models.base import Model, ModelContext
from eval_anything.models.foreign import interpreter
from eval_anything.models.replied import lineage_of
from eval_anything.values import Capabilities, Request, Response


class AudiocraftOptions(msgspec.Struct, frozen=True, kw_only=True):
    python: str | None = None
    """Interpreter of an environment with audiocraft; `eval-anything tools build-audiocraft` makes one."""
    duration_s: Annotated[float, msgspec.Meta(gt=0, le=120)] = 10.0
    """Seconds of audio."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: the GPU where there is one."""
    start_s: Annotated[float, msgspec.Meta(gt=0)] = 900.0
    """Seconds that loading may take, a download of the weights included."""


class AudiocraftModel(Model):
    """Sounds by AudioGen, music by MusicGen (audiocraft/facebook/audiogen-medium), in their own environment.

    audiocraft's pins fit no other package here, so a worker in an environment of its own loads the weights;
    torch is told there to take tensors alone from pickled files. Requests are answered one by one, each from
    a seed of its own.
    """

    provider = "audiocraft"
    local = True
    Options = AudiocraftOptions
    transport_options = ("python", "device", "start_s")
    makes = ("audio",)
    worker: ClassVar[Path] = Path(__file__).with_name("audiocraft_worker.py")

    options: AudiocraftOptions

    def capabilities(self) -> Capabilities:
        return Capabilities(inputs=("text",), outputs=("audio",))

    def identity(self) -> dict[str, Any]:
        return {"worker": hashlib.sha256(self.worker.read_bytes()).hexdigest()[:16]}

    @staticmethod
    def build_environment(folder: Path) -> Path:
        """Make an environment for the worker in `folder`; returns its interpreter. See `audiocraft_build`."""
        from eval_anything.agents.media.audiocraft_build import build

        return build(folder)

    async def start(self, context: ModelContext) -> None:
        """Raises UsageError without an environment, and where the worker does not come up in it."""
        await super().start(context)
        command = (self._interpreter(), str(self.worker), self.name)
        self._worker = Worker(
            (*command, "--device", self.options.device), self.options.start_s, context.timeout_s
        )
        await self._worker.start()

    def _interpreter(self) -> str:
        spec, python = f"audiocraft/{self.name}", self.options.python
        try:
            if python is None:
                raise UsageError(f"{spec}: option python is not set")
            return interpreter(python, spec)
        except UsageError as fault:
            raise UsageError(f"{fault}; eval-anything tools build-audiocraft makes an environment") from None

    async def generate(self, request: Request) -> Response:
        spec = f"audiocraft/{self.name}"
        check_asked(request, "audio", spec)
        prompt, seed, started = prompt_of(request, spec), seed_of(request), time.monotonic()
        try:
            data = await self._worker.ask(prompt=prompt, seed=seed, duration_s=self.options.duration_s)
        except ModelError as fault:
            fault.args = (f"{spec}: {fault}",)
            raise
        seconds = time.monotonic() - started
        details = {**self._worker.hello, "duration_s": self.options.duration_s}
        lineage = lineage_of(request, spec, seed, details)
        part = await asyncio.to_thread(keep, self.context.store, data, "audio", lineage)
        return msgspec.structs.replace(answer(request, part), seconds=seconds)

    async def stop(self) -> None:
        if hasattr(self, "_worker"):
            await self._worker.close()
            del self._worker
