"""Where a reward model's checkpoint is, which files hold its weights, and the hash that names it."""

from __future__ import annotations

from pathlib import Path

from eval_anything.judges import checkpoints
from eval_anything.models.hf import checkpoint, load

MAIN_PICKLE = "pytorch_model.bin"
IMAGEBIND = "imagebind/imagebind_huge"
"""Beside the main weights, as `.pth` (published) or `.safetensors`."""
_JUDGE, _LICENCE = "synergy", "CC BY-NC 4.0"
_SAFE = ("*.json", "model*.safetensors*", "imagebind/*.safetensors", "imagebind/*.pth")
_HASHED = (MAIN_PICKLE, "imagebind_huge.pth")


def check(name: str, revision: str | None) -> None:
    """Raises UsageError where there is no checkpoint of an AnyRewardModel, or its weights are not there."""
    place, commit = checkpoints.find(_JUDGE, name, revision)
    load.libraries()
    from eval_anything.judges.synergy import config

    config.read(place)
    if not commit:
        main_files(place)


def identity(name: str, revision: str | None) -> dict[str, str]:
    """The hub's commit, or a hash over configuration, tokenizer and weights of a local folder."""
    place, commit = checkpoints.find(_JUDGE, name, revision)
    if commit:
        return {"commit": commit}
    return {"checkpoint": checkpoint.digest(place, nested=True, more=_HASHED)[0]}


def with_weights(name: str, revision: str | None) -> Path:
    """The folder with the weights in it, fetched from the hub where it is not a local one."""
    place, commit = checkpoints.find(_JUDGE, name, revision)
    if commit:
        place = checkpoints.fetch(_JUDGE, name, commit, _SAFE, _LICENCE)
        if not list(place.glob("model*.safetensors")):
            place = checkpoints.fetch(_JUDGE, name, commit, (*_SAFE, MAIN_PICKLE), _LICENCE)
    return place


def main_files(folder: Path) -> list[Path]:
    """The files of the language model, projectors and head: safetensors where there are any.

    Raises UsageError where there are none, or one is cut short.
    """
    if not list(folder.glob("model*.safetensors*")) and (folder / MAIN_PICKLE).is_file():
        return [folder / MAIN_PICKLE]
    return checkpoint.weight_files(folder)


def imagebind_files(folder: Path) -> list[Path]:
    """The file of ImageBind beside them; none where the main files hold it."""
    candidates = [folder / f"{IMAGEBIND}{suffix}" for suffix in (".safetensors", ".pth")]
    return [file for file in candidates if file.is_file()][:1]
