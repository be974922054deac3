"""Where a reward model's checkpoint is, and the hash that names it."""

from __future__ import annotations

from pathlib import Path

from eval_anything.errors import UsageError
from eval_anything.models.hf import checkpoint, load

_SAFE = ("model*.safetensors*", "imagebind/*.safetensors", "imagebind/*.pth")
_PICKLED = ("pytorch_model.bin",)
_HASHED = (*_PICKLED, "imagebind_huge.pth")


def check(name: str, revision: str | None) -> None:
    """Raises UsageError where there is no checkpoint of an AnyRewardModel, or its weights are not there."""
    place, commit = _find(name, revision)
    load.libraries()
    from eval_anything.judges.synergy import config, weights

    config.read(place)
    if not commit:
        weights.main_files(place)


def identity(name: str, revision: str | None) -> dict[str, str]:
    """The hub's commit, or a hash over configuration, tokenizer and weights of a local folder."""
    place, commit = _find(name, revision)
    if commit:
        return {"commit": commit}
    return {"checkpoint": checkpoint.digest(place, nested=True, more=_HASHED)[0]}


def with_weights(name: str, revision: str | None) -> Path:
    """The folder with the weights in it, fetched from the hub where it is not a local one."""
    place, commit = _find(name, revision)
    if commit:
        place = _fetch(name, commit, _SAFE)
        if not list(place.glob("model*.safetensors")):
            place = _fetch(name, commit, (*_SAFE, *_PICKLED))
    return place


def _find(name: str, revision: str | None) -> tuple[Path, str]:
    try:
        return checkpoint.find(name, revision, weights=False)
    except UsageError as fault:
        raise UsageError(f"judge synergy, option model: {fault}") from None


def _fetch(name: str, commit: str, weights: tuple[str, ...]) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return Path(snapshot_download(name, revision=commit, allow_patterns=["*.json", *weights]))
    except (HfHubHTTPError, OSError, ValueError) as fault:
        raise UsageError(
            f"judge synergy, option model: no weights of {name} from the hub: {load.first_line(fault)}"
        ) from None
