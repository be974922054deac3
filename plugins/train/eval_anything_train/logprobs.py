"""Log-probabilities of the answers' tokens, computed for those tokens alone."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from eval_anything_train.collate import Batch


# Not an abc.ABC, between which and `object` there is another class: FSDP changes a network's class, which
# Python then refuses.
class TwoVocabularies(metaclass=abc.ABCMeta):
    """A network with answers of two kinds of tokens: words, and the codes of images. Each token is drawn from
    its own kind's vocabulary.

    Its forward pass takes `codes_at`, (B, L) bool: where it is to foretell a code. `code_logits` of the
    output are the (N, codes) there, row after row; `logits` are about words.
    """

    @abc.abstractmethod
    def is_code(self, ids: Tensor) -> Tensor:
        """Which of `ids` are codes: bool of the same shape."""

    @abc.abstractmethod
    def code_of(self, ids: Tensor) -> Tensor:
        """The codes, from 0, that `ids` are."""

    @abc.abstractmethod
    def id_of(self, codes: Tensor) -> Tensor:
        """The ids of `codes`."""


def token_logprobs(model: Any, batch: Batch, temperature: float = 1.0) -> tuple[Tensor, Tensor]:
    """(log-probabilities, mask), each (B, L - 1): column t is about token t + 1; float32.

    Zero where the mask is false: tokens of prompts, media and padding are in no loss.
    """
    mask = batch.response[:, 1:]
    found = torch.zeros(mask.shape, device=mask.device)
    for place, logits, targets in _by_vocabulary(model, batch):
        found = found.masked_scatter(place, gathered(logits, targets, temperature))
    return found, mask


def _by_vocabulary(model: Any, batch: Batch) -> list[tuple[Tensor, Tensor, Tensor]]:
    """For each vocabulary: which tokens of the answers are of it, (B, L - 1) bool; the logits of those, (N,
    V); and their places in it, (N,)."""
    targets, mask = batch.inputs["input_ids"][:, 1:], batch.response[:, 1:]
    network = unwrapped(model)
    if not isinstance(network, TwoVocabularies):
        return [(mask, answer_logits(model, batch), targets[mask])]
    codes = mask & network.is_code(targets)
    words = mask & ~codes
    before = pad(words, (0, 1))
    inputs = {**batch.inputs, "codes_at": pad(codes, (0, 1))}
    out = at_head(model, inputs, lambda hidden: hidden[before][None])
    return [
        (words, out.logits[0], targets[words]),
        (codes, out.code_logits, network.code_of(targets[codes])),
    ]


def answer_logits(model: Any, batch: Batch) -> Tensor:
    """(N, V): what the model says about each of the N tokens of the batch's answers, row after row."""
    before = pad(batch.response[:, 1:], (0, 1))  # a token is foretold at the one before it
    logits: Tensor = at_head(model, batch.inputs, lambda hidden: hidden[before][None]).logits
    return logits[0]


def gathered(logits: Tensor, targets: Tensor, temperature: float = 1.0) -> Tensor:
    """log softmax(logits / temperature) at `targets`: (N, V), (N,) -> (N,), in float32."""
    scaled = logits.float() if temperature == 1.0 else logits.float() / temperature
    return scaled.gather(-1, targets[:, None]).squeeze(-1) - scaled.logsumexp(dim=-1)


def at_head(model: Any, inputs: Mapping[str, Tensor], choose: Callable[[Tensor], Tensor]) -> Any:
    """The output of a forward pass whose head over the vocabulary is given `choose(states)` alone; `states`
    are the last layer's (B, L, width), and as many dimensions are expected back.

    The head is the widest layer of a small model: logits of prompts and media would fill the memory for
    nothing. Only some models can be told which ones are wanted.
    """
    head = unwrapped(model).get_output_embeddings()
    hook = head.register_forward_pre_hook(lambda _, given: (choose(given[0]),))
    try:
        return model(**{"use_cache": False, **inputs})
    finally:
        hook.remove()


def unwrapped(model: Any) -> Any:
    """The model itself, inside of adapters and of wrappers for several processes."""
    inner = getattr(model, "module", model)
    return inner.get_base_model() if hasattr(inner, "get_base_model") else inner
