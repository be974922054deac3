"""Tensors in files, every one accounted for: safetensors, or pickles through torch's restricted unpickler."""

from __future__ import annotations

import dataclasses
import pickle
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from eval_anything.errors import UsageError
from eval_anything.models.hf import load

_SHOWN = 3

Shape = tuple[int, ...]
Network = TypeVar("Network", bound=nn.Module)


@dataclasses.dataclass(frozen=True)
class Stored:
    """One tensor in a file."""

    file: Path
    shape: Shape
    read: Callable[[], Tensor]


@contextmanager
def opened(files: Iterable[Path], inner: str = "") -> Iterator[dict[str, Stored]]:
    """The tensors of all `files` by name; they can be read while the context is open.

    `inner`: the entry that holds the tensors in a pickle of a training run. What lies beside it (the epoch,
    the optimizer) is not looked at. A pickle without such an entry is taken as the tensors themselves.

    Raises UsageError for a file that cannot be read, holds anything but tensors, or would run code.
    """
    tensors: dict[str, Stored] = {}
    with ExitStack() as stack:
        for file in files:
            held = _safe(file, stack) if file.suffix == ".safetensors" else _pickled(file, inner)
            for name in tensors.keys() & held.keys():
                raise UsageError(f"{file}: tensor {name} is in {tensors[name].file} as well")
            tensors.update(held)
        yield tensors


def check(
    place: Path,
    what: str,
    held: Mapping[str, Stored],
    expected: Mapping[str, Shape],
    spare: Iterable[str] = (),
) -> None:
    """Every tensor is there, has its shape, and none is there that nobody knows.

    `what`: the model, for the message. `spare`: beginnings of the names that may be there and are not needed.
    Raises UsageError that names tensors.
    """
    known = tuple(spare)
    missing = [name for name in expected if name not in held]
    unknown = [name for name in held if name not in expected and not name.startswith(known)]
    wrong = [
        f"{name} ({_shown(held[name].shape)} in place of {_shown(shape)})"
        for name, shape in expected.items()
        if name in held and held[name].shape != shape
    ]
    faults = [
        f"{len(names)} {kind}: {_first(names)}"
        for kind, names in (("missing", missing), ("unexpected", unknown), ("of the wrong shape", wrong))
        if names
    ]
    if faults:
        raise UsageError(f"{place}: not the tensors of {what}: {'; '.join(faults)}")


def shapes(build: Callable[[], nn.Module]) -> dict[str, Shape]:
    """Names and shapes of all tensors of a model; nothing is allocated."""
    with torch.device("meta"):
        model = build()
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def filled(
    build: Callable[[], Network],
    held: Mapping[str, Stored],
    device: str,
    dtype: str,
    exact: tuple[str, ...] = (),
) -> Network:
    """The model with its weights, ready to score; `exact`: beginnings of the names that stay float32.

    One tensor at a time, cast on its way: at no point are there two copies of the whole. Buffers that are
    computed, not stored, are left on torch's meta device: whoever has some replaces them.
    """
    with torch.device("meta"):
        model = build()
    state = {
        name: _cast(held[name], name, device, "float32" if name.startswith(exact) else dtype)
        for name in model.state_dict()
    }
    model.load_state_dict(state, strict=True, assign=True)
    model.eval().requires_grad_(False)
    return model


def _cast(stored: Stored, name: str, device: str, dtype: str) -> Tensor:
    tensor = stored.read()
    if not tensor.is_floating_point():
        raise UsageError(f"{stored.file}: {name} holds {tensor.dtype}, expected floating point numbers")
    return tensor.to(device, getattr(torch, dtype), copy=True)


def _first(names: list[str]) -> str:
    shown = ", ".join(name[:120] for name in names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"


def _shown(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "scalar"


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


def _pickled(file: Path, inner: str) -> dict[str, Stored]:
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
    if isinstance(held, dict) and isinstance(held.get(inner), dict):
        held = held[inner]
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
