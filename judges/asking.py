"""Asking a judging model until its reply holds a verdict: the loop that all judges with a model share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Generic, TypeVar

import msgspec

from eval_anything.judge import Case
from eval_anything.run.endpoint import Endpoint
from eval_anything.values import Message, Origin, Request, Response, Score, ScoreState, Usage

V = TypeVar("V")
Attempts = Annotated[int, msgspec.Meta(ge=1)] | None
"""An option: how often a judge without a usable verdict is asked; None leaves it to the protocol."""
Read = Callable[[str], tuple[V | None, str]]
"""A parse rule: the verdict in a reply, or None and why there is none."""


class Asked(msgspec.Struct, Generic[V], frozen=True, kw_only=True):
    """What came of asking: a verdict, or why there is none."""

    verdict: V | None
    state: ScoreState
    """scored, unparsed or judge_error."""
    reason: str = ""
    replies: tuple[str, ...] = ()
    usage: Usage = Usage()


async def ask(
    endpoint: Endpoint,
    case: Case,
    messages: tuple[Message, ...],
    read: Read[V],
    attempts: int,
    keep_all: bool = False,
) -> Asked[V]:
    """Ask up to `attempts` times; each attempt is a draw of its own. A reply without a verdict is not cached,
    unless `keep_all` says that the protocol takes the first reply as it is.
    """
    usage, reason = Usage(), ""
    replies: list[str] = []
    for attempt in range(attempts):
        reply = await endpoint.ask(
            Request(
                messages=messages,
                params=case.rubric.params,
                draw=case.repeat * attempts + attempt,
                origin=Origin(case.task, case.sample.id, case.repeat),
            ),
            accept=lambda r: keep_all or read(r.text)[0] is not None,
        )
        usage += reply.usage
        if reply.state == "error":
            return Asked(
                verdict=None, state="judge_error", reason=fault(reply), replies=tuple(replies), usage=usage
            )
        verdict, reason = read(reply.text)
        replies.append(reply.text)
        if verdict is not None:
            return Asked(verdict=verdict, state="scored", replies=tuple(replies), usage=usage)
    return Asked(
        verdict=None,
        state="unparsed",
        reason=f"{reason}, in {attempts} attempts",
        replies=tuple(replies),
        usage=usage,
    )


def fault(reply: Response) -> str:
    """Why the judging model did not answer."""
    return f"{reply.fault.kind}: {reply.fault.message}" if reply.fault is not None else reply.state


def missing(asked: Asked[Any], judge: str, details: dict[str, Any], stand_in: float | None = None) -> Score:
    """The score where there is no verdict; the replies are kept. `stand_in` is the protocol's number for a
    reply without one; an outage of the judge is never given a number."""
    return Score(
        value=stand_in if asked.state == "unparsed" else None,
        state=asked.state,
        reason=asked.reason,
        judge=judge,
        usage=asked.usage,
        details={"replies": list(asked.replies), **details},
    )
