"""A checkpoint's files: where they are, whether they are whole, and the hash that names them."""

from __future__ import annotations

import functools
import hashlib
import json
import re
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from eval_anything.errors import MissingExtra, UsageError
from eval_anything.models.base import local_path

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
SMALL_FILES = ["*.json", "*.jinja", "*.txt", "*.model"]
_VARIANTS = ["*.fp16*.safetensors", "*.bf16*.safetensors", "*.non_ema*.safetensors"]
_FULL_HASH_LIMIT = 4 * 10**9  # bytes of weights; reading more would delay each run by minutes
_STRIDE_CHUNKS, _CHUNK = 64, 1 << 20
_INDEX = "model.safetensors.index.json"


def find(name: str, revision: str | None, weights: bool, provider: str = "hf") -> tuple[Path, str]:
    """The folder of checkpoint `name`, a local path or a hub id, and its hub commit ("" for a local folder).

    `weights`: whether weight files are wanted too, or only configuration and processor (hub ids only).
    `provider`: who asks; messages begin with it, and "diffusers" keeps its weights in subfolders.
    Raises UsageError where there is no such folder or the hub does not give it.
    """
    folder = local_path(name)
    if folder is not None:
        if not folder.is_dir():
            raise UsageError(f"{provider}/{name}: expected the folder of a checkpoint, found a file")
        return folder, ""
    if name.startswith((".", "/", "~")) or not _HUB_ID.fullmatch(name):
        raise UsageError(
            f"{provider}/{name}: no such folder (expected a checkpoint's folder or a hub id, owner/name)"
        )
    return _from_hub(name, revision, weights, provider)


@functools.lru_cache
def _from_hub(name: str, revision: str | None, weights: bool, provider: str) -> tuple[Path, str]:
    """Remembered, so that one process works with one commit even if the repository changes meanwhile."""
    if weights:
        revision = _from_hub(name, revision, False, provider)[1]
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    except ImportError:
        raise MissingExtra(
            f"{provider}/{name}: huggingface_hub is needed: pip install 'eval-anything[hub]'"
        ) from None
    wanted = "*/*.safetensors" if provider == "diffusers" else "model*.safetensors"
    patterns = [*SMALL_FILES, *([wanted] if weights else [])]
    try:
        folder = Path(
            snapshot_download(name, revision=revision, allow_patterns=patterns, ignore_patterns=_VARIANTS)
        )
    except LocalEntryNotFoundError:
        raise UsageError(
            f"{provider}/{name}: no such local folder, not in the local hub cache, "
            "and the hub cannot be reached"
        ) from None
    except (HfHubHTTPError, OSError, ValueError) as fault:
        first = str(fault).strip().splitlines()[0]
        raise UsageError(f"{provider}/{name}: the hub does not give this checkpoint: {first}") from None
    return folder, folder.name


def read_config(folder: Path) -> dict[str, Any]:
    """The parsed `config.json`. Raises UsageError where it is absent or no JSON object."""
    path = folder / "config.json"
    if not path.is_file():
        held = ", ".join(sorted(p.name for p in folder.iterdir())[:5]) or "nothing"
        raise UsageError(f"{folder}: not a checkpoint: no config.json (the folder holds {held})")
    return _read_object(path)


