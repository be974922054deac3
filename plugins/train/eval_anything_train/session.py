"""Processes, device and precision of a training run; its modules with their optimisers."""

from __future__ import annotations

import contextlib
import hashlib
import math
from collections.abc import Iterator
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import set_seed
from torch import Tensor
from torch.distributed.tensor import DTensor

from eval_anything.errors import EvalAnythingError, UsageError
from eval_anything.models.hf.load import resolve_dtype
from eval_anything_train.divide import divided, replicated, touched
from eval_anything_train.lora import bare
from eval_anything_train.place import process_device, sharded
from eval_anything_train.schedule import share_of_rate
from eval_anything_train.settings import Settings


class NotFinite(EvalAnythingError):
    """A loss or a gradient is not a number, or infinite: nothing was updated with it."""


class Learner:
    """A module in training, with its optimiser and its learning rate."""

    def __init__(self, session: Session, module: torch.nn.Module, settings: Settings, steps: int) -> None:
        """`module` as it is outside of any wrapper; see `Session.learner`."""
        self.session = session
        self.settings = settings
        self.steps = steps
        self.bare = module
        """The module itself; where weights are divided, its own are no longer whole."""
        self.structure = bare(module) if session.sharded else None
        """A copy without values, to take whole weights; None where `bare` has them."""
        self.module = session.wrapped(module)
        """What forward passes go through."""
        self.optimizer = adamw(module, settings, fused=session.device.startswith("cuda"))

    def backward(self, loss: Tensor, *, last: bool) -> None:
        """Add to the gradients; with `last`, those of all processes are averaged (the forward pass of any
        earlier one of a step must have been `accumulating`)."""
        (loss + touched(self.bare) if self.session.sharded else loss).backward()

    @contextlib.contextmanager
    def accumulating(self, *, last: bool) -> Iterator[None]:
        """Around forward and backward pass: processes exchange gradients in the step's last one alone."""
        waits = not last and isinstance(self.module, torch.nn.parallel.DistributedDataParallel)
        with self.module.no_sync() if waits else contextlib.nullcontext():
            yield

    def gradient_norm(self) -> Tensor:
        """The norm of the whole gradient before it is clipped to `settings.clip`, which this does."""
        trained = [p for p in self.bare.parameters() if p.grad is not None]
        norm: Tensor = torch.nn.utils.get_total_norm([p.grad for p in trained])
        norm = norm.full_tensor() if isinstance(norm, DTensor) else norm
        torch.nn.utils.clip_grads_with_norm_(trained, self.settings.clip or math.inf, norm)
        return norm

    def update(self, step: int) -> float:
        """Change the weights in `step`, from 0, and drop the gradients. Returns the learning rate."""
        rate = self.settings.lr * share_of_rate(
            self.settings.schedule, step, self.steps, self.settings.warmup
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return rate


class Session:
    """The processes of a run, as `accelerate launch` or torchrun started them, or one."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.device = process_device(settings.device)
        self.dtype: torch.dtype = getattr(torch, resolve_dtype(settings.dtype, self.device))
        """What is computed in."""
        self.state = PartialState(cpu=self.device == "cpu")
        self.sharded = sharded() and torch.distributed.is_initialized()
        """Whether weights are divided among processes."""

    @property
    def processes(self) -> int:
        count: int = self.state.num_processes
        return count

    @property
    def process(self) -> int:
        number: int = self.state.process_index
        return number

    @property
    def main(self) -> bool:
        """Whether this is the process that writes."""
        return self.process == 0

    def learner(self, module: torch.nn.Module, settings: Settings, steps: int) -> Learner:
        """`module` ready for `steps` optimiser steps at the rate of `settings`.

        Weights to be resumed must be in it already: wrapping may divide them among processes.
        """
        return Learner(self, module, settings, steps)

    def wrapped(self, module: torch.nn.Module) -> torch.nn.Module:
        """`module` on this process's device, as several processes need it; itself, where there is one."""
        if self.sharded or self.processes == 1:
            return self.placed(module)
        return replicated(module, torch.device(self.device))

    def placed(self, module: torch.nn.Module) -> torch.nn.Module:
        """`module` itself, on this process's device or divided among all; for forward passes it is ready."""
        if self.sharded:
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
            "weights": "divided" if self.sharded else "whole",
            "device": name,
            "dtype": str(self.dtype).removeprefix("torch."),
            "threads": torch.get_num_threads(),
        }

    def wait(self) -> None:
        """Until all processes are here."""
        self.state.wait_for_everyone()


def adamw(module: torch.nn.Module, settings: Settings, *, fused: bool = False) -> torch.optim.AdamW:
    """AdamW over the parameters that require gradients; norms and biases do not decay."""
    trained = [p for p in module.parameters() if p.requires_grad]
    if not trained:
        raise UsageError(f"{settings.model}: no parameter is trained")
    matrices = [p for p in trained if p.ndim >= 2]
    vectors = [p for p in trained if p.ndim < 2]
    groups = [
        {"params": group, "weight_decay": decay}
        for group, decay in ((matrices, settings.weight_decay), (vectors, 0.0))
        if group
    ]
    first, second = (float(beta) for beta in settings.betas)
    return torch.optim.AdamW(groups, lr=settings.lr, betas=(first, second), fused=fused)
