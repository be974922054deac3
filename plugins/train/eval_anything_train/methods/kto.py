"""KTO: single answers that are good or bad, against how far the policy has moved from the reference."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor

from eval_anything_train.collate import Batch, collate
from eval_anything_train.encode import Encoded, joined
from eval_anything_train.logprobs import token_logprobs
from eval_anything_train.losses import language, preference
from eval_anything_train.methods.base import Method, Metrics
from eval_anything_train.methods.settings import KTOSettings
from eval_anything_train.policy import evaluating
from eval_anything_train.values import Labelled


class Answered(NamedTuple):
    """A record, encoded."""

    prompt: Encoded
    whole: Encoded
    """With the answer."""
    desirable: bool

    def after(self, prompt: Encoded, limit: int) -> Encoded:
        """The answer after another prompt; what is beyond `limit` tokens is left out."""
        answer = slice(len(self.prompt), len(self.prompt) + limit - len(prompt))
        return joined(prompt, self.whole.input_ids[answer].tolist(), self.whole.response[answer].tolist())


@dataclasses.dataclass(frozen=True, kw_only=True)
class KTOBatch(Batch):
    """Answers to their own prompts; their label `desirable` is (B,) bool."""

    mismatched: Batch
    """The same prompts, each with another record's answer."""

    def to(self, device: torch.device | str, dtype: torch.dtype) -> Self:
        return dataclasses.replace(super().to(device, dtype), mismatched=self.mismatched.to(device, dtype))


class KTO(Method[Labelled, Answered]):
    """Ethayarajh et al., arXiv 2402.01306.

    The divergence from the reference is estimated, as in the paper, on prompts with other records' answers:
    those of the same micro batch, each with the next one's. A record alone has none, and counts as 0.
    """

    name = "kto"
    takes = Labelled
    needs_reference = True
    settings: KTOSettings

    def check(self, record: Labelled) -> None:
        super().check(record)
        self.policy.encoder.check_answer(record.answer, record.id)

    def encode(self, record: Labelled) -> Answered:
        encoder = self.policy.encoder
        encoder.check_answer(record.answer, record.id)
        prompt = encoder.prompt(record.messages, record.id, encoder.opening(record.answer))
        return Answered(prompt, encoder.answered(prompt, record.answer), record.desirable)

    def collate(self, items: Sequence[Answered]) -> KTOBatch:
        limit = self.policy.encoder.max_length
        others = [*items[1:], items[0]]
        mismatched = [other.after(own.prompt, limit) for own, other in zip(items, others, strict=True)]
        own = collate([item.whole for item in items], self.policy.pad)
        return KTOBatch(
            inputs=own.inputs,
            response=own.response,
            ids=own.ids,
            labels={"desirable": torch.tensor([item.desirable for item in items])},
            mismatched=collate(mismatched, self.policy.pad),
        )

    def loss(self, module: torch.nn.Module, batch: Batch) -> tuple[Tensor, Metrics]:
        assert isinstance(batch, KTOBatch)
        with self.policy.reference(module) as reference:
            before = language.sums(*token_logprobs(reference, batch))
            elsewhere = language.sums(*token_logprobs(reference, batch.mismatched))
        with torch.no_grad(), evaluating(module):
            moved = language.sums(*token_logprobs(module, batch.mismatched)) - elsewhere
        kl = moved.mean().clamp(min=0) if len(batch) > 1 else moved.new_zeros(())
        ratios = language.sums(*token_logprobs(module, batch)) - before
        s, desirable = self.settings, batch.labels["desirable"]
        weights = (s.desirable_weight, s.undesirable_weight)
        loss = preference.kto(ratios, desirable, kl, s.beta, weights, s.form)
        # Names that depend on the batch could not be averaged over several.
        towards = torch.where(desirable, 1.0, -1.0) * (ratios.detach() - kl)
        return loss, {
            "kl": kl,
            "accuracy": (towards > 0).float().mean(),
            "margin": s.beta * towards.mean(),
            "desirable": desirable.float().mean(),
        }
