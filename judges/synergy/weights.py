"""Tensors in files, read one at a time: safetensors, or pickles through torch's restricted unpickler."""

from __future__ import annotations

import dataclasses
import pickle
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from eval_anything.errors import UsageError
from eval_anything.models.hf import checkpoint, load

MAIN_PICKLE = "pytorch_model.bin"
IMAGEBIND = "imagebind/imagebind_huge"
"""Beside the main weights, as `.pth` (published) or `.safetensors`."""


@dataclasses.dataclass(frozen=True)
class Stored:
    """One tensor in a file."""

    file: Path
    shape: tuple[int, ...]
    read: Callable[[], Tensor]


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


@contextmanager
def opened(files: list[Path]) -> Iterator[dict[str, Stored]]:
    """The tensors of all `files` by name; they can be read while the context is open.

    Raises UsageError for a file that cannot be read, holds anything but tensors, or would run code.
    """
    tensors: dict[str, Stored] = {}
    with ExitStack() as stack:
        for file in files:
            held = _safe(file, stack) if file.suffix == ".safetensors" else _pickled(file)
            for name in tensors.keys() & held.keys():
                raise UsageError(f"{file}: tensor {name} is in {tensors[name].file} as well")
            tensors.update(held)
        yield tensors


def _safe(file: Path, stack: ExitStack) -> dict[str, Stored]:
    try:
        handle = stack.enter_context(safe_open(file, "pt"))
        return {
            name: Stored(file, tuple(handle.get_slice(name).get_shape()), _reader(handle.get_tensor, name))
            for name in handle.keys()  # noqa: SIM118 - not a mapping
        }
    except (SafetensorError, OSError) as fault:
        raise UsageError(f"{file}: not readable as safetensors: {load.first_line(fault)}") from None


def _reader(get: Callable[[str], Tensor], name: str) -> Callable[[], Tensor]:
    return lambda: get(name)


def _pickled(file: Path) -> dict[str, Stored]:
    try:
        # Mapped, not read: a checkpoint of 16 GB is then never in memory twice. Files of before torch 1.6 are
        # no zip archives and cannot be mapped.
        held = torch.load(file, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(file))
    except pickle.UnpicklingError as fault:
        raise UsageError(
            f"{file}: refused: it holds more than tensors, and loading it could run code: {_cause(fault)}"
        ) from None
    except (RuntimeError, OSError, ValueError, EOFError, KeyError, TypeError, AttributeError) as fault:
        raise UsageError(f"{file}: damaged: {load.first_line(fault)}") from None
    if not isinstance(held, dict):
        raise UsageError(f"{file}: expected a mapping of names to tensors, found {type(held).__name__}")
    for name, tensor in held.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor) or tensor.layout != torch.strided:
            raise UsageError(f"{file}: {str(name)[:80]!r} is not a plain tensor")
    return {name: Stored(file, tuple(t.shape), _held(t)) for name, t in held.items()}


def _held(tensor: Tensor) -> Callable[[], Tensor]:
    return lambda: tensor


def _cause(fault: BaseException) -> str:
    """The line that names the forbidden class; the rest of torch's message advises to allow it."""
    lines = [line.strip() for line in str(fault).splitlines() if "Unsupported" in line or "GLOBAL" in line]
    return lines[0][:200] if lines else load.first_line(fault)[:200]
