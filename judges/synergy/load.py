"""From a checkpoint's folder or hub id to a model that scores, with no remote code and no open pickle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from eval_anything.errors import UsageError
from eval_anything.judges.synergy import weights
from eval_anything.judges.synergy.config import RewardConfig
from eval_anything.judges.synergy.model import AnyRewardModel, expected_tensors
from eval_anything.judges.synergy.weights import Stored
from eval_anything.models.hf import load

_TOWER = "modality_tower."
_OUTER = "model."
_BACKBONE, _LANGUAGE = "language_model.model.", "language_model."
# In the published files, and of no use for a score.
_NOT_NEEDED = (
    "language_model.lm_head.",
    "video_projector.",
    *(
        f"{_TOWER}modality_{stage}.{modality}."
        for stage in ("preprocessors", "trunks", "heads", "postprocessors")
        for modality in ("text", "depth", "thermal", "imu")
    ),
)
_SHOWN = 3


def load_model(folder: Path, config: RewardConfig, device: str, dtype: str) -> AnyRewardModel:
    """The model with all of its weights, ready to score.

    Raises UsageError that names what is missing, unknown or of another shape.
    """
    expected = expected_tensors(config)
    with weights.opened(weights.main_files(folder)) as main:
        held = _renamed(main)
        if any(name.startswith(_TOWER) for name in held):
            return _assemble(folder, config, held, expected, device, dtype)
        with weights.opened(weights.imagebind_files(folder)) as tower:
            held |= {_TOWER + name: stored for name, stored in tower.items()}
            return _assemble(folder, config, held, expected, device, dtype)


def _renamed(held: Mapping[str, Stored]) -> dict[str, Stored]:
    """By the names of `AnyRewardModel`: without the outer prefix, and without Llama's own inner one."""
    renamed: dict[str, Stored] = {}
    for published, stored in held.items():
        name = published.removeprefix(_OUTER)
        if name.startswith(_BACKBONE):
            name = _LANGUAGE + name.removeprefix(_BACKBONE)
        if name in renamed:
            raise UsageError(f"{stored.file}: {published}: this tensor is there under two names")
        renamed[name] = stored
    return renamed


def _assemble(
    folder: Path,
    config: RewardConfig,
    held: Mapping[str, Stored],
    expected: Mapping[str, tuple[int, ...]],
    device: str,
    dtype: str,
) -> AnyRewardModel:
    _check(folder, held, expected)
    with torch.device("meta"):
        model = AnyRewardModel(config)
    # One tensor at a time, cast on its way: at no point are there two copies of the whole.
    state = {name: _cast(held[name], name, device, dtype) for name in expected}
    model.load_state_dict(state, strict=True, assign=True)
    # The frequencies of the rotary embedding are computed, not stored, and must stay float32.
    language = config.language()
    model.language_model.rotary_emb = type(model.language_model.rotary_emb)(language).to(device)
    model.eval().requires_grad_(False)
    return model


def _cast(stored: Stored, name: str, device: str, dtype: str) -> torch.Tensor:
    tensor = stored.read()
    if not tensor.is_floating_point():
        raise UsageError(f"{stored.file}: {name} holds {tensor.dtype}, expected floating point numbers")
    return tensor.to(device, getattr(torch, dtype), copy=True)


def _check(folder: Path, held: Mapping[str, Stored], expected: Mapping[str, tuple[int, ...]]) -> None:
    missing = [name for name in expected if name not in held]
    if missing and not any(name.startswith(_TOWER) for name in held):
        raise UsageError(
            f"{folder}: ImageBind's weights are missing: expected {weights.IMAGEBIND}.pth or .safetensors"
        )
    unknown = [name for name in held if name not in expected and not name.startswith(_NOT_NEEDED)]
    wrong = [
        f"{name} ({_shape(held[name].shape)} in place of {_shape(shape)})"
        for name, shape in expected.items()
        if name in held and held[name].shape != shape
    ]
    faults = [
        f"{len(names)} {kind}: {_first(names)}"
        for kind, names in (("missing", missing), ("unexpected", unknown), ("of the wrong shape", wrong))
        if names
    ]
    if faults:
        raise UsageError(f"{folder}: not the tensors of an AnyRewardModel: {'; '.join(faults)}")


def _first(names: Iterable[str]) -> str:
    ordered = list(names)
    shown = ", ".join(name[:120] for name in ordered[:_SHOWN])
    return shown if len(ordered) <= _SHOWN else f"{shown} and {len(ordered) - _SHOWN} more"


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "scalar"


def load_tokenizer(folder: Path, config: RewardConfig) -> Any:
    """The checkpoint's tokenizer. Raises UsageError where it is not there, or not that of this model."""
    from transformers import PreTrainedTokenizerFast

    try:
        # What tokenizer.json says, and nothing else: AutoTokenizer would look for the class of a model type
        # that transformers does not know.
        tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    except (ValueError, TypeError, KeyError, AttributeError, OSError, ImportError) as fault:
        raise UsageError(f"{folder}: no usable tokenizer: {load.first_line(fault)}") from None
    known = tokenizer.get_vocab()
    for token, index in (("<image>", config.image_token_index), ("<audio>", config.audio_token_index)):
        if known.get(token, index) != index:
            raise UsageError(f"{folder}: {token} is token {known[token]}, config.json says {index}")
    return tokenizer
