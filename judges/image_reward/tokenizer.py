"""BERT's words: the vocabulary that ImageReward reads prompts with, which is not part of its checkpoint."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eval_anything.errors import UsageError
from eval_anything.judges import checkpoints
from eval_anything.models.base import local_path

NAME = "vocab.txt"
PUBLISHED = "google-bert/bert-base-uncased"
LONGEST = 35
"""Tokens of a prompt, the first and the last one included; what is longer is cut."""
_ADDED = ("[DEC]", "[ENC]")
"""BLIP's own, behind BERT's."""


def find(tokenizer: str, beside: Path) -> Path:
    """The vocabulary's file: `tokenizer` (a file, a folder, a hub id), or else the one beside the weights, or
    else the published one from the hub. Raises UsageError."""
    if not tokenizer and (beside / NAME).is_file():
        return beside / NAME
    place = local_path(tokenizer) if tokenizer else None
    if place is None:
        place = checkpoints.find("image_reward", tokenizer or PUBLISHED, None, option="tokenizer")[0]
    file = place / NAME if place.is_dir() else place
    if not file.is_file():
        raise UsageError(f"judge image_reward, option tokenizer: {place}: no {NAME}")
    return file


def identity(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


class Tokenizer:
    """Lower case, word pieces, `[CLS]` before and `[SEP]` after, as the published code has it.

    Needs `load.libraries()` first.
    """

    def __init__(self, file: Path, vocab_size: int) -> None:
        """Raises UsageError for another vocabulary than that of a model with `vocab_size` tokens."""
        from transformers import BertTokenizer

        try:
            # By line feeds alone: some of the words are characters that also end a line.
            words = file.read_text(encoding="utf-8").removesuffix("\n").split("\n")
        except (OSError, UnicodeDecodeError) as fault:
            raise UsageError(f"{file}: not readable as a vocabulary: {fault}") from None
        vocabulary = {word: index for index, word in enumerate([*words, *_ADDED])}
        lacking = {"[PAD]", "[UNK]", "[CLS]", "[SEP]"} - vocabulary.keys()
        if lacking or len(vocabulary) != vocab_size or vocabulary["[PAD]"] != 0:
            raise UsageError(
                f"{file}: {len(words)} words, and two of BLIP's: not the vocabulary of a model with "
                f"{vocab_size} tokens, the first of them [PAD]"
            )
        self._tokenizer: Any = BertTokenizer(
            vocab=vocabulary, bos_token=_ADDED[0], extra_special_tokens=[_ADDED[1]]
        )

    def __call__(self, prompts: Sequence[str]) -> Any:
        """`input_ids` and `attention_mask`, (n, length) integers, padded on the right to the longest."""
        # A lone surrogate (JSON may spell one) has no UTF-8 form and makes the tokenizer fail.
        clean = [prompt.encode("utf-8", "replace").decode("utf-8") for prompt in prompts]
        return self._tokenizer(clean, padding=True, truncation=True, max_length=LONGEST, return_tensors="pt")
