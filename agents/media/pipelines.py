"""What is known of a diffusers pipeline before its weights are read: medium and components.

Only the JSON files of its folder are looked at. Code that comes with a checkpoint is never run, which
diffusers by itself would do for a component whose library is a Python file beside it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec

from eval_anything.errors import UsageError
from eval_anything.models.hf.checkpoint import check_safetensors
from eval_anything.suggest import nearest
from eval_anything.values import Modality

INDEX = "model_index.json"
_CLASS = re.compile(r"[A-Z]\w*Pipeline")
_LIBRARY = re.compile(r"[a-z][a-z0-9_]*")
# Importing diffusers takes seconds, which describing these common pipelines need not wait for.
COMMON: dict[str, Modality] = {
    "StableDiffusionPipeline": "image",
    "StableDiffusionXLPipeline": "image",
    "StableDiffusion3Pipeline": "image",
    "FluxPipeline": "image",
    "AudioLDMPipeline": "audio",
    "AudioLDM2Pipeline": "audio",
    "StableAudioPipeline": "audio",
    "CogVideoXPipeline": "video",
}
SAME_LENGTH = frozenset(COMMON) - {"AudioLDM2Pipeline"}
"""Of these it is known that they pad every prompt to one length, so that prompts of any lengths can share a
batch. Others pad to the longest of a batch, which changes what is made of the shorter ones."""
_OUTPUT_FIELDS: dict[str, Modality] = {"images": "image", "audios": "audio", "frames": "video"}


class Index(msgspec.Struct, frozen=True):
    """A pipeline's `model_index.json`, checked."""

    folder: Path
    pipeline: str
    """Name of its class in diffusers."""
    components: dict[str, tuple[str, str]]
    """Library and class of each component; those that the pipeline runs without are not listed."""


def read_index(folder: Path) -> Index:
    """Raises UsageError where the folder is no pipeline that diffusers itself can run."""
    path = folder / INDEX
    if not path.is_file():
        hint = (
            "; a model of transformers? Then hf/... or hf_media/..."
            if (folder / "config.json").is_file()
            else ""
        )
        raise UsageError(f"{folder}: not a diffusers pipeline: no {INDEX}{hint}")
    index = read_object(path)
    pipeline = index.get("_class_name")
    if not isinstance(pipeline, str) or not _CLASS.fullmatch(pipeline):
        raise UsageError(
            f"{path}: _class_name {str(pipeline)[:100]!r}: expected the name of a pipeline of diffusers "
            "(code that comes with a checkpoint is never run)"
        )
    components = {}
    for name, entry in index.items():
        if not name.startswith("_") and isinstance(entry, list) and entry != [None, None]:
            components[name] = _component(path, name, entry)
    return Index(folder, pipeline, components)


def _component(path: Path, name: str, entry: list[Any]) -> tuple[str, str]:
    match entry:
        case [str(library), str(kind)] if _LIBRARY.fullmatch(library) and kind.isidentifier():
            code = [f"{library}.py", f"{name}/{library}.py"]
            if name.isidentifier() and not any((path.parent / file).exists() for file in code):
                return library, kind
    raise UsageError(
        f"{path}: component {name[:50]!r} is {str(entry)[:100]}: expected a library and a class of it "
        "(code that comes with a checkpoint is never run)"
    )


def read_object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, OSError, RecursionError) as fault:
        raise UsageError(f"{path}: not readable as JSON: {fault}") from None
    if not isinstance(value, dict):
        raise UsageError(f"{path}: expected a JSON object, found {type(value).__name__}")
    return value


def modality_of(index: Index) -> Modality:
    """What the pipeline makes, by its class. Raises UsageError for one that diffusers does not have."""
    if index.pipeline in COMMON:
        return COMMON[index.pipeline]
    import sys

    import diffusers

    found = pipeline_class(index)
    module = sys.modules[found.__module__]
    outputs = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, diffusers.utils.BaseOutput)
    ]
    for field, modality in _OUTPUT_FIELDS.items():
        if any(field in getattr(output, "__dataclass_fields__", {}) for output in outputs):
            return modality
    raise UsageError(f"{index.folder / INDEX}: {index.pipeline} makes neither images, audio nor video")


def pipeline_class(index: Index) -> Any:
    """The class, which must make media of a text alone."""
    import inspect

    import diffusers

    found = getattr(diffusers, index.pipeline, None)
    if not isinstance(found, type) or not issubclass(found, diffusers.DiffusionPipeline):
        known = [name for name in dir(diffusers) if name.endswith("Pipeline")]
        hit = nearest(index.pipeline, known)
        hint = f"; did you mean {hit}?" if hit else ""
        raise UsageError(
            f"{index.folder / INDEX}: diffusers {diffusers.__version__} has no {index.pipeline}{hint}"
        )
    takes = inspect.signature(found.__call__).parameters
    if "prompt" not in takes or "image" in takes or "video" in takes:
        raise UsageError(
            f"{index.pipeline} does not start from a text alone: expected a text-to-media pipeline"
        )
    return found


def check_weights(index: Index) -> None:
    """Raises UsageError that names a component's file which is damaged, or pickled where it should not be."""
    for name in index.components:
        folder = index.folder / name
        held = sorted(folder.glob("*.safetensors")) if folder.is_dir() else []
        for file in held:
            check_safetensors(file)
        pickled = sorted(p.name for p in folder.glob("*.bin")) if folder.is_dir() else []
        if pickled and not held:
            raise UsageError(
                f"{folder}: only pickled weights ({pickled[0]}), which could run code when they are loaded: "
                "save them as safetensors"
            )
