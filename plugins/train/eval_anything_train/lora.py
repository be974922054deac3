"""Low-rank adapters (peft): put into a model, and taken into its weights again."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from eval_anything.errors import UsageError
from eval_anything.suggest import unknown
from eval_anything_train.settings import Lora


def with_adapters(model: Any, lora: Lora) -> Any:
    """`model` with fresh adapters; only those are trained, in float32 whatever the model's own precision.

    Raises UsageError for a target that is no layer of `model`.
    """
    from peft import LoraConfig, get_peft_model

    _check_targets(model, lora.targets)

    return get_peft_model(
        model,
        LoraConfig(
            r=lora.rank,
            lora_alpha=lora.alpha,
            lora_dropout=lora.dropout,
            target_modules=list(lora.targets) or linear_layers(model),
        ),
    )


def _check_targets(model: Any, targets: Sequence[str]) -> None:
    """A layer is meant by its name or by an ending of it, of whole words, as peft has it."""
    words = [name.split(".") for name, _ in model.named_modules() if name]
    endings = {".".join(parts[start:]) for parts in words for start in range(len(parts))}
    for target in targets:
        if target not in endings:
            near = unknown("layer", target, {parts[-1] for parts in words if not parts[-1].isdigit()})
            raise UsageError(f"lora.targets: {near}")


def linear_layers(model: Any) -> list[str]:
    """The linear layers of the language model's blocks: not those of encoders of media, nor the head."""
    language = model.get_decoder() if hasattr(model, "get_decoder") else model
    inside = {id(module) for module in language.modules()}
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and id(module) in inside
    ]


def has_adapters(model: Any) -> bool:
    return hasattr(model, "peft_config") and hasattr(model, "get_base_model")


def merged_weights(model: Any) -> Iterator[tuple[str, Tensor]]:
    """Names and values of the base model's weights with the adapters' changes in them.

    `model` itself is left as it is; one weight after another, so that no second model is in memory. The sums
    are float32 where either part is.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer

    base = model.get_base_model()
    adapted = {name: m for name, m in base.named_modules() if isinstance(m, BaseTunerLayer)}
    for name, value in base.state_dict().items():
        place, _, leaf = name.rpartition(".")
        if place in adapted:  # of the adapters themselves, in case of a layer that holds parameters
            continue
        layer = adapted.get(place.removesuffix(".base_layer"))
        if layer is not None:
            yield f"{place.removesuffix('.base_layer')}.{leaf}", _changed(layer, leaf, value)
        elif not any(name.startswith(f"{held}.") for held in adapted):
            yield name, value


def _changed(layer: Any, leaf: str, value: Tensor) -> Tensor:
    if leaf != "weight":
        return value
    with torch.no_grad():
        for adapter in layer.active_adapters:
            delta = layer.get_delta_weight(adapter)
            value = value.to(torch.promote_types(value.dtype, delta.dtype)) + delta
    return value


def without_adapters(model: Any) -> Any:
    """The structure of the base model, without adapters and without values (on the device "meta")."""
    empty = bare(model)
    return empty.unload() if has_adapters(empty) else empty


def sharing(model: Any) -> Any:
    """The base model, without adapters, once more: other modules, but the same parameters and buffers."""
    memo: dict[int, Any] = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    copied = copy.deepcopy(model, memo)
    return copied.unload() if has_adapters(copied) else copied


def bare(model: Any) -> Any:
    """A copy of `model` without values: parameters and buffers are on the device "meta"."""
    held = [*model.parameters(), *model.buffers()]
    memo: dict[int, Any] = {id(tensor): _empty(tensor) for tensor in held}
    return copy.deepcopy(model, memo)


def _empty(tensor: Tensor) -> Tensor:
    if isinstance(tensor, torch.nn.Parameter):
        return torch.nn.Parameter(tensor.to("meta"), requires_grad=tensor.requires_grad)
    return tensor.to("meta")
