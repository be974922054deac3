"""Documents of lm-evaluation-harness as samples: its prompts, and what it wants after them."""

from __future__ import annotations

from typing import Any

import msgspec

from eval_anything.lm_eval.prompts import as_turns, messages, params
from eval_anything.values import Message, Params, Reference, Sample


class Asking(msgspec.Struct, frozen=True, kw_only=True):
    """How prompts are written: the options of that name of lm-evaluation-harness."""

    apply_chat_template: bool
    fewshot_as_multiturn: bool
    system_instruction: str | None


class Asked(msgspec.Struct, frozen=True):
    """What the grader must know of a sample's requests; kept in its metadata."""

    doc_id: int
    types: tuple[str, ...]
    """Request types of the document's instances."""
    repeats: int
    """How often each instance is asked; its requests lie side by side."""


def sample(name: str, task: Any, doc_id: int, document: Any, asking: Asking) -> Sample:
    """One document of the task `name`. Documents must come in their order: examples are drawn one after the
    other."""
    instances = _instances(name, task, doc_id, document, asking)
    repeats = int(task.config.repeats or 1)
    chat = asking.apply_chat_template
    asked = [request for instance in instances for request in [_request(instance, chat=chat)] * repeats]
    texts = tuple(continuation for _, continuation in asked)
    generated = [instance.args[1] for instance in instances if instance.request_type == "generate_until"]
    known = Asked(doc_id, tuple(instance.request_type for instance in instances), repeats)
    return Sample(
        id=f"{name}/{doc_id}",
        messages=asked[0][0],
        further=tuple(messages for messages, _ in asked[1:]),
        continuations=texts if any(text is not None for text in texts) else (),
        params=params(generated[0]) if generated else Params(),
        references=_references(task, document),
        metadata=msgspec.to_builtins(known),
        group=name,
    )


def _instances(name: str, task: Any, doc_id: int, document: Any, asking: Asking) -> list[Any]:
    template = as_turns if asking.apply_chat_template else None
    context = task.fewshot_context(
        document,
        num_fewshot=task.config.num_fewshot or 0,
        system_instruction=asking.system_instruction,
        apply_chat_template=asking.apply_chat_template,
        fewshot_as_multiturn=asking.fewshot_as_multiturn,
        chat_template=template,
        gen_prefix=task.doc_to_prefix(document),
    )
    made = task.construct_requests(
        doc=document,
        ctx=context,
        metadata=(name, doc_id, task.config.repeats),
        apply_chat_template=asking.apply_chat_template,
        chat_template=template,
    )
    return sorted(made if isinstance(made, list) else [made], key=lambda instance: instance.idx)


def _request(instance: Any, *, chat: bool) -> tuple[tuple[Message, ...], str | None]:
    """Messages, and the text to be scored after them; a text by itself comes after no messages."""
    match instance.request_type:
        case "loglikelihood_rolling":
            return (), instance.args[0]
        case "loglikelihood":
            return _messages(instance.args[0], chat=chat), instance.args[1]
        case "generate_until":
            return _messages(instance.args[0], chat=chat), None
    raise ValueError(f"lm-evaluation-harness has no requests of type {instance.request_type!r}")


def _messages(context: str, *, chat: bool) -> tuple[Message, ...]:
    return messages(context) if context or not chat else ()


def _references(task: Any, document: Any) -> tuple[Reference, ...]:
    """For the reader; grading does not look at them."""
    if task.OUTPUT_TYPE == "loglikelihood_rolling":
        return ()  # the text itself
    target = task.doc_to_target(document)
    if isinstance(target, int) and task.config.doc_to_choice is not None:
        choices = task.doc_to_choice(document)
        target = choices[target] if 0 <= target < len(choices) else target
    return tuple(Reference(text=str(one)) for one in (target if isinstance(target, list) else [target]))
