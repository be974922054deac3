"""Training methods by name. Nothing here imports torch: a module is imported when its method is asked for."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from eval_anything.errors import UnknownName
from eval_anything.suggest import unknown

if TYPE_CHECKING:
    from eval_anything_train.methods.base import Method

_CLASSES = {
    "sft": "SFT",
    "feedback": "FeedbackModel",
    "reward": "Reward",
    "dpo": "DPO",
    "kto": "KTO",
    "simpo": "SimPO",
    "orpo": "ORPO",
}
"""Those whose training is the minimisation of a loss over records; each in the module of its name."""


def names() -> tuple[str, ...]:
    """All of them."""
    return tuple(_CLASSES)


def method_class(name: str) -> type[Method[Any, Any]]:
    """Raises UnknownName with the nearest right one."""
    if name not in _CLASSES:
        raise UnknownName(unknown("method", name, names()))
    module = importlib.import_module(f"eval_anything_train.methods.{name}")
    found: type[Method[Any, Any]] = getattr(module, _CLASSES[name])
    return found
