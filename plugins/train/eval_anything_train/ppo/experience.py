"""Answers with all that is known of them before the policy is updated."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from eval_anything_train.collate import Batch
from eval_anything_train.learner import Learner, NotFinite
from eval_anything_train.logprobs import token_logprobs
from eval_anything_train.policy import Policy
from eval_anything_train.ppo.gae import advantages, token_rewards
from eval_anything_train.ppo.rewards import Reward
from eval_anything_train.ppo.rollouts import Rollout
from eval_anything_train.ppo.settings import PPOSettings
from eval_anything_train.session import Session


@dataclasses.dataclass(frozen=True)
class Experience:
    """The answers of one micro batch; all tensors are (B, L - 1), where column t is about token t + 1."""

    batch: Batch
    mask: Tensor
    """bool: the answers' tokens."""
    logprobs: Tensor
    """Of the policy before the update."""
    log_ratios: Tensor
    """The same less the reference model's."""
    values: Tensor
    """The critic's, before each token."""
    advantages: Tensor
    returns: Tensor
    """What the critic is to foretell: advantages and values."""
    scores: Tensor
    """(B,), not clipped."""
    rollout: Rollout
    counts: float
    """1, or 0 for a stand-in of a process whose prompts are all too long."""

    @property
    def tokens(self) -> Tensor:
        """How many tokens of answers count."""
        return self.mask.sum() * self.counts


class Observer:
    """Asks policy, reference model, critic and reward about answers."""

    def __init__(
        self,
        session: Session,
        policy: Policy,
        actor: Learner,
        critic: Learner,
        reward: Reward,
        settings: PPOSettings,
    ) -> None:
        self.session = session
        self.policy = policy
        self.actor = actor
        self.critic = critic
        self.reward = reward
        self.settings = settings

    def observe(self, rollout: Rollout, counts: float) -> Experience:
        """Raises NotFinite naming the record whose score is no number."""
        s, batch = self.settings, rollout.batch
        scores = self._scores(rollout)
        logprobs, mask = self.logprobs(self.actor.module, batch)
        with self.policy.reference(self.actor.module) as reference:
            before, _ = self.logprobs(reference, batch)
        values = torch.where(mask, self.values(batch), 0.0)
        rewards = token_rewards(scores, logprobs - before, mask, s.kl_coeff, s.clip_range_score)
        found = advantages(rewards, values, mask, s.gamma, s.gae_lambda)
        return Experience(
            batch=batch,
            mask=mask,
            logprobs=logprobs,
            log_ratios=logprobs - before,
            values=values,
            advantages=found,
            returns=found + values,
            scores=scores,
            rollout=rollout,
            counts=counts,
        )

    def logprobs(self, model: torch.nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        # Weights that were cast without gradients must not be remembered for a pass with them.
        with torch.no_grad(), self.session.autocast():
            return token_logprobs(model, batch, self.settings.temperature)

    def values(self, batch: Batch) -> Tensor:
        """(B, L - 1): the critic's, of what follows each token but the last."""
        with torch.no_grad(), self.session.autocast():
            found: Tensor = self.critic.module(**batch.inputs)
        return found[:, :-1]

    def _scores(self, rollout: Rollout) -> Tensor:
        given = self.reward.scores(rollout)
        scores = torch.as_tensor(given, dtype=torch.float32, device=self.session.device)
        if scores.shape != (len(rollout.records),):
            raise ValueError(
                f"the reward gave scores of shape {tuple(scores.shape)} for {len(rollout.records)} answers"
            )
        for record, score in zip(rollout.records, scores.tolist(), strict=True):
            if not math.isfinite(score):
                raise NotFinite(
                    f"the reward of the answer to record {record.id!r} is {score}; nothing was updated"
                )
        return scores


def whiten(session: Session, experiences: Sequence[Experience]) -> list[Experience]:
    """`experiences` with advantages of mean 0 and deviation 1 over the tokens of all processes."""
    held = [torch.masked_select(one.advantages, one.mask).double() for one in experiences if one.counts]
    values = torch.cat(held) if held else torch.zeros(0, dtype=torch.float64, device=session.device)
    sums = torch.stack([values.sum(), values.square().sum(), values.new_tensor(len(values))])
    total, squares, count = session.sum(sums).tolist()
    mean = total / count
    deviation = math.sqrt(max(squares / count - mean * mean, 0.0) + 1e-8)
    return [
        dataclasses.replace(one, advantages=(one.advantages - mean) * one.mask / deviation)
        for one in experiences
    ]
