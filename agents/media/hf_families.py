"""The generators of transformers that `hf_media` knows: how each is loaded, asked and listened to."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

from eval_anything.errors import BadRequest, MissingExtra, ModelError, UsageError
from eval_anything.values import Modality, Params

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image as PILImage

    from eval_anything.agents.media.hf_media import HFMediaOptions

_DEFAULT_S = 10.0
# Without guidance Janus's generate fails; so little of it changes no number (float32 has seven digits).
_LEAST_GUIDANCE = 1 + 1e-7


@dataclasses.dataclass(frozen=True)
class Job:
    prompt: str
    seed: int
    params: Params


class Family(abc.ABC):
    """One kind of generator: `model` and `processor` are what transformers has loaded of it."""

    makes: ClassVar[Modality]
    model_class: ClassVar[str]
    """Its class in transformers."""
    takes: ClassVar[tuple[str, ...]] = ()
    """Options of HFMediaOptions that concern it."""

    def __init__(self, options: "HFMediaOptions") -> None:
        self.options = options

    def check(self, processor: Any, config: Mapping[str, Any]) -> None:  # noqa: B027 - most need nothing more
        """Before weights are read. Raises MissingExtra for a package that its prompts go through, UsageError
        for an option beyond what the checkpoint has."""

    @abc.abstractmethod
    def settings(self, model: Any) -> dict[str, Any]:
        """What decides a generation besides prompt, seed and decoding parameters."""

    @abc.abstractmethod
    def make(self, model: Any, processor: Any, job: Job) -> bytes:
        """A PNG or WAV file; torch's own generator has been seeded."""


class MusicGen(Family):
    makes = "audio"
    model_class = "MusicgenForConditionalGeneration"
    takes = ("guidance", "duration_s")

    def settings(self, model: Any) -> dict[str, Any]:
        return {
            "guidance": _guidance(self.options, model, 3.0),
            "duration_s": self.options.duration_s or _DEFAULT_S,
        }

    def make(self, model: Any, processor: Any, job: Job) -> bytes:
        from eval_anything.media.convert import write_wav

        settings, codec = self.settings(model), model.config.audio_encoder
        frames = round(settings["duration_s"] * codec.frame_rate)
        inputs = processor(text=[job.prompt], return_tensors="pt").to(model.device)
        made = model.generate(
            **inputs,
            guidance_scale=settings["guidance"],
            # Codebook k is written k steps late, so the last frame is whole only that much later.
            max_new_tokens=frames + model.config.decoder.num_codebooks - 1,
            **sampling(job.params),
        )
        samples = finite(made[0])[:, : round(settings["duration_s"] * codec.sampling_rate)]
        return write_wav(samples.T, codec.sampling_rate)


class Janus(Family):
    makes = "image"
    model_class = "JanusForConditionalGeneration"
    takes = ("guidance",)

    def settings(self, model: Any) -> dict[str, Any]:
        return {"guidance": _guidance(self.options, model, 5.0)}

    def make(self, model: Any, processor: Any, job: Job) -> bytes:
        from eval_anything.media.convert import write_png

        turn = [{"role": "user", "content": [{"type": "text", "text": job.prompt}]}]
        text = processor.apply_chat_template(turn, add_generation_prompt=True)
        inputs = processor(text=[text], generation_mode="image", return_tensors="pt").to(model.device)
        # Checkpoints are saved without it, and the model looks for it here.
        start = processor.tokenizer.convert_tokens_to_ids(processor.image_start_token)
        model.generation_config.generation_kwargs = {"boi_token_id": start}
        tokens = model.generate(
            **inputs,
            generation_mode="image",
            use_cache=True,
            guidance_scale=max(self.settings(model)["guidance"], _LEAST_GUIDANCE),
            **sampling(job.params),
        )
        return write_png(pictures(model.decode_image_tokens(tokens), processor)[0])


class Vits(Family):
    """Speech in one voice or several (MMS-TTS): rhythm and tone are drawn, whatever the temperature."""

    makes = "audio"
    model_class = "VitsModel"
    takes = ("speaker", "speaking_rate")

    def check(self, processor: Any, config: Mapping[str, Any]) -> None:
        for wanted, package in (("phonemize", "phonemizer"), ("is_uroman", "uroman")):
            if getattr(processor, wanted, False) and find_spec(package) is None:
                raise MissingExtra(f"this checkpoint reads texts by way of {package}: pip install {package}")
        voices = int(config.get("num_speakers", 1))
        if self.options.speaker is not None and self.options.speaker >= voices:
            raise UsageError(f"option speaker: the checkpoint has {voices}, counted from 0")

    def settings(self, model: Any) -> dict[str, Any]:
        known = {"speaking_rate": self.options.speaking_rate or model.speaking_rate}
        if model.config.num_speakers > 1:
            known["speaker"] = self.options.speaker or 0
        return known

    def make(self, model: Any, processor: Any, job: Job) -> bytes:
        from eval_anything.media.convert import write_wav

        settings = self.settings(model)
        if not processor.prepare_for_tokenization(job.prompt)[0].strip():
            raise BadRequest("none of the prompt's characters is one that the model speaks")
        inputs = processor(text=job.prompt, return_tensors="pt").to(model.device)
        made = model(
            **inputs, speaker_id=settings.get("speaker"), speaking_rate=settings["speaking_rate"]
        ).waveform
        return write_wav(finite(made[0]), model.config.sampling_rate)


class Bark(Family):
    """Speech, laughter, music, in a voice that is drawn; at most some 14 seconds."""

    makes = "audio"
    model_class = "BarkModel"

    def settings(self, model: Any) -> dict[str, Any]:
        return {}

    def make(self, model: Any, processor: Any, job: Job) -> bytes:
        from eval_anything.media.convert import write_wav

        inputs = processor(text=[job.prompt], return_tensors="pt").to(model.device)
        samples = finite(model.generate(**inputs, **sampling(job.params))[0])
        return write_wav(samples, model.generation_config.sample_rate)


FAMILIES: dict[str, type[Family]] = {"musicgen": MusicGen, "janus": Janus, "vits": Vits, "bark": Bark}
"""By model_type of the checkpoint's configuration."""


def _guidance(options: "HFMediaOptions", model: Any, default: float) -> float:
    stated = model.generation_config.guidance_scale
    return float(options.guidance or (default if stated is None else stated))


def pictures(decoded: Any, processor: Any) -> "list[PILImage]":
    """What a Janus model has decoded, (N, height, width, 3), as RGB images."""
    import numpy as np
    from PIL import Image

    values = finite(decoded)
    mean, std = (np.array(getattr(processor.image_processor, n)) for n in ("image_mean", "image_std"))
    pixels = ((values * std + mean).clip(0, 1) * 255).round().astype(np.uint8)
    return [Image.fromarray(one) for one in pixels]


def sampling(params: Params) -> dict[str, Any]:
    """How tokens are drawn, as transformers calls it."""
    if params.temperature == 0:
        return {"do_sample": False}
    said = {"temperature": params.temperature, "top_p": params.top_p, "top_k": params.top_k}
    return {"do_sample": True, **{name: value for name, value in said.items() if value is not None}}


def finite(values: Any) -> "np.ndarray":
    """As float32 on the CPU. Raises ModelError where not all are finite."""
    import numpy as np

    array: np.ndarray = values.float().cpu().numpy()
    if not np.isfinite(array).all():
        raise ModelError("the model made numbers that are not finite (try -M dtype=float32)")
    return array
