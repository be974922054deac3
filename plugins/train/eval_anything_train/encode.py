"""Conversations as token ids and media tensors, with a mask over the answer's own tokens.

The ids of a conversation are those of its prompt, made by the harness's own prompter, followed by those of
the answer and the token that ends a turn: just what the model sees and gives when it generates. Nothing is
tokenized across that border, so no token of the prompt, of a medium or of the padding is ever an answer's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from eval_anything.errors import DataError, EvalAnythingError, UsageError
from eval_anything.media.store import ArtifactStore
from eval_anything.models.hf.generate import end_tokens
from eval_anything.models.hf.load import Opened
from eval_anything.models.hf.prompt import Prompter
from eval_anything.values import File, Message, Modality, Request, part_modality
from eval_anything_train.settings import TooLong
from eval_anything_train.values import Answer, text_of

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


@dataclasses.dataclass(frozen=True)
class Piece:
    """Tokens of an answer that follow one another."""

    ids: Sequence[int]
    said: Sequence[bool]
    """Which of them the model says; it is given the others."""
    whole: bool = False
    """Whether cutting drops it rather than parts of it."""


class Encoder:
    """Encodes for one checkpoint. May be used by several threads at once."""

    makes: ClassVar[tuple[Modality, ...]] = ("text",)
    """What answers may hold."""

    def __init__(
        self,
        opened: Opened,
        *,
        max_length: int,
        too_long: TooLong = "error",
        max_frames: int = 16,
        fps: float = 1.0,
    ) -> None:
        """`max_length`: tokens of prompt and answer together, media included. A longer record raises
        TooLongError, unless `too_long` says that its answer is to be cut.

        Raises UsageError for a checkpoint without a chat template.
        """
        if not opened.capabilities.chat:
            raise UsageError(f"{opened.folder}: no chat template: expected chat_template.jinja")
        self.opened = opened
        self.max_length = max_length
        self.too_long = too_long
        # No media of a store are read here: records name files.
        self.prompter = Prompter(opened, ArtifactStore(Path()), max_frames, fps)
        self.tokenizer = opened.tokenizer
        self.lead, self.end = answer_frame(opened)

    def check(self, messages: Sequence[Message], id: str = "") -> None:
        """What can be known of a prompt before its media are decoded. Raises DataError naming the record."""
        last = messages[-1].role if messages else "nothing"
        if last != "user":
            raise DataError(f"record {id!r}: messages end with {last}, expected a turn of the user")
        takes = self.opened.capabilities.inputs
        for part in (part for message in messages for part in message.parts):
            modality = part_modality(part)
            if modality is not None and modality not in takes:
                raise DataError(
                    f"record {id!r}: {modality}: the model does not take it (it takes {', '.join(takes)})"
                )
            if isinstance(part, File) and not Path(part.path).is_file():
                raise DataError(f"record {id!r}: {part.path}: no such file")

    def check_answer(self, answer: Answer, id: str, name: str = "answer") -> None:
        """Raises DataError naming the record and its `name`d answer where that is empty, holds what the model
        does not make, or a file that is not there."""
        for part in answer:
            if isinstance(part, File):
                if part.modality not in self.makes:
                    made = " and ".join(self.makes)
                    raise DataError(
                        f"record {id!r}: the {name} holds {part.modality}, and the model's answers are {made}"
                    )
                if not Path(part.path).is_file():
                    raise DataError(f"record {id!r}: {part.path}: no such file")
        if not any(isinstance(part, File) or part.text.strip() for part in answer):
            raise DataError(f"record {id!r}: the {name} is empty")

    def opening(self, answer: Answer) -> Modality:
        """What the model is asked to begin its answer with, where its prompts differ in that."""
        return "text"

    def processing(self, opening: Modality) -> dict[str, Any]:
        """Options of the processor for prompts of answers that begin so."""
        return {}

    def prompt(self, messages: Sequence[Message], id: str = "", opening: Modality = "text") -> Encoded:
        """The prompt alone, as generation begins with it. Raises DataError naming the record."""
        self.check(messages, id)
        try:
            prompt = self.prompter.prompt(Request(messages=tuple(messages)))
            inputs = self.prompter.inputs([prompt], **self.processing(opening))
        except (EvalAnythingError, ValueError, OSError) as fault:
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
        return self.conversations(messages, {"answer": answer}, id)[0]

    def conversations(
        self, messages: Sequence[Message], answers: Mapping[str, Answer], id: str = ""
    ) -> list[Encoded]:
        """The prompt with each of `answers`, which have the names that messages call them by; they share its
        tensors. Raises DataError naming the record."""
        for name, answer in answers.items():
            self.check_answer(answer, id, name)
        openings = dict.fromkeys(map(self.opening, answers.values()))
        prompts = {opening: self.prompt(messages, id, opening) for opening in openings}
        return [self.answered(prompts[self.opening(a)], a, name) for name, a in answers.items()]

    def answered(self, prompt: Encoded, answer: Answer, name: str = "answer") -> Encoded:
        """`prompt` with an answer after it; one prompt may have several. `name` is for messages.

        Raises TooLongError naming the record where it is longer than the limit and is not to be cut, or where
        nothing would be left of it.
        """
        pieces = self.pieces(answer, prompt.id)
        room = self.max_length - len(prompt)
        count = sum(len(piece.ids) for piece in pieces)
        kept = _cut(pieces, room) if count > room else pieces
        if count > room and (self.too_long != "cut" or not kept):
            raise TooLongError(
                f"record {prompt.id!r}: {len(prompt)} tokens of prompt and {count} of {name},"
                f" max_length is {self.max_length}"
            )
        ids, said = ([x for piece in kept for x in getattr(piece, field)] for field in ("ids", "said"))
        return joined(prompt, ids, said)

    def pieces(self, answer: Answer, id: str = "") -> list[Piece]:
        """The tokens of an answer. Raises DataError naming the record."""
        ids = self.answer_ids(text_of(answer))
        return [Piece(ids, [True] * len(ids))]

    def answer_ids(self, text: str) -> list[int]:
        """The answer's tokens and the one that ends the turn; control tokens in it are broken up."""
        return [*self.text_ids(text if text[:1].isspace() else self.lead + text), self.end]

    def text_ids(self, text: str) -> list[int]:
        """The tokens of `text` as it is, but for control tokens, which are broken up."""
        # Padding one row adds nothing. But the prompter asks for it too, and a tokenizer that is switched
        # back and forth cannot be used by several threads.
        encoded = self.tokenizer([self.prompter.plain(text)], padding=True, add_special_tokens=False)
        ids: list[int] = encoded["input_ids"][0]
        return ids


