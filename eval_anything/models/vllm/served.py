"""What a checkpoint's files say of the model that vLLM will serve; read without transformers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from eval_anything.errors import UsageError
from eval_anything.models.hf.checkpoint import read_config
from eval_anything.values import Modality

# Fields of config.json, of the whole model or of its thinker, that models of several kinds have in common.
_FIELDS: dict[Modality, tuple[str, ...]] = {
    "image": ("vision_config", "visual", "image_token_id", "image_token_index", "mm_vision_tower"),
    "audio": ("audio_config", "audio_token_id", "audio_token_index", "audio_processor"),
    "video": ("video_token_id", "video_token_index"),
}
_FILES: dict[Modality, str] = {"video": "video_preprocessor_config.json"}
_PARTS: dict[Modality, str] = {
    "image": "image_processor",
    "audio": "feature_extractor",
    "video": "video_processor",
}
"""Of processor_config.json, where processors are kept in one file."""
_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""The values that vLLM takes as the largest rank of an adapter."""


def modalities(folder: Path) -> tuple[Modality, ...]:
    """What the checkpoint in `folder` takes, as far as its files tell.

    Raises UsageError where `folder` holds no checkpoint.
    """
    configs = list(_configs(read_config(folder)))
    processor = _object(folder / "processor_config.json")
    found: list[Modality] = ["text"]
    for modality, fields in _FIELDS.items():
        stated = any(config.get(field) is not None for config in configs for field in fields)
        parted = processor.get(_PARTS[modality]) is not None
        if stated or parted or (modality in _FILES and (folder / _FILES[modality]).is_file()):
            found.append(modality)
    return tuple(found)


def has_chat_template(folder: Path) -> bool:
    """Whether the checkpoint brings a chat template; without one vLLM takes plain prompts alone."""
    if (folder / "chat_template.jinja").is_file() or (folder / "chat_template.json").is_file():
        return True
    return bool(_object(folder / "tokenizer_config.json").get("chat_template"))


def rank(folder: Path) -> int:
    """The smallest `--max-lora-rank` that the adapter in `folder` fits into. Raises UsageError."""
    stated = _object(folder / "adapter_config.json").get("r")
    fitting = [rank for rank in _RANKS if isinstance(stated, int) and rank >= stated]
    if not fitting:
        raise UsageError(
            f"{folder / 'adapter_config.json'}: r is {stated!r}: expected a rank up to {_RANKS[-1]}"
        )
    return fitting[0]


def _configs(config: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield config
    if isinstance(thinker := config.get("thinker_config"), Mapping):
        yield thinker


def _object(path: Path) -> dict[str, Any]:
    """A JSON object; empty where there is no such file."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.MsgspecError) as fault:
        raise UsageError(f"{path}: not readable as a JSON object: {fault}") from None
