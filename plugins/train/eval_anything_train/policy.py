"""The model in training: loaded from a checkpoint, with or without adapters, and what it was at the start."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import torch

from eval_anything.models.hf import checkpoint, load
from eval_anything_train.encode import Encoder


class Lora(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Low-rank adapters (peft) in place of training all weights."""

    rank: int
    alpha: float = 16.0
    dropout: float = 0.0
    targets: tuple[str, ...] = ()
    """Names of layers; empty: all linear layers of the language model."""


@dataclasses.dataclass
class Policy:
    """A model with its encoder. `reference()` gives what it was before training."""

    folder: Path
    """The checkpoint that it came from."""
    opened: load.Opened
    model: Any
    encoder: Encoder
    frozen: Any = None
    """A copy from before training; none where adapters can be switched off instead, or where nobody asks."""

    @property
    def pad(self) -> int:
        token: int = self.opened.tokenizer.pad_token_id
        return token

    @contextlib.contextmanager
    def reference(self, model: Any) -> Iterator[Any]:
        """The reference model, for forward passes without gradients. `model` is the one in training as its
        trainer wraps it: with adapters, it is itself the reference while they are off, so that its weights
        are in memory once."""
        with torch.no_grad():
            if self.frozen is not None:
                yield self.frozen
                return
            inner = getattr(model, "module", model)
            with inner.disable_adapter():
                yield model


def open_policy(
    name: str,
    encoder: dict[str, Any],
    *,
    device: str = "auto",
    dtype: str = "auto",
    lora: Lora | None = None,
    reference: bool = False,
    revision: str | None = None,
) -> Policy:
    """Load checkpoint `name`, a folder or a hub id; `encoder` are keyword arguments of `Encoder`.

    `reference`: whether `Policy.reference` will be used. Raises UsageError where it cannot be loaded.
    """
    folder, _ = checkpoint.find(name, revision, weights=True)
    opened = load.open_checkpoint(folder, None)
    place = load.resolve_device(device)
    model = load.load_weights(opened, place, load.resolve_dtype(dtype, place), None)
    frozen = None
    if lora is not None:
        model = with_adapters(model, lora)
    elif reference:
        frozen = copy.deepcopy(model).requires_grad_(False).eval()
    model.train()
    return Policy(folder, opened, model, Encoder(opened, **encoder), frozen)


def with_adapters(model: Any, lora: Lora) -> Any:
    """`model` with fresh adapters; only those are trained."""
    from peft import LoraConfig, get_peft_model

    return get_peft_model(
        model,
        LoraConfig(
            r=lora.rank,
            lora_alpha=lora.alpha,
            lora_dropout=lora.dropout,
            target_modules=list(lora.targets) or linear_layers(model),
        ),
    )


def linear_layers(model: Any) -> list[str]:
    """The linear layers of the language model's blocks: not those of encoders of media, nor the head."""
    language = model.get_decoder() if hasattr(model, "get_decoder") else model
    inside = {id(module) for module in language.modules()}
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and id(module) in inside
    ]


def save_policy(policy: Policy, model: Any, folder: Path) -> None:
    """Write `model` with processor and chat template, so that `from_pretrained` and `hf/` load the folder.

    Adapters are merged into a copy of the weights: the folder holds a whole model.
    """
    inner = getattr(model, "module", model)
    if hasattr(inner, "peft_config"):
        inner = copy.deepcopy(inner).merge_and_unload()
    inner.save_pretrained(folder, safe_serialization=True)
    policy.opened.processor.save_pretrained(folder)
