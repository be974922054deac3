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
from torch.distributed.tensor import DTensor, distribute_tensor

from eval_anything.errors import DataError, UsageError
from eval_anything.models.hf.checkpoint import check_safetensors
from eval_anything_train.session import Learner

STATE, WEIGHTS, OPTIMIZER = "state.json", "weights.safetensors", "optimizer.safetensors"
_ADVICE = "delete this checkpoint's folder to go on with an older one"


class State(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`trainer/state.json`: where in the run a checkpoint was made."""

    step: int
    """Optimiser steps done."""
    data: str
    """Fingerprint of the records."""
    extra: dict[str, Any] = {}
    """What a method adds."""


@dataclasses.dataclass(frozen=True)
class Gathered:
    """One learner's state on the CPU."""

    weights: dict[str, Tensor]
    """Of the trained parameters, by name."""
    optimizer: dict[str, Tensor]
    """`NAME/exp_avg` and so on; none for a parameter that no step has changed yet."""


def gather(learner: Learner) -> Gathered:
    """Whole tensors, on the main process; others get none. Every process must call it."""
    found = Gathered({}, {})
    for name, parameter in _trained(learner.bare).items():
        state = learner.optimizer.state.get(parameter, {})
        _keep(learner, found.weights, name, parameter)
        for key, value in state.items():
            _keep(learner, found.optimizer, f"{name}/{key}", value)
    return found


def whole_weights(learner: Learner) -> dict[str, Tensor]:
    """All of the module's weights and buffers, as `gather` gives the trained ones."""
    found: dict[str, Tensor] = {}
    for name, value in learner.bare.state_dict().items():
        _keep(learner, found, name, value)
    return found


def _keep(learner: Learner, found: dict[str, Tensor], name: str, value: Tensor) -> None:
    value = value.detach()
    if isinstance(value, DTensor):
        value = value.full_tensor()
    if learner.session.main:
        found[name] = value.cpu()


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
    path, trained = folder / WEIGHTS, _trained(module)
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


def load_optimizer(folder: Path, name: str, learner: Learner) -> None:
    """Put the optimiser's averages into `learner`. Every process must call it."""
    names = {id(parameter): key for key, parameter in _trained(learner.bare).items()}
    groups = learner.optimizer.state_dict()["param_groups"]
    parameters = [p for group in learner.optimizer.param_groups for p in group["params"]]
    with safe_open(folder / OPTIMIZER, "pt") as file:
        held: dict[str, list[str]] = {}
        for key in _names(file, name):
            owner, _, kind = key.rpartition("/")
            held.setdefault(owner, []).append(kind)
        state = {
            number: {
                kind: _like(file.get_tensor(f"{name}/{names[id(p)]}/{kind}"), p)
                for kind in sorted(held[names[id(p)]])
            }
            for number, p in enumerate(parameters)
            if names[id(p)] in held
        }
    learner.optimizer.load_state_dict({"state": state, "param_groups": groups})


def _like(value: Tensor, parameter: Tensor) -> Tensor:
    """`value` divided among processes as `parameter` is; counts of steps are everywhere."""
    if isinstance(parameter, DTensor) and value.ndim:
        placed = value.to(parameter.device)
        return distribute_tensor(placed, parameter.device_mesh, parameter.placements)
    return value


def _trained(module: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    return {name: value for name, value in module.named_parameters() if value.requires_grad}


def _names(file: Any, learner: str) -> set[str]:
    return {key.removeprefix(f"{learner}/") for key in file.keys() if key.startswith(f"{learner}/")}  # noqa: SIM118
