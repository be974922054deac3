"""`diffusers/PATH_OR_ID`: images, audio and video by a diffusers pipeline in this process."""

from __future__ import annotations

import asyncio
import functools
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from eval_anything.agents.media import pipelines, settings
from eval_anything.agents.media.made import answer, check_asked, keep, prompt_of, seed_of
from eval_anything.errors import BadRequest, EvalAnythingError, ModelError, UsageError
from eval_anything.models.base import Model, ModelContext
from eval_anything.models.hf import checkpoint, load
from eval_anything.models.hf.batch import Batcher
from eval_anything.models.replied import lineage_of
from eval_anything.models.tally import count_usage
from eval_anything.values import Capabilities, Modality, Request, Response, Text

if TYPE_CHECKING:
    from eval_anything.agents.media.diffusers_run import Job, Output, Pipeline

_Size = Annotated[int, msgspec.Meta(ge=8, le=8192)]
_Count = Annotated[int, msgspec.Meta(ge=1, le=10_000)]


class DiffusersOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Settings that are None are those of the preset of the pipeline's class, or else its own defaults."""

    steps: _Count | None = None
    """Denoising steps."""
    guidance: Annotated[float, msgspec.Meta(ge=0)] | None = None
    """Scale of classifier-free guidance; 0 or 1: none."""
    true_guidance: Annotated[float, msgspec.Meta(ge=0)] | None = None
    """Scale of guidance away from `negative_prompt`, of pipelines that have it beside `guidance` (FLUX,
    Qwen-Image)."""
    width: _Size | None = None
    """Pixels."""
    height: _Size | None = None
    """Pixels."""
    duration_s: Annotated[float, msgspec.Meta(gt=0, le=600)] | None = None
    """Seconds of audio."""
    frames: _Count | None = None
    """Frames of a video."""
    fps: Annotated[int, msgspec.Meta(ge=1, le=120)] | None = None
    """Frames per second of a video; None: what the pipeline is known to make, else 8, which is noted."""
    negative_prompt: str | None = None
    """What is to be kept out."""
    max_prompt_tokens: _Count | None = None
    """Tokens of the prompt that a T5 text encoder reads."""
    revision: str | None = None
    """Branch, tag or commit of a hub id; None: the default branch."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    """Of weights and activations; auto: bfloat16 on a GPU, float32 elsewhere."""
    device: str = "auto"
    """As torch writes it (cpu, cuda:1); auto: the GPU where there is one."""
    offload: Literal["none", "model", "sequential"] = "none"
    """Keep weights in main memory and move them to the GPU in turn: by component, or layer by layer."""
    batch_size: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Most media that are made together; None: 4 images, one sound or video."""

    def settings(self, index: pipelines.Index) -> settings.Settings:
        """What is asked for, over the preset of the pipeline's class."""
        said = {
            name: value
            for name in settings.Settings.__struct_fields__
            if (value := getattr(self, name)) is not None
        }
        return msgspec.structs.replace(settings.preset(index), **said)


