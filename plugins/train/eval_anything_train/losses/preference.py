"""Losses on pairs of answers: reward model, DPO, SimPO, ORPO; and KTO on single ones.

The forms are those of Align Anything (arXiv 2412.15838, section 3 and appendix) and of the papers named at
each function. Where the released code of align-anything differs, its form is an option and never the default.
All arguments are float32 tensors of shape (B,); all losses are means over B.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from eval_anything_train.methods.settings import KTOForm


def reward(chosen: Tensor, rejected: Tensor, regularization: float = 0.001) -> Tensor:
    """-log sigmoid(r_w - r_l) + regularization * mean(r_w^2, r_l^2).

    Bradley-Terry likelihood with a pull of the scores to zero (Align Anything; SafeSora has the same term).
    """
    spread = torch.stack([chosen, rejected]).square().mean()
    return -logsigmoid(chosen - rejected).mean() + regularization * spread


def dpo(
    chosen: Tensor, rejected: Tensor, reference_chosen: Tensor, reference_rejected: Tensor, beta: float = 0.1
) -> Tensor:
    """-log sigmoid(beta * ((log p_w - ref_w) - (log p_l - ref_l))), sums over the answers' tokens.

    Rafailov et al., arXiv 2305.18290, equation 7.
    """
    margin = (chosen - reference_chosen) - (rejected - reference_rejected)
    return -logsigmoid(beta * margin).mean()


def simpo(chosen: Tensor, rejected: Tensor, beta: float = 2.5, gamma: float = 1.4) -> Tensor:
    """-log sigmoid(beta * (avg_w - avg_l) - gamma), averages over the answers' tokens.

    Meng et al., arXiv 2405.14734, equation 6. align-anything divides by the length of prompt and answer.
    """
    return -logsigmoid(beta * (chosen - rejected) - gamma).mean()


def orpo(chosen: Tensor, rejected: Tensor, weight: float = 0.5) -> Tensor:
    """-avg_w + weight * (-log sigmoid(log odds(w) - log odds(l))), averages over the answers' tokens.

    Hong et al., arXiv 2403.07691, equations 6 and 7; odds = p / (1 - p) of the average probability.
    """
    return -chosen.mean() + weight * -logsigmoid(log_odds_ratio(chosen, rejected)).mean()


def log_odds_ratio(chosen: Tensor, rejected: Tensor) -> Tensor:
    """log(odds_w / odds_l), stable for averages near zero."""
    return (chosen - rejected) - (_log_complement(chosen) - _log_complement(rejected))


def _log_complement(log_p: Tensor) -> Tensor:
    """log(1 - exp(log_p)) for log_p <= 0, exact near both ends (Maechler, "Accurately Computing
    log(1 - exp(-|a|))").

    A probability that rounds to 1 counts as the next one below: neither the value nor the gradient, which
    goes through the branch that is not chosen as well, may be infinite.
    """
    log_p = log_p.clamp(max=-torch.finfo(log_p.dtype).eps)
    return torch.where(log_p > -math.log(2), torch.log(-torch.expm1(log_p)), torch.log1p(-torch.exp(log_p)))


def kto(
    ratios: Tensor,
    desirable: Tensor,
    kl: Tensor,
    beta: float = 0.1,
    weights: tuple[float, float] = (1.0, 1.0),
    form: KTOForm = "paper",
) -> Tensor:
    """Mean of weight_d * (1 - sigmoid(beta * (ratio - kl))) over desirable answers and of
    weight_u * (1 - sigmoid(beta * (kl - ratio))) over others.

    `ratios`: log p - log p_ref of each answer; `desirable`: bool; `kl`: a number, at least 0, without
    gradient. `form` "align-anything" subtracts the second kind, as its released code does, which rewards what
    it should punish. Ethayarajh et al., arXiv 2402.01306, equation 8.
    """
    good = weights[0] * (1 - torch.sigmoid(beta * (ratios - kl)))
    bad = weights[1] * (1 - torch.sigmoid(beta * (kl - ratios)))
    sign = 1.0 if form == "paper" else -1.0
    return torch.where(desirable, good, sign * bad).mean()
