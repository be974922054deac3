"""Trains with weights divided among the processes of the CPU, which accelerate offers for GPUs alone."""

from __future__ import annotations

import sys

import torch
from tiny_training import Imitate, demonstrations, job
from torch.distributed.fsdp import fully_shard

from eval_anything_train.logprobs import unwrapped
from eval_anything_train.loop import train
from eval_anything_train.policy import policy_for
from eval_anything_train.session import Session, adamw
from eval_anything_train.settings import Settings


class Sharding(Session):
    """FSDP2 as accelerate applies it: each block of the language model by itself, then the rest."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.sharded = True

    def wrapped(
        self, module: torch.nn.Module, optimizer: torch.optim.Optimizer
    ) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
        for block in unwrapped(module).get_decoder().layers:
            fully_shard(block)
        fully_shard(module)
        return module, adamw(module, self.settings)


if __name__ == "__main__":
    for asked in map(job, sys.argv[1:]):
        settings = asked.settings
        method = Imitate(policy_for(settings), settings)
        train(method, demonstrations(asked.records), settings, Sharding(settings), stream=None)
