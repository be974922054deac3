"""Training methods by name. Nothing here imports torch: a module is imported when its method is asked for."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from eval_anything.errors import UnknownName
from eval_anything.suggest import unknown

if TYPE_CHECKING:
    from eval_anything_train.methods.base import Training

_CLASSES = {
    "sft": "methods.sft:SFT",
    "feedback": "methods.feedback:FeedbackModel",
    "reward": "methods.reward:Reward",
    "dpo": "methods.dpo:DPO",
    "ppo": "ppo.method:PPO",
    "kto": "methods.kto:KTO",
    "simpo": "methods.simpo:SimPO",
    "orpo": "methods.orpo:ORPO",
}
"""module:class of each."""


def names() -> tuple[str, ...]:
    """All of them."""
    return tuple(_CLASSES)


def method_class(name: str) -> type[Training[Any, Any]]:
    """Raises UnknownName with the nearest right one."""
    if name not in _CLASSES:
        raise UnknownName(unknown("method", name, names()))
    module, _, kind = _CLASSES[name].partition(":")
    found: type[Training[Any, Any]] = getattr(importlib.import_module(f"eval_anything_train.{module}"), kind)
    return found
