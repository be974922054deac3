"""A diffusers pipeline with its weights: loaded component by component, asked in batches."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from eval_anything.agents.media.drawing import seeded
from eval_anything.agents.media.pipelines import SAME_LENGTH, Index, check_weights, pipeline_class
from eval_anything.agents.media.settings import arguments, effective
from eval_anything.errors import MissingExtra, ModelError, UsageError
from eval_anything.models.hf.load import check_complete, first_line
from eval_anything.models.hf.load import libraries as hf_libraries

if TYPE_CHECKING:
    from eval_anything.agents.media.diffusion import DiffusersOptions
    from eval_anything.agents.media.settings import Settings
    from eval_anything.values import Modality

_LONG = "sequence-length-is-longer-than-the-specified-maximum"


def libraries() -> None:
    """Import diffusers after what it needs. Raises MissingExtra naming what to install."""
    try:
        hf_libraries()
        import diffusers
    except (ImportError, MissingExtra) as fault:
        missing = getattr(fault, "name", None) or "torch and transformers"
        raise MissingExtra(
            f"pipelines in process need {missing}: pip install 'eval-anything[diffusers]'"
        ) from None
    diffusers.utils.logging.disable_progress_bar()
    # It prints whole models where it cannot verify a component's type, and each prompt that it cuts.
    diffusers.utils.logging.set_verbosity_error()


@dataclasses.dataclass(frozen=True)
class Job:
    prompt: str
    seed: int


@dataclasses.dataclass(frozen=True)
class Output:
    data: bytes
    """A PNG, WAV or MP4 file."""
    refused: bool = False
    """Blacked out by the pipeline's safety checker."""
    cut: int = 0
    """How many of the prompt's tokens the text encoder that reads the most of them did not read."""


class Pipeline:
    """One loaded pipeline. `run` is for one thread at a time."""

    def __init__(
        self, index: Index, modality: "Modality", settings: "Settings", pipe: Any, device: str
    ) -> None:
        self._pipe = pipe
        self._device = device
        self._modality = modality
        self._given = arguments(index, settings)
        self._pads_alike = index.pipeline in SAME_LENGTH
        self._draws_elsewhere: bool | None = None
        """Whether noise also comes from torch's own generator; None: not known yet."""
        self.settings = effective(index, settings)
        for tokenizer in self._tokenizers():
            # It warns of errors to come for what the pipeline cuts, and the response tells.
            tokenizer.deprecation_warnings[_LONG] = True

    def run(self, jobs: list[Job]) -> list[Output]:
        """One medium for each job; each job's noise comes from its own generator, on the CPU.

        Raises ModelError where the numbers are not finite, or what torch and diffusers raise.
        """
        import torch

        groups: dict[tuple[int, ...], list[int]] = {}
        for place, job in enumerate(jobs):
            groups.setdefault(self._lengths(job.prompt), []).append(place)
        outputs: dict[int, Output] = {}
        try:
            with torch.inference_mode():
                for places in groups.values():
                    made = self._alike([jobs[place] for place in places])
                    outputs |= zip(places, made, strict=True)
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            raise
        return [dataclasses.replace(outputs[i], cut=self._cut(job.prompt)) for i, job in enumerate(jobs)]

    def _lengths(self, prompt: str) -> tuple[int, ...]:
        """Prompts of equal lengths in tokens can share a batch: they pad each other by nothing."""
        if self._pads_alike:
            return ()
        return tuple(len(tokenizer(prompt, verbose=False).input_ids) for tokenizer in self._tokenizers())

    def _alike(self, jobs: list[Job]) -> list[Output]:
        """Of some schedulers noise comes from torch's own generator as well, which no pipeline is told to
        leave alone; then jobs are answered one by one, each with that generator seeded too."""
        if self._draws_elsewhere is False:
            return self._made(jobs)
        if self._draws_elsewhere and len(jobs) > 1:
            return [output for job in jobs for output in self._alike([job])]
        with seeded(jobs[0].seed, self._device) as drawn:
            outputs = self._made(jobs)
            drew = drawn()
        if self._draws_elsewhere is None:
            self._draws_elsewhere = drew
            if drew and len(jobs) > 1:
                return self._alike(jobs)
        return outputs

    def _made(self, jobs: list[Job]) -> list[Output]:
        import torch

        generators = [torch.Generator("cpu").manual_seed(job.seed) for job in jobs]
        given = dict(self._given)
        if "negative_prompt" in given:
            given["negative_prompt"] = [given["negative_prompt"]] * len(jobs)
        prompts = [job.prompt for job in jobs]
        made = self._pipe(prompt=prompts, generator=generators, output_type="np", **given)
        return self._outputs(made, len(jobs))

    def _tokenizers(self) -> list[Any]:
        found = self._pipe.components.items()
        return [part for name, part in found if name.startswith("tokenizer") and part is not None]

    def _cut(self, prompt: str) -> int:
        limit = self.settings.get("max_prompt_tokens")
        unread = []
        for tokenizer in self._tokenizers():
            # T5 alone reads by the pipeline's setting; CLIP and its kin by their own limit.
            most = limit if limit and "T5" in type(tokenizer).__name__ else tokenizer.model_max_length
            unread.append(max(0, len(tokenizer(prompt, verbose=False).input_ids) - most))
        return min(unread, default=0)

    def _outputs(self, made: Any, n: int) -> list[Output]:
        field = {"image": "images", "audio": "audios", "video": "frames"}[self._modality]
        media = list(getattr(made, field))
        if len(media) != n:
            raise ModelError(f"{type(self._pipe).__name__} made {len(media)} {field} for {n} prompts")
        blacked = getattr(made, "nsfw_content_detected", None) or [False] * n
        return [
            Output(self._encoded(medium), bool(hidden)) for medium, hidden in zip(media, blacked, strict=True)
        ]

    def _encoded(self, medium: Any) -> bytes:
        import numpy as np
        from PIL import Image

        from eval_anything.media.convert import write_mp4, write_png, write_wav

        values = np.asarray(medium, dtype=np.float32)
        if not np.isfinite(values).all():
            # An image of such values would be black, and look like a model's answer.
            raise ModelError(
                f"{type(self._pipe).__name__} made numbers that are not finite (half precision does that in "
                "some pipelines: try -M dtype=float32)"
            )
        if self._modality == "audio":
            return write_wav(values if values.ndim == 1 else values.T, self._sample_rate())
        pixels = (values.clip(0, 1) * 255).round().astype(np.uint8)
        if self._modality == "image":
            return write_png(Image.fromarray(pixels))
        return write_mp4(list(pixels), self.settings["fps"])

    def _sample_rate(self) -> int:
        vocoder, vae = getattr(self._pipe, "vocoder", None), getattr(self._pipe, "vae", None)
        places = (getattr(vocoder, "config", None), vae, getattr(vae, "config", None))
        for place in places:
            if rate := getattr(place, "sampling_rate", None):
                return int(rate)
        raise UsageError(f"{type(self._pipe).__name__} does not say at which rate its audio is sampled")