class DiffusersModel(Model):
    """Images, audio or video by a diffusers pipeline in this process: a local folder or a hub id.

    Safetensors alone, never code of the checkpoint. Each request draws its noise from a generator of its own,
    and shares a batch with such alone as change nothing for it (their prompts are padded alike). So its
    result does not depend on them but for the rounding of sums, which may differ with the batch's size: in
    float32 hardly by a step of 8 bits of an image or 16 bits of a sound, in half precision by more.
    """

    provider = "diffusers"
    local = True
    Options = DiffusersOptions
    transport_options = ("batch_size", "device", "offload")
    makes = ("image", "audio", "video")

    options: DiffusersOptions

    def _folder(self, weights: bool) -> tuple[Path, str]:
        return checkpoint.find(self.name, self.options.revision, weights, self.provider)

    @functools.cached_property
    def index(self) -> pipelines.Index:
        """Raises UsageError where the folder is no pipeline."""
        return pipelines.read_index(self._folder(weights=False)[0])

    @functools.cached_property
    def modality(self) -> Modality:
        from eval_anything.agents.media.diffusers_run import libraries

        if self.index.pipeline not in pipelines.COMMON:
            libraries()
        return pipelines.modality_of(self.index)

    def capabilities(self) -> Capabilities:
        return Capabilities(inputs=("text",), outputs=(self.modality,))

    def identity(self) -> dict[str, Any]:
        from eval_anything.agents.media.diffusers_run import libraries

        folder, commit = self._folder(weights=False)
        libraries()
        which = {"commit": commit} if commit else {"checkpoint": checkpoint.digest(folder, nested=True)[0]}
        wanted = self.options.settings(self.index)
        settings.arguments(self.index, wanted)  # said before the run has a directory
        given = msgspec.to_builtins(wanted)
        return {**which, "pipeline": self.index.pipeline, "dtype": self._place()[1], "settings": given}

    def _place(self) -> tuple[str, str]:
        device = load.resolve_device(self.options.device)
        if self.options.offload != "none" and not device.startswith("cuda"):
            raise UsageError(
                f"option offload: {self.options.offload!r} moves weights to a GPU in turn; device is {device}"
            )
        return device, load.resolve_dtype(self.options.dtype, device)

    def notes(self) -> tuple[str, ...]:
        folder, commit = self._folder(weights=False)
        notes = []
        if not commit and not checkpoint.digest(folder, nested=True)[1]:
            notes.append("the checkpoint hash is of a sample of the weights (above 4 GB not all are read)")
        wanted = self.options.settings(self.index)
        if self.modality == "video" and not settings.has_known_rate(self.index, wanted):
            notes.append(
                f"nothing says how many frames per second {self.index.pipeline} makes: videos are written at "
                f"{settings.DEFAULT_FPS} (-M fps=...)"
            )
        return tuple(notes)

    async def start(self, context: ModelContext) -> None:
        await super().start(context)
        self._pipeline = await asyncio.to_thread(self._load)
        size = self.options.batch_size or (4 if self.modality == "image" else 1)
        self._batcher: Batcher[Job, Output] = Batcher(self._pipeline.run, size, context.concurrency)

    def _load(self) -> "Pipeline":
        from eval_anything.agents.media import diffusers_run

        diffusers_run.libraries()
        index = msgspec.structs.replace(self.index, folder=self._folder(weights=True)[0])
        return diffusers_run.load(index, self.modality, self.options, self._place())

    async def generate(self, request: Request) -> Response:
        from eval_anything.agents.media.diffusers_run import Job

        spec = f"{self.provider}/{self.name}"
        check_asked(request, self.modality, spec)
        if request.params.extra:
            raise BadRequest(f"{spec}: params.extra is not taken; its settings are options of the model")
        job = Job(prompt_of(request, spec), seed_of(request))
        started = time.monotonic()
        try:
            made = await self._batcher.submit(job, None)
        except EvalAnythingError:
            raise
        except (RuntimeError, ValueError, TypeError, IndexError, KeyError, AttributeError) as fault:
            raise ModelError(f"{spec}: {load.first_line(fault)}") from fault
        seconds = time.monotonic() - started
        if made.refused:
            told = Text("The pipeline's safety checker blacked the image out.")
            usage = count_usage(request, ())
            return Response(
                parts=(told,), state="refused", usage=usage, finish_reason="content_filter", seconds=seconds
            )
        details = {**self._pipeline.settings, "pipeline": self.index.pipeline}
        lineage = lineage_of(request, spec, job.seed, details)
        part = await asyncio.to_thread(keep, self.context.store, made.data, self.modality, lineage)
        notes = (f"the last {made.cut} tokens of the prompt were not read",) if made.cut else ()
        return msgspec.structs.replace(answer(request, part, notes=notes), seconds=seconds)

    async def stop(self) -> None:
        if hasattr(self, "_batcher"):
            await self._batcher.close()
            del self._batcher, self._pipeline
