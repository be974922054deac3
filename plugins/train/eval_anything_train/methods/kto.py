"""KTO: single answers that are good or bad, against how far the policy has moved from the reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from eval_anything.errors import UsageError
from eval_anything_train.collate import Batch, collate
from eval_anything_train.encode import Encoded, joined
from eval_anything_train.logprobs import token_logprobs
from eval_anything_train.losses import language, preference
from eval_anything_train.methods.base import Method, Metrics
from eval_anything_train.methods.settings import KTOSettings
from eval_anything_train.policy import Policy
from eval_anything_train.values import Labelled


class Answered(NamedTuple):
    whole: Encoded
    prompt: Encoded
    answer: tuple[int, ...]
    desirable: bool


class KTO(Method[Labelled, Answered]):
    """Ethayarajh et al., arXiv 2402.01306.

    The divergence from the reference is estimated on prompts with another record's answer, as in the paper:
    on those of the same micro batch, which therefore holds two records at least.
    """

    name = "kto"
    takes = Labelled
    needs_reference = True
    settings: KTOSettings

    def __init__(self, policy: Policy, settings: KTOSettings) -> None:
        super().__init__(policy, settings)
        if settings.batch_size < 2:
            raise UsageError("kto: batch_size must be at least 2: answers are mismatched within the batch")

    def encode(self, record: Labelled) -> Answered:
        prompt = self.policy.encoder.prompt(record.messages, record.id)
        whole = self.policy.encoder.answered(prompt, record.answer)
        return Answered(whole, prompt, tuple(whole.input_ids[len(prompt) :].tolist()), record.desirable)

    def collate(self, items: Sequence[Answered]) -> Batch:
        others = [*items[1:], items[0]]
        mismatched = [joined(own.prompt, other.answer) for own, other in zip(items, others, strict=True)]
        batch = collate([*(item.whole for item in items), *mismatched], self.policy.pad)
        return batch.labelled(desirable=torch.tensor([item.desirable for item in items]))

    def weight(self, batch: Batch) -> float:
        return len(batch) / 2

    def loss(self, module: torch.nn.Module, batch: Batch) -> tuple[Tensor, Metrics]:
        with self.policy.reference(module) as reference:
            before = language.sums(*token_logprobs(reference, batch))
        ratios, mismatched = (language.sums(*token_logprobs(module, batch)) - before).chunk(2)
        kl = mismatched.detach().mean().clamp(min=0)
        desirable = batch.labels["desirable"]
        weights = (self.settings.desirable_weight, self.settings.undesirable_weight)
        loss = preference.kto(ratios, desirable, kl, self.settings.beta, weights, self.settings.form)
        rewards = (self.settings.beta * ratios).detach()
        good, bad = rewards[desirable], rewards[~desirable]
        found: dict[str, float | Tensor] = {"kl": kl}
        found |= {"reward_desirable": good.mean()} if len(good) else {}
        found |= {"reward_undesirable": bad.mean()} if len(bad) else {}
        return loss, found
