"""From a checkpoint's folder or hub id to a model that scores, with no remote code and no open pickle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eval_anything.errors import UsageError
from eval_anything.judges import weights
from eval_anything.judges.synergy.config import RewardConfig
from eval_anything.judges.synergy.folder import IMAGEBIND, imagebind_files, main_files
from eval_anything.judges.synergy.model import AnyRewardModel
from eval_anything.judges.weights import Stored
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


def load_model(folder: Path, config: RewardConfig, device: str, dtype: str) -> AnyRewardModel:
    """The model with all of its weights, ready to score.

    Raises UsageError that names what is missing, unknown or of another shape.
    """
    with weights.opened(main_files(folder)) as main:
        held = _renamed(main)
        if any(name.startswith(_TOWER) for name in held):
            return _assemble(folder, config, held, device, dtype)
        with weights.opened(imagebind_files(folder)) as tower:
            held |= {_TOWER + name: stored for name, stored in tower.items()}
            return _assemble(folder, config, held, device, dtype)


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
    device: str,
    dtype: str,
) -> AnyRewardModel:
    def build() -> AnyRewardModel:
        return AnyRewardModel(config)

    expected = weights.shapes(build)
    if not expected.keys() <= held.keys() and not any(name.startswith(_TOWER) for name in held):
        raise UsageError(
            f"{folder}: ImageBind's weights are missing: expected {IMAGEBIND}.pth or .safetensors"
        )
    weights.check(folder, "an AnyRewardModel", held, expected, _NOT_NEEDED)
    model = weights.filled(build, held, device, dtype)
    # The frequencies of the rotary embedding are computed, not stored, and must stay float32.
    language = config.language()
    model.language_model.rotary_emb = type(model.language_model.rotary_emb)(language).to(device)
    return model


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
