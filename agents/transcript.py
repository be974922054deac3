"""What one answer of an agent came to: its turns, its usage, and the response made of them."""

from __future__ import annotations

import time
from collections.abc import Iterable

from eval_anything.agents.toolbox import Toolbox
from eval_anything.values import (
    MODALITIES,
    Fault,
    Message,
    Modality,
    Part,
    Request,
    Response,
    State,
    Usage,
    part_modality,
)


class Transcript:
    """Collects the turns of one answer."""

    def __init__(self, request: Request, toolbox: Toolbox, *, each: bool = False) -> None:
        """`each`: every medium that was asked for belongs to the answer, and none is asked for again; then
        one that a tool failed to make is its outage, even where it made others."""
        self._each = each
        self.trace: list[Message] = []
        self._request = request
        self._toolbox = toolbox
        self._began = time.monotonic()
        self._replies: list[Response] = []
        self._notes: dict[str, None] = {}

    @property
    def last(self) -> Response | None:
        """The model's latest reply."""
        return self._replies[-1] if self._replies else None

    def heard(self, reply: Response) -> None:
        self._replies.append(reply)
        self.note(reply.notes)

    def note(self, notes: Iterable[str]) -> None:
        self._notes.update(dict.fromkeys(notes))

    def response(self, parts: Iterable[Part], selected: Iterable[Modality], stopped: str = "") -> Response:
        """The answer: `parts`, the tools' media among them. `stopped` names the limit that ended it, if any.

        Only the modalities that the task asks for count; what a model gives beside them is in the trace.
        """
        self.note(self._toolbox.notes())
        state, fault = self._state(stopped)
        asked = self._request.output_modalities
        whole = [part for part in parts if part_modality(part) in asked]
        last = self.last
        tool_usage = self._toolbox.usage()
        return Response(
            parts=tuple(whole),
            state=state,
            fault=fault,
            usage=sum((reply.usage for reply in self._replies), Usage()),
            finish_reason=stopped or (last.finish_reason if last is not None else ""),
            model=last.model if last is not None else "",
            system_fingerprint=last.system_fingerprint if last is not None else "",
            seconds=time.monotonic() - self._began,
            cached=not tool_usage.requests and all(reply.cached for reply in self._replies),
            selected=tuple(m for m in MODALITIES if m in set(selected) & set(asked)),
            trace=tuple(self.trace),
            tool_usage=tool_usage,
            notes=tuple(self._notes),
        )

    def _state(self, stopped: str) -> tuple[State, Fault | None]:
        """How the answer ended.

        A medium that the task requires and that the tool failed to make is the tool's outage: were it left to
        the judge, the model would be marked down for it.
        """
        last = self.last
        if last is None:
            return "error", Fault("transport", "the model gave no answer before the agent's time limit")
        if last.state in ("error", "skipped", "refused"):
            return last.state, last.fault
        made = self._toolbox.modalities()
        for modality, error in self._toolbox.failures().items():
            lacking = self._each or modality not in made
            if modality in self._request.required_modalities and lacking:
                return "error", Fault("tool", f"generate_{modality}: {error}")
        return ("truncated" if stopped else last.state), None
