"""What is needed to go on with a run: trained weights and the optimiser's averages, whole, as safetensors.

Random numbers and the learning rate follow from the step, so nothing of them is kept; hyperparameters are the
manifest's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from eval_anything.errors import DataError, UsageError
from eval_anything.models.hf.checkpoint import check_safetensors

STATE, WEIGHTS, OPTIMIZER = "state.json", "weights.safetensors", "optimizer.safetensors"
_ADVICE = "delete this checkpoint's folder to go on with an older one"


class State(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`trainer/state.json`: where in the run a checkpoint was made."""

    step: int
    """Optimiser steps done."""
    data: str
    """Fingerprint of the records."""


@dataclasses.dataclass(frozen=True)
class Gathered:
    """One learner's state on the CPU."""

    weights: dict[str, Tensor]
    """Of the trained parameters, by name."""
    optimizer: dict[str, Tensor]
    """`NAME/exp_avg` and so on; none for a parameter that no step has changed yet."""


def write_state(folder: Path, state: State, gathered: Mapping[str, Gathered]) -> None:
    """`gathered`: of each learner, by its name."""
    folder.mkdir()
    parts = {
        WEIGHTS: {name: one.weights for name, one in gathered.items()},
        OPTIMIZER: {name: one.optimizer for name, one in gathered.items()},
    }
    for file, by_learner in parts.items():
        tensors = {
            f"{learner}/{key}": value.contiguous()
            for learner, held in by_learner.items()
            for key, value in held.items()
        }
        save_file(tensors, folder / file)
    (folder / STATE).write_bytes(msgspec.json.format(msgspec.json.encode(state), indent=2) + b"\n")


def read_state(folder: Path) -> State:
    """Raises DataError where it cannot be read, or the files beside it are damaged."""
    path = folder / STATE
    try:
        for file in (WEIGHTS, OPTIMIZER):
            check_safetensors(folder / file)
        return msgspec.json.decode(path.read_bytes(), type=State)
    except OSError as fault:
        raise DataError(f"{fault.filename}: cannot be read: {fault.strerror}; {_ADVICE}") from None
    except msgspec.MsgspecError as fault:
        raise DataError(f"{path}: damaged: {fault}; {_ADVICE}") from None
    except UsageError as fault:
        raise DataError(f"{fault}; {_ADVICE}") from None


def load_weights(folder: Path, name: str, module: torch.nn.Module) -> None:
    """Put the trained weights of learner `name` into `module`, which is not wrapped yet.

    Raises DataError where they are those of another module.
    """
    path = folder / WEIGHTS
    trained = {key: value for key, value in module.named_parameters() if value.requires_grad}
    with safe_open(path, "pt") as file, torch.no_grad():
        held = _names(file, name)
        if held != trained.keys():
            odd = sorted(held ^ trained.keys())
            raise DataError(f"{path}: not the weights of this {name}: {len(odd)} names differ, as {odd[0]}")
        for key, parameter in trained.items():
            value = file.get_tensor(f"{name}/{key}")
            if value.shape != parameter.shape:
                raise DataError(f"{path}: {key} has shape {tuple(value.shape)}, not {tuple(parameter.shape)}")
            parameter.copy_(value)


class Saved:
    """What a checkpoint holds of one learner; tensors are read one by one."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._kinds: dict[str, list[str]] = {}
        with safe_open(folder / OPTIMIZER, "pt") as file:
            for key in sorted(_names(file, name)):
                owner, _, kind = key.rpartition("/")
                self._kinds.setdefault(owner, []).append(kind)

    def kinds(self, parameter: str) -> list[str]:
        """Of the averages of `parameter`: none where no step had changed it."""
        return self._kinds.get(parameter, [])

    def average(self, parameter: str, kind: str) -> Tensor:
        return self._tensor(OPTIMIZER, f"{parameter}/{kind}")

    def weight(self, parameter: str) -> Tensor:
        return self._tensor(WEIGHTS, parameter)

    def _tensor(self, file: str, key: str) -> Tensor:
        with safe_open(self._folder / file, "pt") as held:
            tensor: Tensor = held.get_tensor(f"{self._name}/{key}")
        return tensor


def _names(file: Any, learner: str) -> set[str]:
    return {key.removeprefix(f"{learner}/") for key in file.keys() if key.startswith(f"{learner}/")}  # noqa: SIM118
