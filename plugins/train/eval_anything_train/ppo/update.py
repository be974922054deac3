"""Gradients of actor and critic on what was observed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from eval_anything_train.feed import Micro
from eval_anything_train.learner import Learner
from eval_anything_train.logprobs import token_logprobs
from eval_anything_train.losses import language
from eval_anything_train.ppo import losses
from eval_anything_train.ppo.experience import Experience
from eval_anything_train.ppo.settings import PPOSettings
from eval_anything_train.ppo.tally import Tally
from eval_anything_train.session import Session

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Counts:
    """How many tokens a step has in all processes."""

    answers: float
    demonstrations: float


class Updater:
    """Each loss is a sum over tokens by their number in the whole step, all processes included: what a token
    counts does not depend on how the step is divided."""

    def __init__(
        self, session: Session, actor: Learner, critic: Learner, settings: PPOSettings, dtype: torch.dtype
    ) -> None:
        """`dtype`: that of pixels and mel frames."""
        self.session = session
        self.actor = actor
        self.critic = critic
        self.settings = settings
        self.dtype = dtype

    def gradients(
        self, experiences: Sequence[Experience], demonstrations: Sequence[Micro], of: Counts
    ) -> Tally:
        """Forward and backward passes of both models; how the losses were."""
        tally = Tally(self.session)
        passes: list[Experience | Micro] = list(experiences)
        if of.demonstrations:
            passes += [micro for micro in demonstrations if micro.batch is not None]
        for one, last in _with_last(passes):
            with self.actor.accumulating(last=last):
                if isinstance(one, Experience):
                    loss = self._actor_loss(one, of.answers, tally)
                else:
                    loss = self.settings.ptx_coeff * self._imitation_loss(one, of.demonstrations, tally)
                # Processes average their gradients, so each counts as many times as there are.
                self.actor.backward(loss * self.session.processes, last=last)
        for seen, last in _with_last(experiences):
            with self.critic.accumulating(last=last):
                loss = self._critic_loss(seen, of.answers, tally)
                self.critic.backward(loss * self.session.processes, last=last)
        return tally

    def _actor_loss(self, one: Experience, tokens: float, tally: Tally) -> Tensor:
        limit = self.settings.clip_range_ratio
        with self.session.autocast():
            logprobs, mask = token_logprobs(self.actor.module, one.batch, self.settings.temperature)
        loss = losses.actor(logprobs, one.logprobs, one.advantages, mask, limit, tokens) * one.counts
        ratio = losses.ratios(logprobs.detach(), one.logprobs, mask)
        tally.add("loss", loss.detach() * tokens, one.tokens)
        tally.add("ratio", losses.masked_sum(ratio, mask) * one.counts, one.tokens)
        tally.add("clipped", losses.beyond(ratio, mask, limit) * one.counts, one.tokens)
        return loss

    def _critic_loss(self, one: Experience, tokens: float, tally: Tally) -> Tensor:
        with self.session.autocast():
            values = self.critic.module(**one.batch.inputs)[:, :-1]
        limit = self.settings.clip_range_value
        loss = losses.critic(values, one.values, one.returns, one.mask, limit, tokens) * one.counts
        tally.add("critic_loss", loss.detach() * tokens, one.tokens)
        return loss

    def _imitation_loss(self, micro: Micro, shown: float, tally: Tally) -> Tensor:
        assert micro.batch is not None
        batch = micro.batch.to(self.session.device, self.dtype)
        with self.session.autocast():
            logprobs, mask = token_logprobs(self.actor.module, batch)
        loss = language.sft(logprobs, mask) * (micro.weight / shown)
        tally.add("ptx_loss", loss.detach() * shown, micro.weight)
        return loss


def _with_last(values: Sequence[T]) -> Iterator[tuple[T, bool]]:
    """Each of `values`, and whether it is the last one."""
    for number, value in enumerate(values, 1):
        yield value, number == len(values)
