"""From a checkpoint's folder to a processor, capabilities and weights, through the Auto classes alone.

Never remote code, never pickled weights; weights that the checkpoint lacks are an error, because transformers
would fill them with random numbers and the scores would look like a model's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eval_anything.errors import MissingExtra, UsageError
from eval_anything.models.hf import checkpoint
from eval_anything.models.hf.torchvision_shim import declare_missing_operators
from eval_anything.values import Capabilities, Modality

_SUB_PROCESSORS: dict[Modality, tuple[str, ...]] = {
    "image": ("image_processor",),
    "audio": ("feature_extractor", "audio_processor"),
    "video": ("video_processor",),
}
_PROBE = "probe"


@dataclasses.dataclass(frozen=True)
class Opened:
    """A checkpoint before its weights are loaded."""

    folder: Path
    config: Any
    """Of the model that generates text: the thinker's, where the checkpoint has a talker too."""
    processor: Any
    """The processor, or the tokenizer of a text-only model."""
    chat_template: str | None
    """What replaces the processor's own template, if anything."""
    capabilities: Capabilities

    @property
    def tokenizer(self) -> Any:
        return getattr(self.processor, "tokenizer", self.processor)


def libraries() -> None:
    """Import transformers and torch in the right order. Raises MissingExtra naming what to install."""
    try:
        import torch  # noqa: F401

        declare_missing_operators()
        from transformers.utils import logging
    except ImportError as fault:
        raise MissingExtra(f"models in process need {fault.name}: pip install 'eval-anything[hf]'") from None
    logging.disable_progress_bar()


def open_checkpoint(folder: Path, chat_template: Path | None) -> Opened:
    """Read configuration and processor. Raises UsageError naming the file and what was expected."""
    libraries()
    config = _config(folder)
    processor = _processor(folder)
    template = read_template(chat_template)
    if template is None and not getattr(processor, "chat_template", None):
        # Some processors do not take up the template that their tokenizer has read (Chameleon's).
        template = getattr(getattr(processor, "tokenizer", None), "chat_template", None)
    _prepare_tokenizer(folder, getattr(processor, "tokenizer", processor))
    # A base model has none; it takes plain prompts.
    chat = template is not None or bool(getattr(processor, "chat_template", None))
    inputs: list[Modality] = ["text"]
    for modality, names in _SUB_PROCESSORS.items():
        held = any(getattr(processor, name, None) is not None for name in names)
        if chat and held and _template_shows(processor, template, modality):
            inputs.append(modality)
    order: tuple[Modality, ...] = ("text", "image", "audio", "video")
    capabilities = Capabilities(
        inputs=tuple(m for m in order if m in inputs), chat=chat, plain=True, likelihood="all"
    )
    return Opened(folder, config, processor, template, capabilities)


def _config(folder: Path) -> Any:
    import transformers
    from huggingface_hub.errors import StrictDataclassError

    stated = checkpoint.read_config(folder).get("model_type")
    if stated not in transformers.CONFIG_MAPPING:
        raise UsageError(
            f"{folder / 'config.json'}: model_type {stated!r} is unknown to transformers "
            f"{transformers.__version__} (code that comes with a checkpoint is never run)"
        )
    try:
        config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except (StrictDataclassError, ValueError, TypeError, KeyError, AttributeError, OSError) as fault:
        raise UsageError(
            f"{folder / 'config.json'}: not a valid {stated} configuration: {first_line(fault)}"
        ) from None
    # A checkpoint with a talker has the model that writes text inside; speech is not asked for here.
    config = getattr(config, "thinker_config", config)
    model_class(config)
    return config


def model_class(config: Any) -> Any:
    """The Auto class that serves `config`: for multimodal chat where there is one, else for plain text."""
    import transformers

    names = ("AutoModelForMultimodalLM", "AutoModelForImageTextToText", "AutoModelForCausalLM")
    for auto in (getattr(transformers, name, None) for name in names):
        if auto is not None and type(config) in auto._model_mapping:
            return auto
    raise UsageError(
        f"model_type {config.model_type!r} does not generate text: "
        "expected a causal language model or a multimodal chat model"
    )


