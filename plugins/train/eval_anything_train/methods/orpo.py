"""ORPO: imitation of the chosen answer with an odds ratio against the rejected one."""

from __future__ import annotations

import torch
from torch import Tensor

from eval_anything_train.collate import Batch
from eval_anything_train.logprobs import token_logprobs
from eval_anything_train.losses import language, preference
from eval_anything_train.methods.base import Metrics
from eval_anything_train.methods.lengths import divisor
from eval_anything_train.methods.pairs import PairMethod, agreement, halves
from eval_anything_train.methods.settings import ORPOSettings


class ORPO(PairMethod):
    """Hong et al., arXiv 2403.07691."""

    name = "orpo"
    settings: ORPOSettings

    def loss(self, module: torch.nn.Module, batch: Batch) -> tuple[Tensor, Metrics]:
        logprobs, mask = token_logprobs(module, batch)
        average = halves(language.means(logprobs, mask, divisor(batch, self.settings.length)))
        loss = preference.orpo(*average, self.settings.odds_weight)
        ratio = preference.log_odds_ratio(*average).detach().mean()
        return loss, {"log_odds_ratio": ratio, **agreement(*average)}
