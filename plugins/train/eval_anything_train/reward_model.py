"""A reward model: a policy's network with a linear head that scores a whole conversation.

Its folder is a checkpoint of the policy's architecture with the head beside it, `reward_head.safetensors`.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from eval_anything.errors import UsageError
from eval_anything_train.collate import Batch
from eval_anything_train.logprobs import unwrapped

HEAD = "reward_head.safetensors"


class RewardModel(torch.nn.Module):
    """Scores are read at each row's last token, its end of turn."""

    def __init__(self, model: Any, head: torch.nn.Linear | None = None) -> None:
        super().__init__()
        self.model = model
        width = model.config.get_text_config().hidden_size
        weight = next(model.parameters())
        self.head = head or torch.nn.Linear(width, 1, bias=False, device=weight.device, dtype=weight.dtype)
        if head is None:  # nothing is preferred at the start
            torch.nn.init.zeros_(self.head.weight)

    def forward(self, **inputs: Tensor) -> Tensor:
        """(B, L) float32: a score at every token; those of padding mean nothing."""
        hidden: Tensor = self.head(last_hidden(self.model, inputs))
        return hidden.squeeze(-1).float()


def last_hidden(model: Any, inputs: dict[str, Tensor]) -> Tensor:
    """(B, L, width): the network's last layer, before the head over the vocabulary."""
    forward = type(unwrapped(model)).forward
    keep = {"logits_to_keep": 1} if "logits_to_keep" in inspect.signature(forward).parameters else {}
    states: Tensor = model(**inputs, use_cache=False, output_hidden_states=True, **keep).hidden_states[-1]
    return states


def end_scores(module: torch.nn.Module, batch: Batch) -> Tensor:
    """(B,): the score at each row's last token; rows may be padded on either side."""
    scores: Tensor = module(**batch.inputs)
    mask = batch.inputs["attention_mask"]
    last = mask.shape[1] - 1 - mask.flip(1).argmax(dim=1)
    return scores.gather(1, last[:, None]).squeeze(1)


def save_head(head: torch.nn.Linear, folder: Path) -> None:
    save_file({"weight": head.weight.detach().contiguous().cpu()}, folder / HEAD)


def load_head(folder: Path, device: Any, dtype: torch.dtype) -> torch.nn.Linear:
    """Raises UsageError where the folder holds no reward model."""
    path = folder / HEAD
    try:
        weight = load_file(path)["weight"]
    except FileNotFoundError:
        raise UsageError(f"{folder}: not a reward model: no {HEAD} (train one with `train reward`)") from None
    except (SafetensorError, KeyError, OSError) as fault:
        raise UsageError(f"{path}: damaged: {fault}") from None
    head = torch.nn.Linear(weight.shape[1], 1, bias=False, device=device, dtype=dtype)
    with torch.no_grad():
        head.weight.copy_(weight)
    return head
