"""Methods on tiny models, and records for each of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import train_kit
from torch import Tensor
from train_kit import pairs

from eval_anything_train.collate import Batch
from eval_anything_train.methods import settings as of
from eval_anything_train.methods.base import Method
from eval_anything_train.methods.registry import method_class
from eval_anything_train.settings import Lora, Settings
from eval_anything_train.values import Critiqued, Demonstration, Feedback, Labelled, Pair

KINDS: dict[str, type[Settings]] = {
    "sft": Settings,
    "feedback": Settings,
    "reward": of.RewardSettings,
    "dpo": of.DPOSettings,
    "kto": of.KTOSettings,
    "simpo": of.SimPOSettings,
    "orpo": of.ORPOSettings,
}
LORA = Lora(rank=4)


def method_of(name: str, folder: Path, *, lora: Lora | None = None, **settings: Any) -> Method[Any, Any]:
    kind = method_class(name)
    asked = KINDS[name](model=str(folder), data="tiny", out="unused", **settings)
    return kind(train_kit.policy(folder, lora=lora, reference=kind.needs_reference), asked)


def records(name: str, files: train_kit.Media | None = None) -> list[Any]:
    held = pairs(3, files)
    if name in ("sft", "feedback"):
        made: dict[str, Callable[[Pair], Any]] = {
            "sft": lambda p: Demonstration(id=p.id, messages=p.messages, answer=p.chosen),
            "feedback": lambda p: Critiqued(
                id=p.id,
                messages=p.messages,
                answer=p.rejected,
                feedback=Feedback(critique="The image is blue", refinement="say yes"),
            ),
        }
        return [made[name](pair) for pair in held]
    if name == "kto":
        good = [Labelled(id=p.id, messages=p.messages, answer=p.chosen, desirable=True) for p in held]
        bad = Labelled(id="bad", messages=held[0].messages, answer=held[0].rejected, desirable=False)
        return [*good, bad]
    return held


def batch_for(method: Method[Any, Any], found: list[Any]) -> Batch:
    batch: Batch = method.collate([method.encode(r) for r in found])
    return batch.to("cpu", torch.float32)


def loss_of(method: Method[Any, Any], batch: Batch) -> tuple[Tensor, dict[str, Any]]:
    loss, metrics = method.loss(method.trained(), batch)
    return loss, dict(metrics)


def nudge(module: torch.nn.Module, size: float = 0.02) -> None:
    """Move the trained weights a little, as training would."""
    noise = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for p in module.parameters():
            if p.requires_grad:
                p.add_(size * torch.randn(p.shape, generator=noise))
