"""Supervised fine-tuning: imitate answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor

from eval_anything_train.collate import Batch, collate
from eval_anything_train.encode import Encoded
from eval_anything_train.logprobs import token_logprobs
from eval_anything_train.losses import language
from eval_anything_train.methods.base import Method, Metrics
from eval_anything_train.values import Demonstration, Record

R = TypeVar("R", bound=Record)


class Imitation(Method[R, Encoded]):
    """Cross-entropy on the answers' tokens; every token of an optimiser step counts alike."""

    def collate(self, items: Sequence[Encoded]) -> Batch:
        return collate(items, self.policy.pad)

    def weight(self, batch: Batch) -> float:
        return float(batch.response[:, 1:].sum())

    def loss(self, module: torch.nn.Module, batch: Batch) -> tuple[Tensor, Metrics]:
        logprobs, mask = token_logprobs(module, batch)
        loss = language.sft(logprobs, mask)
        return loss, {"perplexity": loss.detach().exp()}


class SFT(Imitation[Demonstration]):
    """Imitates the answers of demonstrations."""

    name = "sft"
    takes = Demonstration

    def check(self, record: Demonstration) -> None:
        super().check(record)
        self.policy.encoder.check_answer(record.answer, record.id)

    def encode(self, record: Demonstration) -> Encoded:
        return self.policy.encoder.conversation(record.messages, record.answer, record.id)