def _read_object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, OSError) as fault:
        raise UsageError(f"{path}: not readable as JSON: {fault}") from None
    if not isinstance(value, dict):
        raise UsageError(f"{path}: expected a JSON object, found {type(value).__name__}")
    return value


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files that hold the weights, each checked to be there and whole.

    Raises UsageError that names the file. Pickled weights are refused: unpickling runs code.
    """
    if (folder / _INDEX).is_file():
        shards = _read_object(folder / _INDEX).get("weight_map")
        if not isinstance(shards, dict):
            raise UsageError(f"{folder / _INDEX}: expected an object 'weight_map'")
        files = [folder / name for name in sorted({Path(str(s)).name for s in shards.values()})]
    else:
        files = [folder / "model.safetensors"]
    for file in files:
        if not file.is_file():
            raise UsageError(_no_weights(folder, file))
        check_safetensors(file)
    return files


def _no_weights(folder: Path, missing: Path) -> str:
    pickled = sorted(p.name for p in folder.iterdir() if p.suffix in (".bin", ".pt", ".pth", ".ckpt"))
    if pickled and missing.name == "model.safetensors":
        return (
            f"{folder}: only pickled weights ({pickled[0]}), which could run code when they are loaded: "
            "save them as safetensors"
        )
    return f"{folder}: weights are missing: no {missing.name}"


def check_safetensors(file: Path) -> None:
    """Compare a file's length with what its header announces, so that a cut download is named as such."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        head = stream.read(8)
        length = struct.unpack("<Q", head)[0] if len(head) == 8 else size
        if length > size - 8:
            raise UsageError(f"{file}: damaged: {size} bytes do not even hold its header; fetch it again")
        try:
            header = json.loads(stream.read(length))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
            expected = 8 + length + max(ends, default=0)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError):
            raise UsageError(f"{file}: damaged: its header is not that of a safetensors file") from None
    if size != expected:
        raise UsageError(f"{file}: damaged: {size} bytes, its header announces {expected}; fetch it again")


def digest(folder: Path, *, nested: bool = False, more: Iterable[str] = ()) -> tuple[str, bool]:
    """sha256 over the checkpoint's configuration, processor and weights, and whether it is the full hash.

    `nested`: of pipelines, whose components lie in subfolders. `more`: patterns of weights in other forms.

    Up to 4 GB of weights are read whole. Above that, each weight file counts with its size, its head and 64
    evenly spaced megabytes, which tells any two training steps apart but not a few changed values.
    """
    glob = folder.rglob if nested else folder.glob
    small = sorted({p for pattern in SMALL_FILES for p in glob(pattern) if p.is_file()})
    weights = sorted({p for pattern in ("*.safetensors", *more) for p in glob(pattern) if p.is_file()})
    full = sum(p.stat().st_size for p in weights) <= _FULL_HASH_LIMIT
    parts = [_hashed(p, True) for p in small] + [_hashed(p, full) for p in weights]
    return _together(folder, [*small, *weights], parts), full


def identity(folder: Path, commit: str) -> dict[str, Any]:
    """What tells a checkpoint, found by `find`, from every other: its commit, or the hash of its folder."""
    return {"commit": commit} if commit else {"checkpoint": digest(folder)[0]}


def notes(folder: Path, commit: str) -> tuple[str, ...]:
    """What a reader must know of that identity."""
    if commit or digest(folder)[1]:
        return ()
    return ("the checkpoint hash is of a sample of the weights (above 4 GB not all of them are read)",)


def digest_of(files: Sequence[Path]) -> str:
    """The same for these files alone, which lie in one folder; each is read whole up to 4 GB."""
    parts = [_hashed(p, p.stat().st_size <= _FULL_HASH_LIMIT) for p in files]
    return _together(files[0].parent, files, parts)


def _together(folder: Path, files: Sequence[Path], parts: Sequence[str]) -> str:
    lines = (f"{path.relative_to(folder)}\0{part}\n" for path, part in zip(files, parts, strict=True))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _hashed(path: Path, whole: bool) -> str:
    stat = path.stat()
    return _hash_of(str(path.resolve()), stat.st_size, stat.st_mtime_ns, whole)


@functools.lru_cache(maxsize=4096)
def _hash_of(path: str, size: int, mtime_ns: int, whole: bool) -> str:
    """`mtime_ns` is only part of the key: a file written anew is read anew."""
    with open(path, "rb") as stream:
        if whole:
            return hashlib.file_digest(stream, "sha256").hexdigest()
        state = hashlib.sha256(str(size).encode())
        for offset in _offsets(size):
            stream.seek(offset)
            state.update(stream.read(_CHUNK))
        return state.hexdigest()


def _offsets(size: int) -> Iterable[int]:
    stride = max(size // _STRIDE_CHUNKS, _CHUNK)
    return range(0, size, stride)
