"""Answers of the policy to prompts, sampled in process by the model in training."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence

import msgspec
import torch
from torch.distributed.fsdp import register_fsdp_forward_method

from eval_anything.models.hf.generate import Generator
from eval_anything.values import Params, Text
from eval_anything_train.collate import Batch, collate
from eval_anything_train.encode import Encoded, joined
from eval_anything_train.logprobs import unwrapped
from eval_anything_train.policy import Policy, evaluating
from eval_anything_train.ppo.settings import PPOSettings
from eval_anything_train.session import Session
from eval_anything_train.values import Answer, Prompt

_AS_IT_IS = {"repetition_penalty": 1.0, "no_repeat_ngram_size": 0, "min_new_tokens": 0}
"""Decoding settings of the checkpoint that would make answers another policy's than the one in training."""


@dataclasses.dataclass(frozen=True)
class Question:
    """A prompt, ready for the model."""

    record: Prompt
    encoded: Encoded


@dataclasses.dataclass(frozen=True)
class Questions(Batch):
    """Prompts of one generation, padded on the left."""

    questions: tuple[Question, ...] = ()


@dataclasses.dataclass(frozen=True)
class Said:
    """The tokens of one answer."""

    ids: list[int]
    said: list[bool]
    """Which of them the model drew; it was given the others."""
    ended: bool
    """Whether the model ended its answer itself; else it was cut at `max_new_tokens`."""


@dataclasses.dataclass(frozen=True)
class Rollout:
    """Prompts with the answers that the policy gave."""

    records: tuple[Prompt, ...]
    batch: Batch
    """Conversations, padded on the right; `response` marks the answers' tokens."""
    answers: tuple[Answer, ...]
    """The same as words, control tokens left out, and image files, which are there until the next rollout."""
    lengths: tuple[int, ...]
    """Tokens of each answer that the model drew, its end included."""
    ended: tuple[bool, ...]
    """Whether the model ended its answer itself; else it was cut at `max_new_tokens`."""


def gathered(questions: Sequence[Question], pad: int) -> Questions:
    """One batch of `questions`."""
    batch = collate([question.encoded for question in questions], pad, "left")
    return Questions(batch.inputs, batch.response, batch.ids, questions=tuple(questions))


class Sampler:
    """Lets the policy answer in words."""

    def __init__(
        self, session: Session, policy: Policy, model: torch.nn.Module, settings: PPOSettings
    ) -> None:
        """`model`: the policy's own module, without wrappers for several processes."""
        self.session = session
        self.policy = policy
        self.model = model
        self.settings = settings
        together = session.divided
        self.generator = Generator(policy.opened, _generating(model, together), policy.encoder.prompter)
        self.params = Params(
            temperature=settings.temperature,
            top_p=settings.top_p,
            max_tokens=settings.max_new_tokens,
            extra=_AS_IT_IS,
        )

    def answer(self, questions: Questions, step: int) -> Rollout:
        """An answer to each question; `questions` are on the model's device.

        What is drawn for a record depends on the settings' seed, the step and the record alone, as far as the
        model's own numbers do not depend on the batch.
        """
        seeds = [draw_seed(self.settings.seed, step, id) for id in questions.ids]
        with evaluating(self.model), torch.no_grad(), self.session.autocast():
            found = self.sample(questions, seeds)
        conversations = [
            joined(question.encoded, one.ids, one.said)
            for question, one in zip(questions.questions, found, strict=True)
        ]
        return Rollout(
            records=tuple(question.record for question in questions.questions),
            batch=collate(conversations, self.policy.pad),
            answers=self.shown(found),
            lengths=tuple(sum(one.said) for one in found),
            ended=tuple(one.ended for one in found),
        )

    def sample(self, questions: Questions, seeds: Sequence[int]) -> list[Said]:
        """The tokens of the answers."""
        rows = self.generator.sequences(questions.inputs, self.params, seeds, together=self.session.divided)
        return [self._ended(row) for row in rows]

    def shown(self, found: Sequence[Said]) -> tuple[Answer, ...]:
        """What people would see of the answers."""
        return tuple((Text(self.words(one.ids)),) for one in found)

    def words(self, ids: Sequence[int]) -> str:
        text: str = self.policy.opened.tokenizer.decode(ids, skip_special_tokens=True)
        return text

    def _ended(self, row: list[int]) -> Said:
        """`row` up to its first end token."""
        end = next((place for place, token in enumerate(row) if token in self.generator.ends), None)
        kept = row if end is None else row[: end + 1]
        return Said(kept, [True] * len(kept), end is not None)


def _generating(model: torch.nn.Module, divided: bool) -> torch.nn.Module:
    """Whose `generate` is called: the model's inside of adapters; but where weights are divided, those
    outside of the blocks are whole only while the outermost module is at work."""
    if not divided:
        inner: torch.nn.Module = unwrapped(model)
        return inner
    register_fsdp_forward_method(model, "generate")
    return model


def draw_seed(seed: int, step: int, record: str) -> int:
    """The seed of one answer's draws, 63 bits."""
    key = msgspec.json.encode([seed, step, record])
    return int.from_bytes(hashlib.sha256(key).digest()[:8], "big") >> 1
