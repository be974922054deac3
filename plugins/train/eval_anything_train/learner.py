"""A module in training with its optimiser: gradients, updates, and its state as whole tensors."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor

from eval_anything.errors import EvalAnythingError, UsageError
from eval_anything_train.divide import touched
from eval_anything_train.lora import bare
from eval_anything_train.optimizers import Joined, optimizer_for
from eval_anything_train.schedule import share_of_rate
from eval_anything_train.settings import Settings
from eval_anything_train.state import Saved

if TYPE_CHECKING:
    from eval_anything_train.session import Session

Named = Iterator[tuple[str, Tensor]]


class NotFinite(EvalAnythingError):
    """A loss or a gradient is not a number, or infinite: nothing was updated with it."""


class Learner:
    """A module in training, with its optimiser and its learning rate."""

    module: torch.nn.Module
    """What forward passes go through."""
    optimizer: torch.optim.Optimizer | Joined

    def __init__(self, session: Session, module: torch.nn.Module, settings: Settings, steps: int) -> None:
        """`module` as it is outside of any wrapper; see `Session.learner`."""
        if session.divided and settings.optimizer != "adamw":
            raise UsageError(f"optimizer: {settings.optimizer} needs whole weights in each process")
        self.session = session
        self.settings = settings
        self.steps = steps
        self.bare = module
        """The module itself; where weights are divided, its own are no longer whole."""
        self.structure = bare(module) if session.divided else None
        """A copy without values, to take whole weights; None where `bare` has them."""
        self.prepare()

    def prepare(self) -> None:
        """Wrap the module and make its optimiser."""
        self.module = self.session.wrapped(self.bare)
        self.optimizer = optimizer_for(self.bare, self.settings)

    def backward(self, loss: Tensor, *, last: bool) -> None:
        """Add to the gradients; with `last`, those of all processes are averaged (the forward pass of any
        earlier one of a step must have been `accumulating`)."""
        (loss + touched(self.bare) if self.session.divided else loss).backward()

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
        rate = self.set_rate(step)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return rate

    def set_rate(self, step: int) -> float:
        """The learning rate of `step`."""
        s = self.settings
        rate = s.lr * share_of_rate(s.schedule, step, self.steps, s.warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        return rate

    def advance(self, step: int) -> tuple[float, float]:
        """`gradient_norm` and `update`; both results. Raises NotFinite in place of the update."""
        norm = float(self.gradient_norm())
        if not math.isfinite(norm):
            raise NotFinite(f"the gradient's norm is {norm}")
        return norm, self.update(step)

    def weights(self, *, trained: bool) -> Named:
        """Whole weights by name, or those alone that are trained. Every process must go through all."""
        if trained:
            for name, parameter in self.trained().items():
                yield name, _whole(parameter)
        else:
            for name, value in self.bare.state_dict().items():
                yield name, _whole(value)

    def averages(self) -> Named:
        """The optimiser's whole tensors as `NAME/exp_avg` and so on; none of a parameter that no step has
        changed yet. Every process must go through all."""
        state = self.optimizer.state
        for name, parameter in self.trained().items():
            for kind, value in state.get(parameter, {}).items():
                yield f"{name}/{kind}", _whole(value)

    def restore(self, saved: Saved) -> None:
        """Take the optimiser's averages from `saved`; the module had the weights before it was wrapped."""
        names = {id(parameter): name for name, parameter in self.trained().items()}
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        state = {
            number: {kind: _like(saved.average(names[id(p)], kind), p) for kind in kinds}
            for number, p in enumerate(parameters)
            if (kinds := saved.kinds(names[id(p)]))
        }
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})

    def whole_module(self) -> torch.nn.Module:
        """The module itself, or on the main process a copy in main memory where weights are divided. Every
        process must call it."""
        if self.structure is None:
            return self.bare
        whole: torch.nn.Module = copy.deepcopy(self.structure)
        if held := self.kept(self.weights(trained=False)):
            whole.load_state_dict(held, assign=True)
        return whole

    def kept(self, tensors: Named) -> dict[str, Tensor]:
        """`tensors` in main memory on the main process; nothing on the others."""
        kept = ((name, value.cpu()) for name, value in tensors if self.session.main)
        return dict(kept)

    def trained(self) -> dict[str, torch.nn.Parameter]:
        """The parameters that are optimised."""
        return {name: value for name, value in self.bare.named_parameters() if value.requires_grad}


def _whole(value: Tensor) -> Tensor:
    value = value.detach()
    return value.full_tensor() if isinstance(value, DTensor) else value


def _like(value: Tensor, parameter: Tensor) -> Tensor:
    """`value` divided among processes as `parameter` is; counts of steps are everywhere."""
    if isinstance(parameter, DTensor) and value.ndim:
        return distribute_tensor(value.to(parameter.device), parameter.device_mesh, parameter.placements)
    return value