def load(index: Index, modality: "Modality", options: "DiffusersOptions", where: tuple[str, str]) -> Pipeline:
    """The pipeline on its device, in its precision: `where` is (device, dtype).

    Raises UsageError for missing, damaged or pickled weights, and for settings that it does not have.
    """
    import torch
    from safetensors import SafetensorError

    device, dtype = where
    settings = options.settings(index)
    check_weights(index)
    try:
        parts = {
            name: model
            for name in index.components
            if (model := _model(index, name, getattr(torch, dtype))) is not None
        }
        pipe = pipeline_class(index).from_pretrained(
            index.folder,
            use_safetensors=True,
            local_files_only=True,
            **parts,
        )
    except (
        SafetensorError,
        OSError,
        ValueError,
        TypeError,
        RuntimeError,
        ImportError,
        AttributeError,
    ) as fault:
        raise UsageError(f"{index.folder}: the pipeline cannot be loaded: {first_line(fault)}") from None
    pipe.set_progress_bar_config(disable=True)
    if options.offload == "none":
        pipe.to(device)
    elif options.offload == "model":
        pipe.enable_model_cpu_offload(device=device)
    else:
        pipe.enable_sequential_cpu_offload(device=device)
    return Pipeline(index, modality, settings, pipe, device)


def _model(index: Index, name: str, dtype: Any) -> Any:
    """A component that has weights; None for schedulers, tokenizers and the like, which the pipeline loads.

    Loaded here because only so it can be told whether all weights were there: the libraries fill what is
    missing with random numbers.
    """
    import diffusers
    import transformers

    kind = _class(index, name)
    if not issubclass(kind, diffusers.ModelMixin | transformers.PreTrainedModel):
        return None
    new_word = issubclass(kind, transformers.PreTrainedModel) or _diffusers_says_dtype()
    precision = {"dtype" if new_word else "torch_dtype": dtype}
    model, report = kind.from_pretrained(
        index.folder / name,
        use_safetensors=True,
        local_files_only=True,
        output_loading_info=True,
        **precision,
    )
    check_complete(index.folder / name, report)
    return model


def _diffusers_says_dtype() -> bool:
    """Newer versions warn of `torch_dtype`, older ones do not know `dtype`."""
    import diffusers

    return hasattr(diffusers.utils.deprecation_utils, "_resolve_dtype")


def _class(index: Index, name: str) -> Any:
    """The component's class, from diffusers or transformers alone."""
    import diffusers
    import transformers

    library, kind = index.components[name]
    if library == "transformers":
        module: Any = transformers
    elif library == "diffusers":
        module = diffusers
    else:
        module = getattr(diffusers.pipelines, library, None)
    found = getattr(module, kind, None)
    if not isinstance(found, type):
        raise UsageError(
            f"{index.folder / 'model_index.json'}: component {name!r}: neither diffusers "
            f"{diffusers.__version__} nor transformers {transformers.__version__} has {library}.{kind}"
        )
    return found
