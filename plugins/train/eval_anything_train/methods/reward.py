"""Reward modelling: score the chosen answer above the rejected one."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from eval_anything_train.collate import Batch
from eval_anything_train.losses import preference
from eval_anything_train.methods.base import Metrics
from eval_anything_train.methods.pairs import PairMethod, agreement, halves
from eval_anything_train.methods.settings import RewardSettings
from eval_anything_train.policy import Policy, save_policy
from eval_anything_train.reward_model import HEAD, RewardModel, end_scores, load_head, save_head


class Reward(PairMethod):
    """Align Anything, appendix: Bradley-Terry with a pull of the scores to zero."""

    name = "reward"
    settings: RewardSettings

    def __init__(self, policy: Policy, settings: RewardSettings) -> None:
        super().__init__(policy, settings)
        trained = (policy.folder / HEAD).is_file()
        self.model = RewardModel(policy.model, load_head(policy.folder) if trained else None)

    def trained(self) -> torch.nn.Module:
        return self.model

    def loss(self, module: torch.nn.Module, batch: Batch) -> tuple[Tensor, Metrics]:
        chosen, rejected = halves(end_scores(module, batch))
        loss = preference.reward(chosen, rejected, self.settings.regularization)
        return loss, {
            "score_chosen": chosen.mean().detach(),
            "score_rejected": rejected.mean().detach(),
            **agreement(chosen, rejected),
        }

    def save(self, module: torch.nn.Module, folder: Path) -> None:
        whole = getattr(module, "module", module)
        save_policy(self.policy, whole.model, folder)
        save_head(whole.head, folder)