def _processor(folder: Path) -> Any:
    import transformers

    try:
        return transformers.AutoProcessor.from_pretrained(folder, trust_remote_code=False)
    except (ValueError, TypeError, KeyError, AttributeError, OSError, ImportError) as fault:
        raise UsageError(
            f"{folder}: no usable processor or tokenizer (processor_config.json, preprocessor_config.json, "
            f"tokenizer.json): {first_line(fault)}"
        ) from None


def _prepare_tokenizer(folder: Path, tokenizer: Any) -> None:
    if not hasattr(tokenizer, "apply_chat_template"):
        raise UsageError(f"{folder}: {type(tokenizer).__name__} is not a tokenizer: expected tokenizer.json")
    tokenizer.padding_side = "left"  # generation goes on from the last column
    if tokenizer.pad_token is None:
        if tokenizer.eos_token is None:
            raise UsageError(f"{folder}: the tokenizer has neither a pad token nor an end token")
        tokenizer.pad_token = tokenizer.eos_token


def read_template(path: Path | None) -> str | None:
    """The text of option `chat_template`. Raises UsageError where it cannot be read."""
    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        raise UsageError(f"option chat_template: {path}: {fault}") from None


def _template_shows(processor: Any, template: str | None, modality: Modality) -> bool:
    """Whether the chat template writes anything for a part of `modality`: if not, the model never sees it."""
    import jinja2

    text = {"type": "text", "text": _PROBE}
    rendered = []
    for parts in ([{"type": modality}, text], [text]):
        try:
            rendered.append(
                processor.apply_chat_template(
                    [{"role": "user", "content": parts}], chat_template=template, add_generation_prompt=True
                )
            )
        except jinja2.TemplateError:
            return False
    return bool(rendered[0] != rendered[1])


def resolve_device(device: str) -> str:
    """ "auto" is the GPU where there is one. Raises UsageError for a device that is not there."""
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as fault:
        raise UsageError(f"option device: {device!r}: {first_line(fault)}") from None
    return device


def resolve_dtype(dtype: str, device: str) -> str:
    """ "auto" is bfloat16 on a GPU, float32 elsewhere."""
    if dtype == "auto":
        return "bfloat16" if device.startswith("cuda") else "float32"
    return dtype


def load_weights(opened: Opened, device: str, dtype: str, attention: str | None, *, kind: Any = None) -> Any:
    """The model, ready to generate; `kind` is a class to take in place of transformers' own.

    Raises UsageError for files missing, damaged, or not of this model.
    """
    import torch
    from safetensors import SafetensorError

    checkpoint.weight_files(opened.folder)
    options = {} if attention is None else {"attn_implementation": attention}
    try:
        model, report = (kind or model_class(opened.config)).from_pretrained(
            opened.folder,
            config=opened.config,
            dtype=getattr(torch, dtype),
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
            **options,
        )
    except (SafetensorError, OSError, ValueError, RuntimeError, ImportError) as fault:
        raise UsageError(f"{opened.folder}: the weights cannot be loaded: {first_line(fault)}") from None
    check_complete(opened.folder, report)
    return model.to(device).eval()


def check_complete(folder: Path, report: Mapping[str, Any]) -> None:
    """Raises UsageError where `report`, what `from_pretrained` tells of the loading, has missing weights.

    The libraries have filled those with random numbers.
    """
    absent = sorted({*report["missing_keys"], *(str(entry) for entry in report["mismatched_keys"])})
    if absent:
        raise UsageError(
            f"{folder}: the checkpoint lacks {len(absent)} of the model's weights, or has them in "
            f"another shape, for example {absent[0]}"
        )


def first_line(fault: BaseException) -> str:
    """The first line of a library's message: the rest is advice about options that are not offered here."""
    lines = [line.strip() for line in str(fault).splitlines() if line.strip()]
    return f"{type(fault).__name__}: {lines[0]}" if lines else type(fault).__name__
