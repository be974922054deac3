"""`hf_media/PATH_OR_ID`: music by MusicGen and images by Janus, through transformers in this process."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from eval_anything.agents.media.made import answer, check_asked, keep, lineage_of, prompt_of, seed_of
from eval_anything.errors import BadRequest, EvalAnythingError, ModelError, UsageError
from eval_anything.models.base import Model, ModelContext
from eval_anything.models.hf import checkpoint, load
from eval_anything.models.hf.batch import Batcher
from eval_anything.suggest import unknown
from eval_anything.values import Capabilities, Modality, Params, Request, Response

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image as PILImage

_MAKES: dict[str, Modality] = {"musicgen": "audio", "janus": "image"}
_DEFAULT_S = 10.0
# Without guidance Janus's generate fails; so little of it changes no number (float32 has seven digits).
_LEAST_GUIDANCE = 1 + 1e-7
# These models draw from torch's own generator, which the whole process shares.
_DRAWING = threading.Lock()


class HFMediaOptions(msgspec.Struct, frozen=True, kw_only=True):
    guidance: Annotated[float, msgspec.Meta(ge=1)] | None = None
    """Scale of classifier-free guidance; None: the checkpoint's, or 3 (MusicGen), 5 (Janus)."""
    duration_s: Annotated[float, msgspec.Meta(gt=0, le=60)] | None = None
    """Seconds of audio; None: 10. MusicGen was trained on 30."""
    revision: str | None = None
    """Branch, tag or commit of a hub id; None: the default branch."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    """Of weights and activations; auto: bfloat16 on a GPU, float32 elsewhere."""
    device: str = "auto"
    """As torch writes it (cpu, cuda:1); auto: the GPU where there is one."""


@dataclasses.dataclass(frozen=True)
class _Job:
    prompt: str
    seed: int
    params: Params


class HFMediaModel(Model):
    """Music by a MusicGen checkpoint, images by a Janus checkpoint: a local folder or a hub id.

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
        """musicgen or janus. Raises UsageError for everything else, and for options that it does not have."""
        folder = self._folder(weights=False)[0]
        kind = str(checkpoint.read_config(folder).get("model_type"))
        if kind not in _MAKES:
            raise UsageError(f"{folder / 'config.json'}: {unknown('model_type', kind, _MAKES)}")
        if kind == "janus" and self.options.duration_s is not None:
            raise UsageError("option duration_s: Janus makes images, which have no duration")
        return kind

    def capabilities(self) -> Capabilities:
        return Capabilities(inputs=("text",), outputs=(_MAKES[self.kind],))

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
        self._batcher: Batcher[_Job, bytes] = Batcher(self._run, 1, context.concurrency)

    def _load(self) -> tuple[Any, Any]:
        load.libraries()
        import torch
        import transformers
        from safetensors import SafetensorError

        folder = self._folder(weights=True)[0]
        device, dtype = self._place()
        names = {"musicgen": "MusicgenForConditionalGeneration", "janus": "JanusForConditionalGeneration"}
        checkpoint.weight_files(folder)
        try:
            processor = transformers.AutoProcessor.from_pretrained(folder, trust_remote_code=False)
            model, report = getattr(transformers, names[self.kind]).from_pretrained(
                folder, dtype=getattr(torch, dtype), use_safetensors=True, output_loading_info=True
            )
        except (SafetensorError, OSError, ValueError, TypeError, RuntimeError, ImportError) as fault:
            raise UsageError(f"{folder}: the model cannot be loaded: {load.first_line(fault)}") from None
        load.check_complete(folder, report)
        return model.to(device).eval(), processor

    def settings(self) -> dict[str, Any]:
        """What decides a generation besides prompt and seed."""
        stated = self._model.generation_config.guidance_scale
        default = {"musicgen": 3.0, "janus": 5.0}[self.kind] if stated is None else stated
        known: dict[str, Any] = {"guidance": self.options.guidance or default, "model_type": self.kind}
        if self.kind == "musicgen":
            known["duration_s"] = self.options.duration_s or _DEFAULT_S
        return known

    async def generate(self, request: Request) -> Response:
        spec, modality = f"{self.provider}/{self.name}", _MAKES[self.kind]
        check_asked(request, modality, spec)
        if request.params.extra:
            raise BadRequest(f"{spec}: params.extra is not taken; its settings are options of the model")
        job = _Job(prompt_of(request, spec), seed_of(request), request.params)
        started = time.monotonic()
        try:
            data = await self._batcher.submit(job, None)
        except EvalAnythingError:
            raise
        except (RuntimeError, ValueError, TypeError, IndexError, KeyError, AttributeError) as fault:
            raise ModelError(f"{spec}: {load.first_line(fault)}") from fault
        seconds = time.monotonic() - started
        lineage = lineage_of(request, spec, job.seed, {**self.settings(), **_sampling(job.params)})
        part = await asyncio.to_thread(keep, self.context.store, data, modality, lineage)
        return msgspec.structs.replace(answer(request, part), seconds=seconds)

    def _run(self, jobs: list[_Job]) -> list[bytes]:
        import torch

        (job,) = jobs
        devices = [self._model.device] if self._model.device.type == "cuda" else []
        with _DRAWING, torch.random.fork_rng(devices=devices), torch.inference_mode():
            torch.manual_seed(job.seed)
            return [self._music(job) if self.kind == "musicgen" else self._image(job)]

    def _music(self, job: _Job) -> bytes:
        from eval_anything.media.convert import write_wav

        settings, config = self.settings(), self._model.config
        codec = config.audio_encoder
        frames = round(settings["duration_s"] * codec.frame_rate)
        inputs = self._processor(text=[job.prompt], return_tensors="pt").to(self._model.device)
        made = self._model.generate(
            **inputs,
            guidance_scale=settings["guidance"],
            # Codebook k is written k steps late, so the last frame is whole only that much later.
            max_new_tokens=frames + config.decoder.num_codebooks - 1,
            **_sampling(job.params),
        )
        samples = _finite(made[0])[:, : round(settings["duration_s"] * codec.sampling_rate)]
        return write_wav(samples.T, codec.sampling_rate)

    def _image(self, job: _Job) -> bytes:
        from eval_anything.media.convert import write_png

        processor, config = self._processor, self._model.generation_config
        turn = [{"role": "user", "content": [{"type": "text", "text": job.prompt}]}]
        text = processor.apply_chat_template(turn, add_generation_prompt=True)
        inputs = processor(text=[text], generation_mode="image", return_tensors="pt").to(self._model.device)
        # Checkpoints are saved without it, and the model looks for it here.
        start = processor.tokenizer.convert_tokens_to_ids(processor.image_start_token)
        config.generation_kwargs = {"boi_token_id": start}
        tokens = self._model.generate(
            **inputs,
            generation_mode="image",
            use_cache=True,
            guidance_scale=max(self.settings()["guidance"], _LEAST_GUIDANCE),
            **_sampling(job.params),
        )
        return write_png(pictures(self._model.decode_image_tokens(tokens), processor)[0])

    async def stop(self) -> None:
        if hasattr(self, "_batcher"):
            await self._batcher.close()
            del self._batcher, self._model, self._processor


def pictures(decoded: Any, processor: Any) -> "list[PILImage]":
    """What a Janus model has decoded, (N, height, width, 3), as RGB images."""
    import numpy as np
    from PIL import Image

    values = _finite(decoded)
    mean, std = (np.array(getattr(processor.image_processor, n)) for n in ("image_mean", "image_std"))
    pixels = ((values * std + mean).clip(0, 1) * 255).round().astype(np.uint8)
    return [Image.fromarray(one) for one in pixels]


def _sampling(params: Params) -> dict[str, Any]:
    """How tokens are drawn, as transformers calls it."""
    if params.temperature == 0:
        return {"do_sample": False}
    said = {"temperature": params.temperature, "top_p": params.top_p, "top_k": params.top_k}
    return {"do_sample": True, **{name: value for name, value in said.items() if value is not None}}


def _finite(values: Any) -> "np.ndarray":
    import numpy as np

    array: np.ndarray = values.float().cpu().numpy()
    if not np.isfinite(array).all():
        raise ModelError("the model made numbers that are not finite (try -M dtype=float32)")
    return array
