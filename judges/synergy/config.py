"""What a checkpoint says of itself: `config.json`, read strictly, with the sizes of its three networks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from eval_anything.errors import UsageError
from eval_anything.judges.sizes import Depth, Vocabulary, Width
from eval_anything.models.hf import checkpoint, load

_LANGUAGE_SIZES: dict[str, Any] = {
    "vocab_size": Vocabulary,
    "hidden_size": Width,
    "intermediate_size": Annotated[int, msgspec.Meta(ge=1, le=1 << 20)],
    "num_hidden_layers": Depth,
    "num_attention_heads": Depth,
    "num_key_value_heads": Depth,
    "head_dim": Width,
    "max_position_embeddings": Annotated[int, msgspec.Meta(ge=16, le=1 << 24)],
}
_LANGUAGE_REST = (
    "hidden_act",
    "rms_norm_eps",
    "rope_theta",
    "rope_scaling",
    "rope_parameters",
    "attention_bias",
    "mlp_bias",
)


class TrunkSize(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One transformer encoder."""

    width: Width
    depth: Depth
    heads: Depth


class ImageBindSize(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The encoders of one ImageBind model; the defaults are those of ImageBind-huge."""

    vision: TrunkSize = TrunkSize(1280, 32, 16)
    audio: TrunkSize = TrunkSize(768, 12, 12)


class ModalityConfig(msgspec.Struct, frozen=True):
    hidden_size: Width
    """Features of one image or one sound; 1024 for ImageBind-huge."""
    imagebind: ImageBindSize = ImageBindSize()
    """Not in published checkpoints, which are all built on ImageBind-huge."""


class RewardConfig(msgspec.Struct, frozen=True):
    """The fields of `config.json` that decide a score; a published one has more."""

    model_type: Literal["any_model"]
    text_config: dict[str, Any]
    modality_config: ModalityConfig
    image_token_index: int = 128256
    video_token_index: int = 128257
    audio_token_index: int = 128258
    pad_token_id: int = 128259
    projector_hidden_act: Literal["gelu"] = "gelu"

    def language(self) -> Any:
        """The `LlamaConfig` of the language model; needs `load.libraries()` first.

        Only of what decides the network: a configuration can also name an attention kernel on the hub, and
        transformers would fetch and run it.
        """
        from transformers import LlamaConfig

        known = (*_LANGUAGE_SIZES, *_LANGUAGE_REST)
        kept = {name: self.text_config[name] for name in known if name in self.text_config}
        return LlamaConfig(**kept, attn_implementation="sdpa")


def read(folder: Path) -> RewardConfig:
    """Raises UsageError that names the field where the checkpoint is not one of an AnyRewardModel."""
    from huggingface_hub.errors import StrictDataclassError

    path = folder / "config.json"
    try:
        config = msgspec.convert(checkpoint.read_config(folder), RewardConfig)
        if config.text_config.get("model_type", "llama") != "llama":
            raise UsageError(f"{path}: text_config: expected a llama, found another model_type")
        language = config.language()
        for name, kind in _LANGUAGE_SIZES.items():
            _sized(language, name, kind)
    except msgspec.ValidationError as fault:
        raise UsageError(f"{path}: not the configuration of an AnyRewardModel: {fault}") from None
    except (StrictDataclassError, ValueError, TypeError, KeyError, AttributeError) as fault:
        raise UsageError(f"{path}: text_config is no llama configuration: {load.first_line(fault)}") from None
    _check(config, language, path)
    return config


def _sized(language: Any, name: str, kind: Any) -> None:
    try:
        msgspec.convert(getattr(language, name), kind)
    except msgspec.ValidationError as fault:
        raise msgspec.ValidationError(f"{fault} - at `$.text_config.{name}`") from None


def _check(config: RewardConfig, language: Any, path: Path) -> None:
    ids = {
        "image_token_index": config.image_token_index,
        "video_token_index": config.video_token_index,
        "audio_token_index": config.audio_token_index,
        "pad_token_id": config.pad_token_id,
    }
    for name, token in ids.items():
        if not 0 <= token < language.vocab_size:
            raise UsageError(f"{path}: {name} {token} is outside of the vocabulary of {language.vocab_size}")
    if language.num_attention_heads % language.num_key_value_heads:
        raise UsageError(
            f"{path}: {language.num_attention_heads} heads do not divide by {language.num_key_value_heads}"
        )
    if language.hidden_act != "silu" or language.rope_parameters.get("rope_type") != "default":
        raise UsageError(f"{path}: text_config: expected hidden_act silu and plain rotary embeddings")
    if len(set(ids.values())) < len(ids):
        raise UsageError(f"{path}: two of {', '.join(ids)} are the same token")
    sizes = config.modality_config.imagebind
    for modality, trunk in (("vision", sizes.vision), ("audio", sizes.audio)):
        if trunk.width % trunk.heads:
            raise UsageError(
                f"{path}: {modality}: width {trunk.width} does not divide by {trunk.heads} heads"
            )
