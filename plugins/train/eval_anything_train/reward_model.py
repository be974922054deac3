"""A reward model: a policy's network with a linear head that scores a whole conversation.

Its folder is a checkpoint of the policy's architecture with the head beside it, `reward_head.safetensors`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from eval_anything.errors import UsageError
from eval_anything_train.collate import Batch
from eval_anything_train.logprobs import at_head

HEAD = "reward_head.safetensors"


class RewardModel(torch.nn.Module):
    """Scores are read at each row's last token, its end of turn."""

    def __init__(self, model: Any, head: torch.nn.Linear | None = None) -> None:
        """`head`: `new_head` where none is given: nothing is preferred at the start."""
        super().__init__()
        self.model = model
        self.head = head or new_head(model.config.get_text_config().hidden_size)
        self.head.to(next(model.parameters()).device)

    def forward(self, **inputs: Tensor) -> Tensor:
        """(B, L) float32: a score at every token; those of padding mean nothing."""
        states = last_hidden(self.model, inputs)
        # bfloat16 has three digits, and scores differ by less.
        with torch.autocast(states.device.type, enabled=False):
            scores: Tensor = self.head(states.to(self.head.weight.dtype))
        return scores.squeeze(-1).float()


def new_head(width: int) -> torch.nn.Linear:
    """A head that gives 0 to everything, in float32 whatever the network's precision."""
    head = torch.nn.Linear(width, 1, bias=False, dtype=torch.float32)
    torch.nn.init.zeros_(head.weight)
    return head


def last_hidden(model: Any, inputs: Mapping[str, Tensor]) -> Tensor:
    """(B, L, width): the network's last layer, as the head over the vocabulary is given it."""
    seen: list[Tensor] = []

    def first_alone(states: Tensor) -> Tensor:
        seen.append(states)
        return states[:, :1]

    at_head(model, inputs, first_alone)
    return seen[0]


def end_scores(module: torch.nn.Module, batch: Batch) -> Tensor:
    """(B,): the score at each row's last token; rows may be padded on either side."""
    scores: Tensor = module(**batch.inputs)
    mask = batch.inputs["attention_mask"]
    last = mask.shape[1] - 1 - mask.flip(1).argmax(dim=1)
    return scores.gather(1, last[:, None]).squeeze(1)


def save_head(head: torch.nn.Linear, folder: Path) -> None:
    save_file({"weight": head.weight.detach().contiguous().cpu()}, folder / HEAD)


def load_head(folder: Path) -> torch.nn.Linear:
    """Raises UsageError where the folder holds no reward model."""
    path = folder / HEAD
    try:
        weight = load_file(path)["weight"]
    except FileNotFoundError:
        raise UsageError(f"{folder}: not a reward model: no {HEAD} (train one with `train reward`)") from None
    except (SafetensorError, KeyError, OSError) as fault:
        raise UsageError(f"{path}: damaged: {fault}") from None
    head = new_head(weight.shape[1])
    with torch.no_grad():
        head.weight.copy_(weight)
    return head
