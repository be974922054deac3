"""What came back: every request ends in exactly one state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from eval_anything.values.message import Message, Part, Text, part_modality
from eval_anything.values.modality import MODALITIES, Modality
from eval_anything.values.usage import Usage

State = Literal["ok", "refused", "truncated", "error", "skipped"]
"""ok: a whole answer. refused: declined by the model's API or a content filter. truncated: cut at the
token limit. error: no answer because something failed. skipped: not asked (a needed modality or a
recording is missing)."""


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why there is no answer."""

    kind: str
    """transport, rate_limit, server, garbage, bad_request, auth, media, model, missing; tool: a medium that
    the task requires, and that an agent's tool failed to make."""
    message: str


class Likelihood(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How probable a given text is to a model, after what it was given."""

    logprob: float
    """Sum over the text's tokens of the natural logarithm of each one's probability after those before it."""
    greedy: bool
    """Whether each of its tokens is the most probable one: whether greedy decoding would give it."""
    tokens: int


class Response(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    parts: tuple[Part, ...] = ()
    state: State = "ok"
    fault: Fault | None = None
    """Set when the state is error or skipped."""
    usage: Usage = Usage()
    finish_reason: str = ""
    """The provider's own word for why it stopped."""
    model: str = ""
    """The model name that the server reported, where it did."""
    system_fingerprint: str = ""
    """The server's mark of the build that answered, where it told one."""
    reply_id: str = ""
    """The id that the server gave its reply, where it did: what its operators can look it up by."""
    seconds: float = 0.0
    """From sending the request to having the whole answer, the last attempt only."""
    cached: bool = False
    selected: tuple[Modality, ...] = ()
    """The modalities that the model chose to answer in, also where a tool then failed to make one; empty
    where no agent was at work: then the parts tell."""
    trace: tuple[Message, ...] = ()
    """What an agent's turns were: the model's messages, tool calls and their results, in order."""
    tool_usage: Usage = Usage()
    """What the tools consumed; `usage` is the model's own."""
    notes: tuple[str, ...] = ()
    """Changes made on the way, such as a media conversion that the model's contract needed."""
    likelihood: Likelihood | None = None
    """Of the text that the request gave to be scored; there are no parts then."""
    answers: tuple[Response, ...] = ()
    """Of a sample that asks several requests: one answer for each, in their order; `together` says what the
    other fields then are."""

    @property
    def text(self) -> str:
        """The answer's text: text parts joined by newlines, without reasoning."""
        return "\n".join(p.text for p in self.parts if isinstance(p, Text))

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """In which modalities the answer was meant to be, in the order text, image, audio, video."""
        if self.selected:
            return tuple(m for m in MODALITIES if m in self.selected)
        held = {part_modality(p) for p in self.parts if not (isinstance(p, Text) and not p.text.strip())}
        return tuple(m for m in MODALITIES if m in held)

    @property
    def answered(self) -> bool:
        """Whether there is something that a judge can look at."""
        return self.state in ("ok", "truncated") or (self.state == "refused" and bool(self.parts))


_WORST_FIRST: tuple[State, ...] = ("error", "skipped", "refused", "truncated", "ok")


def together(answers: Sequence[Response]) -> Response:
    """The answers to all requests of one sample (at least one) as one response.

    It has all their parts, and the worst of their states (error, skipped, refused, truncated, ok) with the
    fault and the finish reason of the first answer in it. What they consumed is summed.
    """
    worst = min(answers, key=lambda answer: _WORST_FIRST.index(answer.state))
    chosen = {modality for answer in answers for modality in answer.selected}
    return Response(
        parts=tuple(part for answer in answers for part in answer.parts),
        state=worst.state,
        fault=worst.fault,
        usage=sum((answer.usage for answer in answers), Usage()),
        finish_reason=worst.finish_reason,
        model=next((answer.model for answer in answers if answer.model), ""),
        system_fingerprint=next((a.system_fingerprint for a in answers if a.system_fingerprint), ""),
        seconds=sum(answer.seconds for answer in answers if not answer.cached),
        cached=all(answer.cached for answer in answers),
        selected=tuple(modality for modality in MODALITIES if modality in chosen),
        trace=tuple(message for answer in answers for message in answer.trace),
        tool_usage=sum((answer.tool_usage for answer in answers), Usage()),
        notes=tuple(dict.fromkeys(note for answer in answers for note in answer.notes)),
        answers=tuple(answers),
    )
