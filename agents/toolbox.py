"""The media tools of one answer: its calls numbered, made at the same time, and remembered."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from eval_anything.errors import EvalAnythingError
from eval_anything.tool import Made, MediaTool
from eval_anything.values import (
    MODALITIES,
    Artifact,
    MediaPart,
    Modality,
    Request,
    Text,
    ToolResult,
    Usage,
    part_modality,
)


class Asked(msgspec.Struct, frozen=True):
    """One call of a tool, with arguments that are in order."""

    call_id: str
    modality: Modality
    prompt: str


class Toolbox:
    """Makes what an answer asks for. A tool that fails is remembered, and never raises."""

    def __init__(self, request: Request, tools: Mapping[Modality, MediaTool], most: int) -> None:
        """`most`: calls in one answer at most; answers to the same request (`draw`) then share no number."""
        self._request = request
        self._tools = tools
        self._first = request.draw * most
        self._asked: list[Asked] = []
        self._made: dict[str, Made] = {}

    async def make(self, asked: Sequence[Asked]) -> None:
        """All of `asked` at once. What is done is kept also where this is cancelled.

        Raises what `Endpoint.ask` raises.
        """
        number = self._first + len(self._asked)
        self._asked += asked
        try:
            async with asyncio.TaskGroup() as group:
                for place, one in enumerate(asked):
                    group.create_task(self._make(one, number + place))
        except ExceptionGroup as faults:
            raise _first(faults) from None

    async def _make(self, asked: Asked, number: int) -> None:
        tool = self._tools.get(asked.modality)
        if tool is None:
            self._made[asked.call_id] = Made(error=f"there is no tool that makes {asked.modality}")
            return
        request = self._request
        self._made[asked.call_id] = await tool.make(
            asked.prompt, origin=request.origin, number=number, seed=tool_seed(request.params.seed, number)
        )

    def result(self, call_id: str) -> ToolResult:
        """What came of a call; an error where it has not come to an end."""
        made = self._made.get(call_id)
        if made is None:
            return ToolResult(call_id, error="no result before the time limit of the answer")
        if made.part is None:
            return ToolResult(call_id, error=made.error, usage=made.usage)
        return ToolResult(call_id, (Text(_told(made.part.artifact)), made.part), usage=made.usage)

    def made(self, call_id: str) -> list[MediaPart]:
        """The medium that a call came to, if it did."""
        one = self._made.get(call_id)
        return [one.part] if one is not None and one.part is not None else []

    def media(self) -> tuple[MediaPart, ...]:
        """All that was made, in the order in which it was asked for."""
        return tuple(part for asked in self._asked for part in self.made(asked.call_id))

    def modalities(self) -> set[Modality]:
        """Of what was made."""
        return {modality for part in self.media() if (modality := part_modality(part)) is not None}

    def asked_for(self) -> set[Modality]:
        """Of what was asked for, made or not."""
        return {asked.modality for asked in self._asked}

    def failures(self) -> dict[Modality, str]:
        """The last error for each modality in which a call failed."""
        results = [(asked.modality, self.result(asked.call_id).error) for asked in self._asked]
        return {modality: error for modality, error in results if error is not None}

    def usage(self) -> Usage:
        return sum((made.usage for made in self._made.values()), Usage())

    def notes(self) -> list[str]:
        """What a reader of the answer must know: failures, and media that are several of one kind."""
        notes = [f"generate_{modality} failed: {error}" for modality, error in self.failures().items()]
        counts = Counter(part_modality(part) for part in self.media())
        several = [f"{counts[m]} media of one kind were made: {m}" for m in MODALITIES if counts[m] > 1]
        return notes + ([] if self._request.interleaved else several)


def tool_seed(seed: int | None, number: int) -> int | None:
    """The seed of the tool call with `number`, from that of the answer; 31 bits, as servers take it."""
    if seed is None:
        return None
    digest = hashlib.sha256(f"{seed}\0{number}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def _told(artifact: Artifact) -> str:
    """A medium in words, for models that cannot take it: its type, size and identity."""
    known = [artifact.mime]
    if artifact.width and artifact.height:
        known.append(f"{artifact.width}x{artifact.height}")
    if artifact.duration_s is not None:
        known.append(f"{artifact.duration_s:.1f} s")
    return f"made: {' '.join(known)}, id {artifact.sha256[:12]}"


def _first(faults: ExceptionGroup[Exception]) -> Exception:
    """A stopped run is explained by one fault; those that the harness raised on purpose go first."""
    flat: list[Exception] = []
    for fault in faults.exceptions:
        flat.append(_first(fault) if isinstance(fault, ExceptionGroup) else fault)
    return next((fault for fault in flat if isinstance(fault, EvalAnythingError)), flat[0])
