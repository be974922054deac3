"""Modules for several processes: whole copies whose gradients are averaged (DDP), or divided weights (FSDP2).

accelerate starts the processes and says what is wanted. The wrapping is done here, because accelerate divides
weights on GPUs alone, and here it is the same code everywhere, tested on the CPU.
"""

from __future__ import annotations

import os
import warnings
from typing import Any

import torch
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import CPUOffloadPolicy, MixedPrecisionPolicy, OffloadPolicy, fully_shard
from torch.nn.parallel import DistributedDataParallel

from eval_anything.errors import UsageError
from eval_anything_train.logprobs import unwrapped


def replicated(module: torch.nn.Module, device: torch.device) -> torch.nn.Module:
    """A copy in each process; the copies agree as long as each changes by the same gradients."""
    module.to(device)
    with warnings.catch_warnings():  # newer versions of torch would have another name for it
        warnings.filterwarnings("ignore", message=".*broadcast_buffers", category=FutureWarning)
        return DistributedDataParallel(
            module,
            device_ids=None if device.type == "cpu" else [device],
            broadcast_buffers=False,
            find_unused_parameters=_may_idle(module),
            gradient_as_bucket_view=True,
        )


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


def divided(module: torch.nn.Module, device: torch.device, dtype: torch.dtype) -> torch.nn.Module:
    """`module` itself, each process with its part of every parameter: block by block of the language model,
    and all the rest together. Blocks are computed in `dtype`, gradients are averaged in float32."""
    from accelerate import FullyShardedDataParallelPlugin

    asked = os.environ.get("FSDP_VERSION", "2")
    if asked != "2":
        raise UsageError(f"accelerate: fsdp_version must be 2, not {asked}")
    plugin = FullyShardedDataParallelPlugin(fsdp_version=2)
    offload = isinstance(plugin.cpu_offload, CPUOffloadPolicy)
    options: dict[str, Any] = {
        "mesh": init_device_mesh(device.type, (torch.distributed.get_world_size(),)),
        "mp_policy": MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=torch.float32),
        "offload_policy": CPUOffloadPolicy() if offload else OffloadPolicy(),
    }
    for block in blocks(module):
        fully_shard(block, reshard_after_forward=plugin.reshard_after_forward, **options)
    fully_shard(module, **options)
    return module


def blocks(module: torch.nn.Module) -> list[torch.nn.Module]:
    """The language model's blocks: every batch goes through them, which encoders of media cannot promise."""
    for part in module.modules():
        if hasattr(part, "get_decoder"):
            layers = getattr(part.get_decoder(), "layers", None)
            if isinstance(layers, torch.nn.ModuleList):
                return list(layers)
    raise UsageError(f"{type(module).__name__}: no language model whose weights can be divided")


def touched(module: torch.nn.Module) -> Tensor:
    """Zero, with a gradient of zeros for every parameter that a batch may leave unused.

    Processes with divided weights must average the same gradients, whatever media their batches have.
    """
    inside = {id(p) for block in blocks(module) for p in block.parameters()}
    rest = [p for p in module.parameters() if p.requires_grad and id(p) not in inside]
    return torch.stack([p.flatten()[0].float() for p in rest]).sum() * 0.0 if rest else torch.zeros(())