def _cut(pieces: Sequence[Piece], room: int) -> list[Piece]:
    """The first `room` tokens of `pieces`, without what would be half a whole one."""
    kept: list[Piece] = []
    for piece in pieces:
        if room < (len(piece.ids) if piece.whole else 1):
            break
        kept.append(dataclasses.replace(piece, ids=piece.ids[:room], said=piece.said[:room]))
        room -= len(piece.ids)
    return kept


def joined(prompt: Encoded, ids: Sequence[int], said: Sequence[bool] | None = None) -> Encoded:
    """`prompt` followed by the answer's token ids, which may be generated ones. `said`: which of them the
    model says; None: all."""
    answer = torch.tensor(ids, dtype=prompt.input_ids.dtype)
    count = len(answer)
    response = torch.tensor([True] * count if said is None else said, dtype=torch.bool)
    return dataclasses.replace(
        prompt,
        input_ids=torch.cat([prompt.input_ids, answer]),
        response=torch.cat([prompt.response, response]),
        # Type 0 is text, in every family.
        tokens={n: torch.cat([v, v.new_zeros((count, *v.shape[1:]))]) for n, v in prompt.tokens.items()},
    )


def answer_frame(opened: Opened) -> tuple[str, int]:
    """What the chat template writes around an answer, as the model generates it: white space before it, where
    the prompt ends without ("ASSISTANT:" and then " "), and the token after which the model stops.

    Where a model has several of those, it is not always the first.
    """
    whole, begun = (_rendered(opened, *turns) for turns in ((_PROBE, _PROBE), (_PROBE,)))
    before, _, after = whole.rpartition(_PROBE)
    ends = _ends(opened)
    following = opened.tokenizer.encode(after, add_special_tokens=False)
    end = next((token for token in following if token in ends), ends[0])
    space = before.removeprefix(begun)
    if not before.startswith(begun) or not space.isspace():
        return "", end
    # Some tokenizers put a space before each text by themselves.
    ids, start, alone = (
        opened.tokenizer.encode(text, add_special_tokens=False) for text in (whole, begun, _PROBE)
    )
    by_itself = ids[len(start) : len(start) + len(alone)] == alone
    return ("" if by_itself else space), end


def _rendered(opened: Opened, *texts: str) -> str:
    """A conversation of `texts`; where the last one is the user's, with the beginning of the answer."""
    plain = opened.processor is opened.tokenizer
    turns = [
        {"role": role, "content": text if plain else [{"type": "text", "text": text}]}
        for role, text in zip(("user", "assistant"), texts, strict=False)
    ]
    rendered: str = opened.processor.apply_chat_template(
        turns, chat_template=opened.chat_template, tokenize=False, add_generation_prompt=len(turns) == 1
    )
    return rendered


def _ends(opened: Opened) -> list[int]:
    from transformers import GenerationConfig

    try:
        stated = GenerationConfig.from_pretrained(opened.folder)
    except OSError:  # a checkpoint without generation_config.json: its tokenizer says it
        stated = GenerationConfig()
    ends = end_tokens(stated, opened.tokenizer)
    if not ends:
        raise UsageError(
            f"{opened.folder}: neither generation_config.json nor the tokenizer names an end token"
        )
    return ends
