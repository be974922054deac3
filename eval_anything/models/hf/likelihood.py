"""How probable given texts are to a model: sums of log-probabilities over exactly their tokens."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterator, Sequence
from typing import Any

from eval_anything.errors import BadRequest, ModelError
from eval_anything.models.hf.generate import context_length, memory_freed, placed
from eval_anything.models.hf.load import Opened
from eval_anything.models.hf.prompt import Prompt, Prompter
from eval_anything.values import Likelihood

_WINDOW = 2048
"""Tokens scored at once of a text without a prompt, where the model states no context length."""


@dataclasses.dataclass(frozen=True)
class ScoreJob:
    prompt: Prompt
    continuation: str
    whole: bool
    """Score a text by itself, however long, in windows; `prompt` is empty then."""

    @property
    def with_media(self) -> bool:
        return bool(self.prompt.images or self.prompt.audio or self.prompt.videos)

    @property
    def batch_key(self) -> tuple[object, ...]:
        """Jobs of one key can share a batch."""
        return ("likelihood", self.prompt.batch_key if self.with_media else ())


@dataclasses.dataclass(frozen=True)
class Scored:
    likelihood: Likelihood
    input_tokens: int


@dataclasses.dataclass(frozen=True)
class _Row:
    """Tokens of one forward pass: `scored` after `before`, which has at least one."""

    before: list[int]
    scored: list[int]

    def __len__(self) -> int:
        return len(self.before) + len(self.scored)


class Scorer:
    """One loaded model. `run` is for one thread at a time.

    Where tokens lie is decided as lm-evaluation-harness decides it: prompt and text are tokenized together,
    and the prompt's own tokens, without its last white space, are taken off the front.
    """

    def __init__(self, opened: Opened, model: Any, prompter: Prompter, batch_size: int) -> None:
        self.model = model
        self.prompter = prompter
        self.tokenizer = opened.tokenizer
        self.batch_size = batch_size
        self.context = context_length(opened)
        self._first = _first_token(opened.tokenizer)
        self._keeps = "logits_to_keep" in inspect.signature(model.forward).parameters

    def run(self, jobs: list[ScoreJob]) -> list[Scored]:
        """Raises BadRequest for what has no tokens or does not fit the context, or what torch raises."""
        if jobs[0].with_media:
            return self._after_media(jobs)
        rows = [self._rows(job) for job in jobs]
        flat = [(number, row) for number, own in enumerate(rows) for row in own]
        flat.sort(key=lambda pair: len(pair[1]))  # rows of like lengths share a batch
        logprobs, greedy = [0.0] * len(jobs), [True] * len(jobs)
        for start in range(0, len(flat), self.batch_size):
            batch = flat[start : start + self.batch_size]
            with memory_freed():
                found = self._score([row for _, row in batch])
            for (number, _), (logprob, best) in zip(batch, found, strict=True):
                logprobs[number] += logprob
                greedy[number] &= best
        return [
            Scored(
                Likelihood(logprob=logprob, greedy=best, tokens=sum(len(row.scored) for row in own)),
                input_tokens=sum(map(len, own)),
            )
            for own, logprob, best in zip(rows, logprobs, greedy, strict=True)
        ]

    def _after_media(self, jobs: list[ScoreJob]) -> list[Scored]:
        """Rows share a batch where media and text are of the same size, so that nothing is padded: models
        count places in different ways where something is."""
        rows = [self._pair(job.prompt, job.continuation) for job in jobs]
        alike: dict[object, list[int]] = {}
        for number, (job, row) in enumerate(zip(jobs, rows, strict=True)):
            _check_scored(row, job)
            alike.setdefault((len(row), job.prompt.sizes), []).append(number)
        scored: dict[int, Scored] = {}
        for numbers in alike.values():
            with memory_freed():
                found = self._score_alike([jobs[n] for n in numbers], [rows[n] for n in numbers])
            scored |= zip(numbers, found, strict=True)
        return [scored[number] for number in range(len(jobs))]

    def _score_alike(self, jobs: Sequence[ScoreJob], rows: Sequence[_Row]) -> list[Scored]:
        import torch

        texts = [dataclasses.replace(job.prompt, text=job.prompt.text + job.continuation) for job in jobs]
        inputs = placed(self.prompter.inputs(texts), self.model)
        ends = [ids[-len(row.scored) :].tolist() for ids, row in zip(inputs["input_ids"], rows, strict=True)]
        if not bool(inputs["attention_mask"].all()) or ends != [row.scored for row in rows]:
            raise ModelError("the processor does not put the text's tokens at the end of all prompts alike")
        length = inputs["input_ids"].shape[1]  # media take more places than they have marks in the text
        self._check_fits(length)
        most = max(len(row.scored) for row in rows)
        keep = torch.arange(length - most - 1, length - 1).to(self.model.device)
        with torch.inference_mode():
            logits = self.model(
                **inputs, use_cache=False, **({"logits_to_keep": keep} if self._keeps else {})
            ).logits
        logits = logits if self._keeps else logits[:, keep]
        return [
            Scored(Likelihood(logprob=logprob, greedy=best, tokens=len(row.scored)), input_tokens=length)
            for own, row in zip(logits, rows, strict=True)
            for logprob, best in [_of_tokens(own[most - len(row.scored) :], row.scored)]
        ]

    def _rows(self, job: ScoreJob) -> list[_Row]:
        if job.whole:
            tokens = self._encode(job.continuation, special=self._wants_special(job.continuation))
            rows = list(_windows(self._first, tokens, self.context or _WINDOW))
        elif not job.prompt.text:
            tokens = self._encode(job.continuation, special=False)
            cut = int(tokens[:1] == [self._first])  # the text brings the first token itself
            rows = [_Row([self._first], tokens[cut:])]
        else:
            rows = [self._pair(job.prompt, job.continuation)]
        for row in rows or [_Row([], [])]:
            _check_scored(row, job)
        self._check_fits(max(map(len, rows)))
        return rows

    def _check_fits(self, length: int) -> None:
        if self.context is not None and length > self.context + 1:
            raise BadRequest(f"prompt and text have {length} tokens, the model's context is {self.context}")

    def _pair(self, prompt: Prompt, continuation: str) -> _Row:
        whole = self._encode(prompt.text + continuation, special=prompt.special)
        own = self._encode(prompt.text.rstrip(), special=prompt.special)
        if not own:
            raise BadRequest("the prompt is white space alone: there is nothing to score a text after")
        return _Row(whole[: len(own)], whole[len(own) :])

    def _wants_special(self, text: str) -> bool:
        return not text.startswith(self.tokenizer.decode([self._first]))

    def _encode(self, text: str, *, special: bool) -> list[int]:
        tokens: list[int] = self.tokenizer.encode(text, add_special_tokens=special)
        return tokens

    def _score(self, rows: Sequence[_Row]) -> list[tuple[float, bool]]:
        """For each row the sum of log-probabilities, and whether each token is the most probable one."""
        import torch

        # Padded on the right: what follows a token has no part in its probability.
        length = max(map(len, rows)) - 1
        ids = torch.full((len(rows), length), int(self.tokenizer.pad_token_id))
        for place, row in enumerate(rows):
            ids[place, : len(row) - 1] = torch.tensor([*row.before, *row.scored][:-1])
        mask = torch.arange(length) < torch.tensor([[len(row) - 1] for row in rows])
        first = min(len(row.before) for row in rows) - 1
        # Of a large vocabulary, the logits of every place would take more memory than the model.
        keep = {"logits_to_keep": torch.arange(first, length)} if self._keeps else {}
        keep = {name: value.to(self.model.device) for name, value in keep.items()}
        with torch.inference_mode():
            logits = self.model(
                input_ids=ids.to(self.model.device),
                attention_mask=mask.long().to(self.model.device),
                use_cache=False,
                **keep,
            ).logits
        offset = first if keep else 0
        return [_sum(logits[place], row, offset) for place, row in enumerate(rows)]


def _check_scored(row: _Row, job: ScoreJob) -> None:
    if not row.scored:
        raise BadRequest(f"the text {job.continuation[:40]!r} has no tokens of its own after this prompt")


def _sum(logits: Any, row: _Row, offset: int) -> tuple[float, bool]:
    """`logits`: (places, vocabulary), the first one for the place `offset`."""
    start = len(row.before) - 1 - offset
    return _of_tokens(logits[start : start + len(row.scored)], row.scored)


def _of_tokens(logits: Any, scored: Sequence[int]) -> tuple[float, bool]:
    """`logits`: (len(scored), vocabulary), of the places before each token of `scored`."""
    import torch

    own = logits.float()
    tokens = torch.tensor(scored, device=own.device)
    logprobs = own.log_softmax(dim=-1).gather(-1, tokens[:, None])
    return float(logprobs.sum()), bool((own.argmax(dim=-1) == tokens).all())


def _windows(first: int, tokens: Sequence[int], size: int) -> Iterator[_Row]:
    """Every token once, in windows of at most `size` tokens, each after as many before it as fit as well.

    The text's first token is scored after `first`. As lm-evaluation-harness cuts texts for perplexities.
    """
    done = 0
    while done < len(tokens):
        end = min(done + size, len(tokens))
        start = max(0, end - size - 1)
        before = tokens[start:done] if done else [first]
        yield _Row(list(before), list(tokens[done:end]))
        done = end


def _first_token(tokenizer: Any) -> int:
    """What stands before a text that nothing stands before: the token of beginnings, else that of ends."""
    found = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    return int(tokenizer.pad_token_id if found is None else found)
