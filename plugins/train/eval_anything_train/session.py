"""Processes, device and precision of a training run; its modules with their optimisers."""

from __future__ import annotations

import contextlib
import hashlib
from datetime import timedelta
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import set_seed
from torch import Tensor

from eval_anything.models.hf.load import resolve_dtype
from eval_anything_train.divide import divided, replicated
from eval_anything_train.learner import Learner
from eval_anything_train.place import division, process_device
from eval_anything_train.settings import Settings

_TIMEOUT = timedelta(hours=1)
"""How long processes wait for one another: for the main one while it writes a large checkpoint, say."""


class Session:
    """The processes of a run, as `accelerate launch` or torchrun started them, or one."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.device = process_device(settings.device)
        self.dtype: torch.dtype = getattr(torch, resolve_dtype(settings.dtype, self.device))
        """What is computed in."""
        self.state = PartialState(cpu=self.device == "cpu", timeout=_TIMEOUT)
        self.division = division() if torch.distributed.is_initialized() else None
        """How weights are divided among the processes, if they are."""

    @property
    def processes(self) -> int:
        count: int = self.state.num_processes
        return count

    @property
    def process(self) -> int:
        number: int = self.state.process_index
        return number

    @property
    def divided(self) -> bool:
        """Whether a process has parts of the weights only."""
        return self.division is not None

    @property
    def main(self) -> bool:
        """Whether this is the process that writes."""
        return self.process == 0

    def learner(self, module: torch.nn.Module, settings: Settings, steps: int) -> Learner:
        """`module` ready for `steps` optimiser steps at the rate of `settings`.

        Weights to be resumed must be in it already: wrapping may divide them among processes.
        """
        if self.division == "deepspeed":
            from eval_anything_train.engine import EngineLearner

            return EngineLearner(self, module, settings, steps)
        return Learner(self, module, settings, steps)

    def wrapped(self, module: torch.nn.Module) -> torch.nn.Module:
        """`module` on this process's device, as several processes need it; itself, where there is one."""
        if self.divided or self.processes == 1:
            return self.placed(module)
        return replicated(module, torch.device(self.device))

    def placed(self, module: torch.nn.Module) -> torch.nn.Module:
        """`module` itself, on this process's device or divided among all; for forward passes it is ready."""
        if self.divided:
            return divided(module, torch.device(self.device), self.dtype)
        return module.to(self.device)

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """Around forward passes: computes in bfloat16 with float32 weights, where that is asked for."""
        enabled = self.dtype == torch.bfloat16
        kind = torch.device(self.device).type
        cast: contextlib.AbstractContextManager[Any] = torch.autocast(kind, torch.bfloat16, enabled=enabled)
        return cast

    def seed(self, step: int) -> None:
        """Begin `step` with random numbers of its own, so that no generator's state needs to be kept."""
        words = f"{self.settings.seed}/{step}/{self.process}".encode()
        set_seed(int.from_bytes(hashlib.sha256(words).digest()[:4]))

    def sum(self, values: Tensor) -> Tensor:
        """Element by element over all processes; each must call it."""
        if self.processes > 1:
            values = values.clone()
            torch.distributed.all_reduce(values)
        return values

    def environment(self) -> dict[str, Any]:
        """For the manifest: how many processes compute, and on what."""
        device = torch.device(self.device)
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
        return {
            "processes": self.processes,
            "weights": self.division or "whole",
            "device": name,
            "dtype": str(self.dtype).removeprefix("torch."),
            "threads": torch.get_num_threads(),
        }

    def wait(self) -> None:
        """Until all processes are here."""
        self.state.wait_for_everyone()
