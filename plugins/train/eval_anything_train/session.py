"""Processes, device and precision of a training run; its modules with their optimisers.

accelerate wraps modules for several processes; what it would do around the update (scaling by accumulation,
precision of outputs) is done here, where it is the same for one process and for many.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, set_seed
from torch import Tensor

from eval_anything.errors import EvalAnythingError, UsageError
from eval_anything.models.hf.load import resolve_dtype
from eval_anything_train.logprobs import unwrapped
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
        optimizer = adamw(module, settings, fused=session.device.startswith("cuda"))
        self.module, self.optimizer = session.wrapped(module, optimizer)
        """What forward passes go through."""

    def backward(self, loss: Tensor, *, last: bool) -> None:
        """Add to the gradients; with `last`, those of all processes are averaged (the forward pass of any
        earlier one of a step must have been `accumulating`)."""
        loss.backward()

    @contextlib.contextmanager
    def accumulating(self, *, last: bool) -> Iterator[None]:
        """Around forward and backward pass: processes exchange gradients in the step's last one alone."""
        with contextlib.nullcontext() if last else self.session.accelerator.no_sync(self.module):
            yield

    def gradient_norm(self) -> Tensor:
        """The norm of the whole gradient before it is clipped to `settings.clip`, which this does."""
        limit = self.settings.clip or math.inf
        norm: Tensor = self.session.accelerator.clip_grad_norm_(self.module.parameters(), limit)
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
        self.sharded = sharded()
        # Sharding has its own mixed precision; else `autocast` is ours, and logits stay in bfloat16.
        mixed = "bf16" if self.sharded and self.dtype == torch.bfloat16 else "no"
        self._ddp = DistributedDataParallelKwargs(broadcast_buffers=False, gradient_as_bucket_view=True)
        self.accelerator = Accelerator(
            cpu=self.device == "cpu",
            mixed_precision=mixed,
            device_placement=False,
            kwargs_handlers=[self._ddp],
        )

    @property
    def processes(self) -> int:
        count: int = self.accelerator.num_processes
        return count

    @property
    def process(self) -> int:
        number: int = self.accelerator.process_index
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

    def wrapped(
        self, module: torch.nn.Module, optimizer: torch.optim.Optimizer
    ) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
        """Both, as several processes need them."""
        if self.sharded:
            module, prepared = self.accelerator.prepare(module, optimizer)
            return module, getattr(prepared, "optimizer", prepared)
        module.to(self.device)
        self._ddp.find_unused_parameters = _may_idle(module)
        with warnings.catch_warnings():  # newer versions of torch would have another name for it
            warnings.filterwarnings("ignore", message=".*broadcast_buffers", category=FutureWarning)
            wrapped: torch.nn.Module = self.accelerator.prepare_model(module)
        return wrapped, optimizer

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """Around forward passes: computes in bfloat16 with float32 weights, where that is asked for."""
        enabled = self.dtype == torch.bfloat16 and not self.sharded
        kind = torch.device(self.device).type
        cast: contextlib.AbstractContextManager[Any] = torch.autocast(kind, torch.bfloat16, enabled=enabled)
        return cast

    def seed(self, step: int) -> None:
        """Begin `step` with random numbers of its own, so that no generator's state needs to be kept."""
        words = f"{self.settings.seed}/{step}/{self.process}".encode()
        set_seed(int.from_bytes(hashlib.sha256(words).digest()[:4]))

    def sum(self, values: Tensor) -> Tensor:
        """Element by element over all processes; each must call it."""
        if self.processes == 1:
            return values
        total: Tensor = self.accelerator.reduce(values, "sum")
        return total

    def environment(self) -> dict[str, Any]:
        """For the manifest: how many processes compute, and on what."""
        device = torch.device(self.device)
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
        return {
            "processes": self.processes,
            "distributed": self.accelerator.distributed_type.value,
            "device": name,
            "dtype": str(self.dtype).removeprefix("torch."),
            "threads": torch.get_num_threads(),
        }

    def wait(self) -> None:
        """Until all processes are here."""
        self.accelerator.wait_for_everyone()


def _may_idle(module: torch.nn.Module) -> bool:
    """Whether a batch may leave trained parameters unused, as those of an encoder whose medium is not in it.

    DDP must be told, and is slower for it.
    """
    inner = unwrapped(module)
    if not hasattr(inner, "get_decoder") or not hasattr(inner, "get_output_embeddings"):
        return True
    parts = [part for part in (inner.get_decoder(), inner.get_output_embeddings()) if part is not None]
    used = {id(parameter) for part in parts for parameter in part.parameters()}
    return any(p.requires_grad and id(p) not in used for p in module.parameters())


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
