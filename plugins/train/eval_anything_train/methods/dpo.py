"""Direct preference optimisation."""

from __future__ import annotations

import torch
from torch import Tensor

from eval_anything_train.collate import Batch
from eval_anything_train.logprobs import token_logprobs
from eval_anything_train.losses import language, preference
from eval_anything_train.methods.base import Metrics
from eval_anything_train.methods.pairs import PairMethod, agreement, halves
from eval_anything_train.methods.settings import DPOSettings


class DPO(PairMethod):
    """Rafailov et al., arXiv 2305.18290; rewards are beta times the log-ratio to the reference."""

    name = "dpo"
    needs_reference = True
    settings: DPOSettings

    def loss(self, module: torch.nn.Module, batch: Batch) -> tuple[Tensor, Metrics]:
        with self.policy.reference(module) as reference:
            before = halves(language.sums(*token_logprobs(reference, batch)))
        now = halves(language.sums(*token_logprobs(module, batch)))
        beta = self.settings.beta
        loss = preference.dpo(*now, *before, beta)
        rewards = [beta * (a - b).detach() for a, b in zip(now, before, strict=True)]
        return loss, {
            "reward_chosen": rewards[0].mean(),
            "reward_rejected": rewards[1].mean(),
            **agreement(*rewards),
        }
