"""Conversations as token ids and media tensors, with a mask over the answer's own tokens.

The ids of a conversation are those of its prompt, made by the harness's own prompter, followed by those of
the answer and the token that ends a turn: just what the model sees and gives when it generates. Nothing is
tokenized across that border, so no token of the prompt, of a medium or of the padding is ever an answer's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from eval_anything.errors import DataError, EvalAnythingError
from eval_anything.media.store import ArtifactStore
from eval_anything.models.hf.generate import end_tokens
from eval_anything.models.hf.load import Opened
from eval_anything.models.hf.prompt import Prompter
from eval_anything.values import Message, Request
from eval_anything_train.values import Answer, text_of

TooLong = Literal["error", "cut", "skip"]
"""What becomes of a record that is longer than the limit: an error that names it; its answer cut at the end;
or left out, and counted."""

_PER_TOKEN = ("token_type_ids", "mm_token_type_ids")
"""What a processor gives for each token, besides ids and attention mask; all else belongs to media."""


_PROBE = "probe"


class TooLongError(DataError):
    """A record has more tokens than the limit allows."""


@dataclasses.dataclass(frozen=True)
class Encoded:
    """One conversation, unpadded."""

    id: str
    """The record's."""
    input_ids: Tensor
    """(L,) int64."""
    response: Tensor
    """(L,) bool: the tokens of the answer, its end included."""
    tokens: dict[str, Tensor] = dataclasses.field(default_factory=dict)
    """Further tensors with one entry a token, (L, ...)."""
    media: dict[str, Tensor] = dataclasses.field(default_factory=dict)
    """Pixels, mel frames, grids: batches hold them one after another."""

    def __len__(self) -> int:
        return len(self.input_ids)


class Encoder:
    """Encodes for one checkpoint. May be used by several threads at once."""

    def __init__(
        self,
        opened: Opened,
        *,
        max_length: int,
        too_long: TooLong = "error",
        max_frames: int = 16,
        fps: float = 1.0,
    ) -> None:
        """`max_length`: tokens of prompt and answer together, media included."""
        self.opened = opened
        self.max_length = max_length
        self.too_long = too_long
        # No media of a store are read here: records name files.
        self.prompter = Prompter(opened, ArtifactStore(Path()), max_frames, fps)
        self.tokenizer = opened.tokenizer
        self.end = end_of_turn(opened)

    def prompt(self, messages: Sequence[Message], id: str = "") -> Encoded:
        """The prompt alone, as generation begins with it. Raises DataError naming the record."""
        try:
            inputs = self.prompter.inputs([self.prompter.prompt(Request(messages=tuple(messages)))])
        except (EvalAnythingError, ValueError, TypeError, OSError) as fault:
            raise DataError(f"record {id!r}: {fault}") from fault
        ids = inputs["input_ids"][0]
        held = {name: torch.as_tensor(value) for name, value in inputs.items()}
        return Encoded(
            id=id,
            input_ids=ids,
            response=torch.zeros(len(ids), dtype=torch.bool),
            tokens={name: held[name][0] for name in _PER_TOKEN if name in held},
            media={n: v for n, v in held.items() if n not in ("input_ids", "attention_mask", *_PER_TOKEN)},
        )

    def conversation(self, messages: Sequence[Message], answer: Answer, id: str = "") -> Encoded:
        """Prompt and answer. Raises DataError naming the record."""
        return self.answered(self.prompt(messages, id), answer)

    def answered(self, prompt: Encoded, answer: Answer) -> Encoded:
        """`prompt` with an answer after it; one prompt may have several. Raises TooLongError."""
        ids = self.answer_ids(text_of(answer))
        room = self.max_length - len(prompt)
        if len(ids) > room:
            if self.too_long != "cut" or room < 1:
                raise TooLongError(
                    f"record {prompt.id!r}: {len(prompt)} tokens of prompt and {len(ids)} of answer,"
                    f" max_length is {self.max_length}"
                )
            ids = ids[:room]
        return joined(prompt, ids)

    def answer_ids(self, text: str) -> list[int]:
        """The answer's tokens and the one that ends the turn; control tokens in it are broken up."""
        ids: list[int] = self.tokenizer.encode(self.prompter.plain(text), add_special_tokens=False)
        return [*ids, self.end]


def joined(prompt: Encoded, ids: Sequence[int]) -> Encoded:
    """`prompt` followed by the answer's token ids, which may be generated ones."""
    answer = torch.tensor(ids, dtype=prompt.input_ids.dtype)
    count = len(answer)
    return dataclasses.replace(
        prompt,
        input_ids=torch.cat([prompt.input_ids, answer]),
        response=torch.cat([prompt.response, torch.ones(count, dtype=torch.bool)]),
        # Type 0 is text, in every family.
        tokens={n: torch.cat([v, v.new_zeros((count, *v.shape[1:]))]) for n, v in prompt.tokens.items()},
    )


def end_of_turn(opened: Opened) -> int:
    """The token after which the model stops, as the chat template writes it after an answer.

    Where a model has several, that is not always the first.
    """
    from transformers import GenerationConfig

    try:
        stated = GenerationConfig.from_pretrained(opened.folder)
    except OSError:  # a checkpoint without generation_config.json: its tokenizer says it
        stated = GenerationConfig()
    ends = end_tokens(stated, opened.tokenizer)
    if not ends:
        raise DataError(
            f"{opened.folder}: neither generation_config.json nor the tokenizer names an end token"
        )
    if not opened.capabilities.chat:
        return ends[0]
    plain = opened.processor is opened.tokenizer
    content = _PROBE if plain else [{"type": "text", "text": _PROBE}]
    turns = [{"role": role, "content": content} for role in ("user", "assistant")]
    text = opened.processor.apply_chat_template(turns, chat_template=opened.chat_template, tokenize=False)
    after = opened.tokenizer.encode(text.rpartition(_PROBE)[2], add_special_tokens=False)
    return next((token for token in after if token in ends), ends[0])
