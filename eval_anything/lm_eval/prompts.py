"""What lm-evaluation-harness asks with, and what we ask with: prompts, turns, stop strings, parameters."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from eval_anything.errors import UsageError
from eval_anything.values import Message, Params, Text

DEFAULT_MAX_TOKENS = 256
"""What lm-evaluation-harness generates where a task does not say how much."""
_MAX_TOKENS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")


class Turns(str):
    """Turns of a conversation where lm-evaluation-harness wants a prompt: JSON, told from a plain prompt by
    its type."""

    __slots__ = ()


def as_turns(history: Sequence[Mapping[str, str]], add_generation_prompt: bool = True) -> Turns:
    """In place of a chat template, which the model's provider has. A conversation that ends with the
    assistant's words is one that the model goes on with, which `add_generation_prompt` only repeats."""
    return Turns(json.dumps([{"role": turn["role"], "content": turn["content"]} for turn in history]))


def messages(context: str) -> tuple[Message, ...]:
    """A prompt as it is, or the turns that it holds.

    Raises UsageError for turns that a task has written on behind: no messages say that.
    """
    if isinstance(context, Turns):
        return tuple(Message(turn["role"], (Text(turn["content"]),)) for turn in json.loads(context))
    if context.startswith('[{"role": "'):
        raise UsageError(
            "the task writes text behind a chat template's, as tasks with several inputs do: it can be asked"
            " without one (apply_chat_template) alone"
        )
    return (Message("user", (Text(context),)),)


def params(arguments: Mapping[str, Any]) -> Params:
    """Decoding parameters from those of a generation: stop strings, the limit, the temperature; others go to
    the model as they are.

    Sampling is what `do_sample` says, or else a temperature above 0.
    """
    left = dict(arguments)
    until = left.pop("until", None) or []
    limits = [left.pop(name, None) for name in _MAX_TOKENS]
    temperature = float(left.pop("temperature", None) or 0.0)
    if left.pop("do_sample", None) is False:
        temperature = 0.0
    if left.get("num_beams") == 1:
        del left["num_beams"]
    return Params(
        temperature=temperature,
        top_p=left.pop("top_p", None),
        top_k=left.pop("top_k", None),
        max_tokens=int(next((n for n in limits if n is not None), DEFAULT_MAX_TOKENS)),
        stop=tuple(stop for stop in ([until] if isinstance(until, str) else until) if stop),
        seed=left.pop("seed", None),
        extra=left,
    )


def cut(text: str, stops: Iterable[str]) -> str:
    """`text` up to the first stop string: servers stop at some of them, and some leave them in."""
    for stop in stops:
        text = text.partition(stop)[0]
    return text
