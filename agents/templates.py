"""What agents tell the model about its task: templates beside this file, filled for one request."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from eval_anything.prompts import PromptSet, fill
from eval_anything.values import Message, Modality, Request, Text

_SENSED = {"image": "seen", "audio": "heard", "video": "seen in motion"}
_MEDIUM = {"image": "picture", "audio": "sound or piece of music", "video": "short video"}
_NAMED = {
    "text": "words",
    "image": "a picture",
    "audio": "a sound or a piece of music",
    "video": "a short video",
}


def load(*names: str) -> PromptSet:
    return PromptSet(Path(__file__).parent / "prompts", names)


def instruct(prompts: PromptSet, style: str, request: Request, slots: str = "") -> str:
    """The system prompt for `request` in an agent's style ("native", "protocol").

    One medium and nothing else asked for (instruction following): how to write for its tool. A document of
    words and media in turn (interleaved): how to place them. Media required (synergy): which. Otherwise the
    choice is the model's (selection).
    """
    asked = request.output_modalities
    if request.interleaved:
        return fill(prompts[f"{style}_interleaved"], {"slots": slots})
    if len(asked) == 1:
        values = {"medium": _MEDIUM[asked[0]], "sensed": _SENSED[asked[0]], "slots": slots}
        return fill(prompts[f"{style}_one"], values)
    kind = "required" if request.required_modalities else "choice"
    return fill(prompts[f"{style}_{kind}"], {"required": named(request.required_modalities), "slots": slots})


def named(modalities: Iterable[Modality]) -> str:
    """Modalities as people call them: "words, a picture"."""
    return ", ".join(_NAMED[modality] for modality in modalities)


def instructed(request: Request, system: str) -> Request:
    """`request` with `system` before its messages, answered in text.

    A system message that the task brings stays, after ours and in one message with it: many chat templates
    take only one. What users and tools say is never put there.
    """
    messages = list(request.messages)
    parts: tuple[Text, ...] = (Text(system),)
    if messages and messages[0].role == "system":
        own = "\n".join(part.text for part in messages.pop(0).parts if isinstance(part, Text))
        parts = (Text(f"{system}\n\n{own}"),)
    return msgspec.structs.replace(
        request,
        messages=(Message("system", parts), *messages),
        output_modalities=("text",),
        required_modalities=(),
        interleaved=False,
    )
