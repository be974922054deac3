"""The model in training: loaded from a checkpoint, with or without adapters, and what it was at the start."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from eval_anything.errors import UsageError
from eval_anything.models.hf import checkpoint, load
from eval_anything_train.encode import Encoder
from eval_anything_train.family import family_of
from eval_anything_train.logprobs import unwrapped
from eval_anything_train.lora import has_adapters, merged_weights, with_adapters, without_adapters
from eval_anything_train.place import loading_device, process_device
from eval_anything_train.settings import Lora, Settings

GENERATION = "generation_config.json"
TEMPLATE = "chat_template.jinja"


@dataclasses.dataclass
class Policy:
    """A model with its encoder. `reference()` gives what it was before training."""

    folder: Path
    """The checkpoint that it came from."""
    opened: load.Opened
    model: Any
    encoder: Encoder
    dtype: torch.dtype = torch.float32
    """What is computed in, and what checkpoints are written in."""
    frozen: Any = None
    """A copy from before training; none where adapters can be switched off instead, or where nobody asks."""

    @property
    def pad(self) -> int:
        token: int = self.opened.tokenizer.pad_token_id
        return token

    @contextlib.contextmanager
    def reference(self, model: Any) -> Iterator[Any]:
        """The reference model, for forward passes without gradients and without dropout. `model` is the one
        in training as its trainer wraps it: with adapters, it is itself the reference while they are off, so
        that its weights are in memory once."""
        with torch.no_grad():
            if self.frozen is not None:
                yield self.frozen
                return
            inner = getattr(model, "module", model)
            # Without adapters the dropout of the checkpoint itself would go on.
            with inner.disable_adapter(), evaluating(model):
                yield model


@contextlib.contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[None]:
    """`model` without dropout; afterwards each of its modules is in training again, if it was."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


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

    `dtype` is what will be computed in. Weights that are trained are float32 all the same, because steps of a
    small rate are lost in bfloat16; those under adapters are `dtype`. `reference`: whether `Policy.reference`
    will be used. Raises UsageError where it cannot be loaded.
    """
    folder, _ = checkpoint.find(name, revision, weights=True)
    family = family_of(folder)
    opened = family.open(folder)
    place = load.resolve_device(device)
    computed = load.resolve_dtype(dtype, place)
    model = family.load(opened, place, computed if lora is not None else "float32")
    reader = family.encoder(opened, model, **encoder)
    frozen = None
    if lora is not None:
        model = with_adapters(model, lora)
    elif reference:
        frozen = copy.deepcopy(model).requires_grad_(False).eval()
    model.train()
    return Policy(folder, opened, model, reader, getattr(torch, computed), frozen)


def policy_for(settings: Settings, *, reference: bool = False) -> Policy:
    """The policy that `settings` ask for, on this process's device; fresh adapters follow from the seed."""
    options = ("max_length", "too_long", "max_frames", "fps")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        policy = open_policy(
            settings.model,
            {name: getattr(settings, name) for name in options},
            device=loading_device(settings.device),
            # Said again: weights that will be divided are loaded where "auto" would be another.
            dtype=load.resolve_dtype(settings.dtype, process_device(settings.device)),
            lora=settings.lora,
            reference=reference,
        )
    if settings.gradient_checkpointing:
        checkpoint_activations(policy.model)
    return policy


def checkpoint_activations(model: Any) -> None:
    """Let `model` compute activations twice, to hold fewer of them. Raises UsageError where it cannot."""
    inner = unwrapped(model)
    if not inner.supports_gradient_checkpointing:
        raise UsageError(f"gradient_checkpointing: {type(inner).__name__} does not support it")
    inner.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})


def save_policy(policy: Policy, model: Any, folder: Path) -> None:
    """Write `model`, a whole model whatever it is trained with, so that `from_pretrained` and `hf/` load it.

    Weights are written in the precision that is computed in, adapters merged into them (and by themselves in
    `adapter/`, for peft). Processor, chat template and generation settings are the parent's own files.
    """
    from transformers import GenerationConfig

    inner = getattr(model, "module", model)
    adapted = has_adapters(inner)
    held = merged_weights(inner) if adapted else inner.state_dict().items()
    whole = without_adapters(inner).to(policy.dtype)
    whole.load_state_dict({name: _stored(value, policy.dtype) for name, value in held}, assign=True)
    whole.tie_weights()
    if (policy.folder / GENERATION).is_file():
        whole.generation_config = (
            GenerationConfig()
        )  # the parent's, copied below, may not pass today's checks
    whole.save_pretrained(folder)
    for path in _companions(policy.folder):
        shutil.copyfile(path, folder / path.name)
    template = policy.opened.chat_template
    if template is not None and not (folder / TEMPLATE).is_file():
        (folder / TEMPLATE).write_text(template, encoding="utf-8")
    if adapted:
        inner.save_pretrained(folder / "adapter")


def _stored(value: Tensor, dtype: torch.dtype) -> Tensor:
    return value.detach().to("cpu", dtype if value.is_floating_point() else value.dtype)


def _companions(folder: Path) -> list[Path]:
    """What belongs to a checkpoint besides weights and configuration."""
    found = {path for pattern in checkpoint.SMALL_FILES for path in folder.glob(pattern)}
    return sorted(
        path
        for path in found
        if path.name not in ("config.json", "adapter_config.json") and not path.name.endswith(".index.json")
    )
