"""SimPO: preferences without a reference model, by average log-probabilities."""

from __future__ import annotations

import torch
from torch import Tensor

from eval_anything_train.collate import Batch
from eval_anything_train.logprobs import token_logprobs
from eval_anything_train.losses import language, preference
from eval_anything_train.methods.base import Metrics
from eval_anything_train.methods.lengths import divisor
from eval_anything_train.methods.pairs import PairMethod, agreement, halves
from eval_anything_train.methods.settings import SimPOSettings


class SimPO(PairMethod):
    """Meng et al., arXiv 2405.14734."""

    name = "simpo"
    settings: SimPOSettings

    def loss(self, module: torch.nn.Module, batch: Batch) -> tuple[Tensor, Metrics]:
        logprobs, mask = token_logprobs(module, batch)
        average = halves(language.means(logprobs, mask, divisor(batch, self.settings.length)))
        loss = preference.simpo(*average, self.settings.beta, self.settings.gamma)
        return loss, agreement(*(self.settings.beta * side for side in average))
