"""An answer as the reward model reads it: the prompt, one token for each medium, the text.

`USER: {prompt}` newline `ASSISTANT:` newline `{<image>}{<audio>}{text}`, with the tokenizer's start token.
The parts are tokenized apart, as a tokenizer does around special tokens anyway; inside of them nothing is
special, so an answer that spells `<image>` or `<|end_of_text|>` stays text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from eval_anything.errors import UsageError
from eval_anything.judges.synergy.config import RewardConfig

Medium = Literal["image", "audio"]


class Prompter:
    def __init__(self, tokenizer: Any, config: RewardConfig) -> None:
        self._tokenizer = tokenizer
        self._tokens: dict[Medium, int] = {
            "image": config.image_token_index,
            "audio": config.audio_token_index,
        }
        self._start: list[int] = tokenizer.encode("", add_special_tokens=True)
        if self._start not in ([], [tokenizer.bos_token_id]):
            raise UsageError(
                f"the tokenizer adds tokens {self._start} to a text, expected a start token alone"
            )

    def ids(self, prompt: str, media: Sequence[Medium], text: str) -> list[int]:
        """The token ids of one answer with `media` in this order, and `text` ("" for none)."""
        before = self._plain(f"USER: {prompt}\nASSISTANT:\n")
        return [*self._start, *before, *(self._tokens[m] for m in media), *self._plain(text)]

    def _plain(self, text: str) -> list[int]:
        # A lone surrogate (JSON may spell one) has no UTF-8 form and makes the tokenizer fail.
        clean = text.encode("utf-8", "replace").decode("utf-8")
        ids: list[int] = self._tokenizer.encode(clean, add_special_tokens=False, split_special_tokens=True)
        if not set(self._tokens.values()).isdisjoint(ids):
            raise UsageError("the tokenizer turns plain text into the tokens of images and sounds")
        return ids
