"""What decides one generation by a diffusers pipeline: presets, and what each pipeline calls its settings."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import msgspec

from eval_anything.agents.media.pipelines import Index, modality_of, pipeline_class, read_object
from eval_anything.errors import UsageError

DEFAULT_FPS = 8


class Settings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What decides one generation besides prompt and seed; None: the pipeline's own default."""

    steps: int | None = None
    """Denoising steps."""
    guidance: float | None = None
    """Scale of classifier-free guidance."""
    true_guidance: float | None = None
    """Scale of guidance away from the negative prompt, where the pipeline has it beside `guidance`."""
    width: int | None = None
    """Pixels."""
    height: int | None = None
    """Pixels."""
    duration_s: float | None = None
    """Seconds of audio."""
    frames: int | None = None
    """Frames of a video; with `fps`, its length."""
    fps: int | None = None
    """Frames per second at which a video is made, where the pipeline wants to know, and written."""
    negative_prompt: str | None = None
    """What is to be kept out."""
    max_prompt_tokens: int | None = None
    """Tokens of the prompt that a T5 text encoder reads."""


PRESETS: dict[str, Settings] = {
    "AudioLDM2Pipeline": Settings(steps=200, duration_s=10.0),
    "CogVideoXPipeline": Settings(steps=50, frames=49, guidance=6.0, fps=8),
    "FluxPipeline/distilled": Settings(steps=4, guidance=0.0, max_prompt_tokens=256),
    "StableDiffusion3Pipeline": Settings(steps=28, guidance=7.0),
}
"""The settings with which the any-to-any benchmarks of align-anything ran these as tools. Distilled FLUX is
FLUX.1-schnell, which takes no guidance and needs four steps."""

RATES: dict[str, int] = {
    "AllegroPipeline": 15,
    "HunyuanVideoPipeline": 15,
    "Kandinsky5T2VPipeline": 24,
    "MochiPipeline": 30,
    "SanaVideoPipeline": 16,
    "SkyReelsV2Pipeline": 24,
    "WanPipeline": 16,
}
"""Frames per second with which diffusers' own examples write what these make, and which they are not told."""

ARGUMENTS: dict[str, tuple[str, ...]] = {
    "steps": ("num_inference_steps",),
    "guidance": ("guidance_scale",),
    "true_guidance": ("true_cfg_scale",),
    "width": ("width",),
    "height": ("height",),
    "duration_s": ("audio_length_in_s", "audio_end_in_s"),
    "frames": ("num_frames",),
    "fps": ("frame_rate", "fps"),
    "negative_prompt": ("negative_prompt",),
    "max_prompt_tokens": ("max_sequence_length",),
}
"""How pipelines call what `Settings` names. Most are not told `fps`: they make frames."""


def preset(index: Index) -> Settings:
    distilled = index.pipeline == "FluxPipeline" and not _embeds_guidance(index)
    return PRESETS.get(f"{index.pipeline}/distilled" if distilled else index.pipeline, Settings())


def arguments(index: Index, settings: Settings) -> dict[str, Any]:
    """`settings` as the pipeline calls them.

    Raises UsageError for one that it does not have, or would not look at.
    """
    takes = _takes(index)
    given: dict[str, Any] = {}
    for name, value in msgspec.to_builtins(settings).items():
        argument = _argument(name, takes)
        if argument is not None:
            given[argument] = value
        elif name != "fps" or modality_of(index) != "video":
            known = [n for n in ARGUMENTS if _argument(n, takes)]
            raise UsageError(
                f"option {name}: {index.pipeline} has no such setting (it has {', '.join(known)})"
            )
    _check_guidance(index, settings, takes)
    return given


def effective(index: Index, settings: Settings) -> dict[str, Any]:
    """`settings` with the pipeline's own defaults where they are None and the pipeline states them."""
    takes = _takes(index)
    shown: dict[str, Any] = msgspec.to_builtins(settings)
    for name in ARGUMENTS:
        argument = _argument(name, takes)
        default = takes[argument].default if argument else None
        if name not in shown and isinstance(default, int | float | str):
            shown[name] = round(default) if name == "fps" else default
    if settings.negative_prompt is None:
        shown.pop("true_guidance", None)  # there is nothing to guide away from
    if modality_of(index) == "video":
        shown.setdefault("fps", RATES.get(index.pipeline, DEFAULT_FPS))
    return shown


def has_known_rate(index: Index, settings: Settings) -> bool:
    """Whether anything says how many frames per second the pipeline's videos have."""
    return bool(settings.fps or _argument("fps", _takes(index)) or index.pipeline in RATES)


def _takes(index: Index) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(pipeline_class(index).__call__).parameters


def _argument(name: str, takes: Mapping[str, Any]) -> str | None:
    return next((argument for argument in ARGUMENTS[name] if argument in takes), None)


def _embeds_guidance(index: Index) -> bool:
    """Whether the checkpoint was distilled to take the scale of guidance as an input."""
    path = index.folder / "transformer" / "config.json"
    return path.is_file() and bool(read_object(path).get("guidance_embeds"))


def _check_guidance(index: Index, settings: Settings, takes: Mapping[str, inspect.Parameter]) -> None:
    """Raises UsageError where a scale or a negative prompt would be passed over in silence."""
    both = _argument("true_guidance", takes) is not None
    if both and settings.guidance and not _embeds_guidance(index):
        raise UsageError(
            f"option guidance: this checkpoint of {index.pipeline} takes none (guidance_embeds in "
            f"{index.folder / 'transformer' / 'config.json'}); true_guidance with a negative_prompt guides it"
        )
    if settings.negative_prompt is None:
        if settings.true_guidance is not None:
            raise UsageError("option true_guidance: it leads away from negative_prompt, which is not given")
        return
    name = "true_guidance" if both else "guidance"
    scale = effective(index, settings).get(name)
    if isinstance(scale, int | float) and scale <= 1:
        raise UsageError(
            f"option negative_prompt: {index.pipeline} looks at it where {name} is above 1; it is {scale:g}"
        )
