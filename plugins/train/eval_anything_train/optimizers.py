"""What changes weights: AdamW, or Muon for the matrices of hidden layers with AdamW for everything else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from eval_anything.errors import UsageError
from eval_anything_train.settings import Settings


def optimizer_for(module: nn.Module, settings: Settings) -> torch.optim.Optimizer | Joined:
    """The optimiser that `settings` ask for, over the parameters of `module` that require gradients.

    Raises UsageError where nothing is trained.
    """
    return muon(module, settings) if settings.optimizer == "muon" else adamw(module, settings, fused=True)


def adamw(module: nn.Module, settings: Settings, *, fused: bool = False) -> torch.optim.AdamW:
    """AdamW over the parameters that require gradients; norms and biases do not decay."""
    return _adamw(_trained(module, settings), settings, fused=fused)


def muon(module: nn.Module, settings: Settings) -> Joined:
    """Muon (arXiv 2502.16982: momentum made orthogonal, scaled as AdamW's steps are) for the matrices of
    hidden layers; AdamW, at the same rate, for embeddings, heads over words, convolutions, norms, biases."""
    if not hasattr(torch.optim, "Muon"):
        raise UsageError(f"optimizer: muon needs torch 2.9 or newer, this is {torch.__version__}")
    trained = _trained(module, settings)
    outer = set(_outer(module))
    hidden = [p for p in trained if p.ndim == 2 and id(p) not in outer]
    own = {id(p) for p in hidden}
    rest = [p for p in trained if id(p) not in own]
    parts: list[torch.optim.Optimizer] = []
    if hidden:
        parts.append(
            torch.optim.Muon(
                hidden,
                lr=settings.lr,
                weight_decay=settings.weight_decay,
                adjust_lr_fn="match_rms_adamw",
            )
        )
    if rest:
        parts.append(_adamw(rest, settings, fused=True))
    return Joined(*parts)


class Joined:
    """Several optimisers as one; their parameters are numbered one after another."""

    def __init__(self, *parts: torch.optim.Optimizer) -> None:
        self.parts = parts

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        return [group for part in self.parts for group in part.param_groups]

    @property
    def state(self) -> dict[Tensor, Any]:
        return {parameter: held for part in self.parts for parameter, held in part.state.items()}

    def step(self, closure: Callable[[], float] | None = None) -> None:
        for part in self.parts:
            part.step(closure)

    def zero_grad(self, set_to_none: bool = True) -> None:
        for part in self.parts:
            part.zero_grad(set_to_none)

    def state_dict(self) -> dict[str, Any]:
        groups: list[dict[str, Any]] = []
        state: dict[int, Any] = {}
        for start, part in self._numbered():
            held = part.state_dict()
            state |= {start + number: one for number, one in held["state"].items()}
            groups += [{**g, "params": [start + n for n in g["params"]]} for g in held["param_groups"]]
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, held: dict[str, Any]) -> None:
        groups = iter(held["param_groups"])
        for start, part in self._numbered():
            count = _count(part)
            mine = range(start, start + count)
            own = [
                {**group, "params": [n - start for n in group["params"]]}
                for group in islice(groups, len(part.param_groups))
            ]
            state = {n - start: one for n, one in held["state"].items() if n in mine}
            part.load_state_dict({"state": state, "param_groups": own})

    def _numbered(self) -> Iterator[tuple[int, torch.optim.Optimizer]]:
        start = 0
        for part in self.parts:
            yield start, part
            start += _count(part)


def _count(part: torch.optim.Optimizer) -> int:
    return sum(len(group["params"]) for group in part.param_groups)


def _trained(module: nn.Module, settings: Settings) -> list[nn.Parameter]:
    trained = [p for p in module.parameters() if p.requires_grad]
    if not trained:
        raise UsageError(f"{settings.model}: no parameter is trained")
    return trained


def _outer(module: nn.Module) -> Iterator[int]:
    """Ids of the weights between words and vectors, at either end."""
    for inner in module.modules():
        if isinstance(inner, nn.Embedding):
            yield id(inner.weight)
        head = getattr(inner, "get_output_embeddings", lambda: None)()
        if head is not None:
            yield id(head.weight)


def _adamw(trained: list[nn.Parameter], settings: Settings, *, fused: bool) -> torch.optim.AdamW:
    matrices = [p for p in trained if p.ndim >= 2]
    vectors = [p for p in trained if p.ndim < 2]
    groups = [
        {"params": group, "weight_decay": decay}
        for group, decay in ((matrices, settings.weight_decay), (vectors, 0.0))
        if group
    ]
    first, second = (float(beta) for beta in settings.betas)
    return torch.optim.AdamW(groups, lr=settings.lr, betas=(first, second), fused=fused)
