"""`hf_media/PATH_OR_ID`: images, music and speech by generators of transformers in this process."""

from __future__ import annotations

import asyncio
import functools
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from eval_anything.agents.media.drawing import seeded
from eval_anything.agents.media.hf_families import FAMILIES, Family, Job, sampling
from eval_anything.agents.media.made import answer, check_asked, keep, prompt_of, seed_of
from eval_anything.errors import BadRequest, EvalAnythingError, ModelError, UsageError
from eval_anything.models.base import Model, ModelContext
from eval_anything.models.hf import checkpoint, load
from eval_anything.models.hf.batch import Batcher
from eval_anything.models.replied import lineage_of
from eval_anything.suggest import unknown
from eval_anything.values import Capabilities, Request, Response


class HFMediaOptions(msgspec.Struct, frozen=True, kw_only=True):
    guidance: Annotated[float, msgspec.Meta(ge=1)] | None = None
    """Scale of classifier-free guidance; None: the checkpoint's, or 3 (MusicGen), 5 (Janus)."""
    duration_s: Annotated[float, msgspec.Meta(gt=0, le=60)] | None = None
    """Seconds of audio; None: 10. MusicGen was trained on 30."""
    speaker: Annotated[int, msgspec.Meta(ge=0)] | None = None
    """Which of a speech model's voices speaks, counted from 0; None: the first."""
    speaking_rate: Annotated[float, msgspec.Meta(gt=0, le=10)] | None = None
    """How fast a speech model speaks; 1: as it was trained."""
    revision: str | None = None
    """Branch, tag or commit of a hub id; None: the default branch."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    """Of weights and activations; auto: bfloat16 on a GPU, float32 elsewhere."""
    device: str = "auto"
    """As torch writes it (cpu, cuda:1); auto: the GPU where there is one."""


class HFMediaModel(Model):
    """Images by Janus, music by MusicGen, speech by VITS (MMS-TTS) and Bark: a local folder or a hub id.

    Safetensors alone, never code of the checkpoint. Requests are answered one by one, each from a seed of its
    own, so a result never depends on what else is asked; without a temperature, tokens are drawn as is.
    """

    provider = "hf_media"
    local = True
    Options = HFMediaOptions
    transport_options = ("device",)
    makes = ("image", "audio")

    options: HFMediaOptions

    def _folder(self, weights: bool) -> tuple[Path, str]:
        return checkpoint.find(self.name, self.options.revision, weights, self.provider)

    @functools.cached_property
    def kind(self) -> str:
        """The configuration's model_type. Raises UsageError for one that no family here has, and for options
        that its family does not have."""
        folder = self._folder(weights=False)[0]
        kind = str(checkpoint.read_config(folder).get("model_type"))
        if kind not in FAMILIES:
            raise UsageError(f"{folder / 'config.json'}: {unknown('model_type', kind, FAMILIES)}")
        own = {option for family in FAMILIES.values() for option in family.takes}
        for option in sorted(own.difference(FAMILIES[kind].takes)):
            if getattr(self.options, option) is not None:
                takes = ", ".join(FAMILIES[kind].takes) or "none of its own"
                raise UsageError(f"option {option}: a {kind} checkpoint has no such setting (it has {takes})")
        return kind

    @functools.cached_property
    def family(self) -> Family:
        return FAMILIES[self.kind](self.options)

    def capabilities(self) -> Capabilities:
        return Capabilities(inputs=("text",), outputs=(self.family.makes,))

    def identity(self) -> dict[str, Any]:
        folder, commit = self._folder(weights=False)
        load.libraries()
        which = {"commit": commit} if commit else {"checkpoint": checkpoint.digest(folder)[0]}
        return {**which, "model_type": self.kind, "dtype": self._place()[1]}

    def _place(self) -> tuple[str, str]:
        device = load.resolve_device(self.options.device)
        return device, load.resolve_dtype(self.options.dtype, device)

    async def start(self, context: ModelContext) -> None:
        await super().start(context)
        self._model, self._processor = await asyncio.to_thread(self._load)
        self._batcher: Batcher[Job, bytes] = Batcher(self._run, 1, context.concurrency)

    def _load(self) -> tuple[Any, Any]:
        load.libraries()
        import torch
        import transformers
        from safetensors import SafetensorError

        folder = self._folder(weights=True)[0]
        device, dtype = self._place()
        checkpoint.weight_files(folder)
        try:
            processor = transformers.AutoProcessor.from_pretrained(folder, trust_remote_code=False)
            self.family.check(processor, checkpoint.read_config(folder))
            model, report = getattr(transformers, self.family.model_class).from_pretrained(
                folder, dtype=getattr(torch, dtype), use_safetensors=True, output_loading_info=True
            )
        except (SafetensorError, OSError, ValueError, TypeError, RuntimeError, ImportError) as fault:
            raise UsageError(f"{folder}: the model cannot be loaded: {load.first_line(fault)}") from None
        load.check_complete(folder, report)
        return model.to(device).eval(), processor

    async def generate(self, request: Request) -> Response:
        spec, modality = f"{self.provider}/{self.name}", self.family.makes
        check_asked(request, modality, spec)
        if request.params.extra:
            raise BadRequest(f"{spec}: params.extra is not taken; its settings are options of the model")
        job = Job(prompt_of(request, spec), seed_of(request), request.params)
        started = time.monotonic()
        try:
            data = await self._batcher.submit(job, None)
        except EvalAnythingError:
            raise
        except (RuntimeError, ValueError, TypeError, IndexError, KeyError, AttributeError) as fault:
            raise ModelError(f"{spec}: {load.first_line(fault)}") from fault
        seconds = time.monotonic() - started
        details = {"model_type": self.kind, **self.family.settings(self._model), **sampling(job.params)}
        lineage = lineage_of(request, spec, job.seed, details)
        part = await asyncio.to_thread(keep, self.context.store, data, modality, lineage)
        return msgspec.structs.replace(answer(request, part), seconds=seconds)

    def _run(self, jobs: list[Job]) -> list[bytes]:
        import torch

        (job,) = jobs
        with seeded(job.seed, str(self._model.device)), torch.inference_mode():
            return [self.family.make(self._model, self._processor, job)]

    async def stop(self) -> None:
        if hasattr(self, "_batcher"):
            await self._batcher.close()
            del self._batcher, self._model, self._processor
