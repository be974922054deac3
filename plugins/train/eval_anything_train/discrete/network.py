"""What networks with words and codes share."""

from __future__ import annotations

import abc
import dataclasses
from typing import Any

from torch import Tensor
from transformers.modeling_outputs import CausalLMOutputWithPast

from eval_anything_train.logprobs import TwoVocabularies


@dataclasses.dataclass
class Foretold(CausalLMOutputWithPast):
    """`logits` are about words."""

    code_logits: Tensor | None = None
    """(N, codes): at the N places that were asked for."""


class Speaker(TwoVocabularies):
    """Stands before a class of transformers among the bases of a network, whose weights are that class's."""

    lm_head: Any

    @abc.abstractmethod
    def about_codes(self, states: Tensor) -> Tensor:
        """(N, width) -> (N, codes): logits."""

    def foretold(self, codes_at: Tensor | None, **inputs: Any) -> Any:
        """The forward pass of the class behind."""
        if codes_at is None:
            return super().forward(**inputs)  # type: ignore[misc]
        seen: list[Tensor] = []
        # Before all hooks that let the head see some places alone.
        hook = self.lm_head.register_forward_pre_hook(lambda _, given: seen.append(given[0]), prepend=True)
        try:
            out = super().forward(**inputs)  # type: ignore[misc]
        finally:
            hook.remove()
        return Foretold(
            logits=out.logits,
            code_logits=self.about_codes(seen[0][codes_at]),
            past_key_values=out.past_key_values,
        )
