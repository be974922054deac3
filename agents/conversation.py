"""One answer of the native agent: turns with the model, its tool calls, and the limits on both."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import msgspec

from eval_anything.agents import templates
from eval_anything.agents.toolbox import Asked, Toolbox
from eval_anything.agents.transcript import Transcript
from eval_anything.prompts import fill
from eval_anything.suggest import unknown
from eval_anything.values import (
    Image,
    Message,
    Modality,
    Part,
    Request,
    Response,
    Text,
    ToolCall,
    ToolResult,
    part_modality,
)

if TYPE_CHECKING:
    from eval_anything.run.endpoint import Endpoint
    from eval_anything.tool import MediaTool

_LOOP = 3
"""Asking for the same so often ends the answer: the model does not take in what it is told."""
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What servers accept as the name of a function in a conversation that is sent back to them."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    max_turns: Annotated[int, msgspec.Meta(ge=1)] = 8
    """Requests to the model for one answer."""
    max_calls: Annotated[int, msgspec.Meta(ge=1)] = 12
    """Tool calls in one answer, those with wrong arguments included."""
    timeout_s: Annotated[float, msgspec.Meta(gt=0)] = 600.0
    """Seconds that a whole answer may take, tools included."""
    max_prompt_chars: Annotated[int, msgspec.Meta(ge=1)] = 2000
    """Longer prompts to a tool are refused, and the model is told."""


class _Arguments(msgspec.Struct, frozen=True):
    prompt: str


class Conversation:
    """Turns with one model until it is done, or a limit is reached."""

    def __init__(
        self, request: Request, model: "Endpoint", tools: Mapping[Modality, "MediaTool"], limits: Limits
    ) -> None:
        """`request`: as the task asks it; `model` is asked in text and offered `tools`."""
        self._request = request
        self._model = model
        self._tools = {tool.name: tool for tool in tools.values()}
        self._limits = limits
        self._toolbox = Toolbox(request, tools, limits.max_calls)
        self._transcript = Transcript(request, self._toolbox)
        self._messages: list[Message] = []
        self._seen: Counter[tuple[str, str]] = Counter()
        self._open: dict[str, str] = {}
        """Calls of this turn whose results the model has not been given: id, and what was wrong with it."""
        self._ids = 0
        self._reminded = False

    async def answer(self, system: str, reminder: str) -> Response:
        """`reminder`: template of the one message that names what is `{missing}`."""
        turn = msgspec.structs.replace(
            templates.instructed(self._request, system),
            tools=tuple(tool.declaration() for tool in self._tools.values()),
        )
        self._messages = list(turn.messages)
        try:
            async with asyncio.timeout(self._limits.timeout_s):
                stopped = await self._talk(turn, reminder)
        except TimeoutError:
            self._give_results()
            stopped = "timeout"
        return self._response(stopped)

    async def _talk(self, turn: Request, reminder: str) -> str:
        """Until the model is done; returns the limit that was reached before that, or nothing."""
        for left in reversed(range(self._limits.max_turns)):
            reply = await self._model.ask(msgspec.structs.replace(turn, messages=tuple(self._messages)))
            self._transcript.heard(reply)
            calls = self._hear(reply)
            if reply.state not in ("ok", "truncated"):
                return ""
            if calls:
                stopped = await self._make(calls)
                self._give_results()
                if stopped:
                    return stopped
            elif not left or not self._remind(reply, reminder):
                return ""
        return "max_turns"

    def _hear(self, reply: Response) -> list[ToolCall]:
        """Add the model's turn to the conversation; returns its calls, each with an id of its own."""
        calls: list[ToolCall] = []
        rest = []
        for part in reply.parts:
            if isinstance(part, ToolCall):
                self._ids += 1
                calls.append(ToolCall(f"call_{self._ids}", _writable(part.name), _writable(part.arguments)))
            else:
                rest.append(part)
        self._transcript.trace.append(Message("assistant", (*rest, *calls)))
        self._messages.append(Message("assistant", (*rest, *map(_sendable, calls))))
        return calls

    async def _make(self, calls: Sequence[ToolCall]) -> str:
        """Make what can be made of `calls`, all at once; returns the limit that was reached, or nothing."""
        asked: list[Asked] = []
        stopped = ""
        before = self._ids - len(calls)
        for number, call in enumerate(calls, before + 1):
            problem = stopped and f"not made: the answer was ended ({stopped})"
            if not problem and number > self._limits.max_calls:
                stopped, problem = "max_calls", f"not made: {self._limits.max_calls} calls are the most"
            elif not problem and self._again(call) >= _LOOP:
                stopped, problem = "loop", "not made: the same call again and again"
            if not problem:
                found = self._examine(call)
                if isinstance(found, Asked):
                    asked.append(found)
                else:
                    problem = found
            self._open[call.id] = problem
        await self._toolbox.make(asked)
        return stopped

    def _again(self, call: ToolCall) -> int:
        """How often this call has been asked for, counting this time."""
        known = _parsed(call.arguments)
        key = (call.name, known.prompt if isinstance(known, _Arguments) else call.arguments)
        self._seen[key] += 1
        return self._seen[key]

    def _examine(self, call: ToolCall) -> Asked | str:
        """The call as it can be made, or what is wrong with it, in words for the model."""
        tool = self._tools.get(call.name)
        if tool is None:
            return unknown("tool", call.name[:80], self._tools)
        known = _parsed(call.arguments)
        if isinstance(known, str):
            return f'{call.name}: {known}; expected an object like {{"prompt": "..."}}'
        prompt, most = known.prompt.strip(), self._limits.max_prompt_chars
        if not prompt:
            return f"{call.name}: the prompt is empty"
        if len(prompt) > most:
            return f"{call.name}: the prompt has {len(prompt)} characters; {most} are the most"
        return Asked(call.id, tool.modality, prompt)

    def _give_results(self) -> None:
        """A tool message for each call of this turn, in their order."""
        for call_id, problem in self._open.items():
            wrong = ToolResult(call_id, error=problem, wrong=True)
            result = wrong if problem else self._toolbox.result(call_id)
            self._transcript.trace.append(Message("tool", (result,)))
            self._messages.append(Message("tool", (self._takeable(result),)))
        self._open.clear()

    def _takeable(self, result: ToolResult) -> ToolResult:
        """`result` with only those media that the model can take."""
        capabilities = self._model.capabilities()
        allowed = set(capabilities.inputs)
        if capabilities.max_images is not None and self._images() >= capabilities.max_images:
            allowed.discard("image")
        kept = tuple(
            part for part in result.parts if isinstance(part, Text) or part_modality(part) in allowed
        )
        return msgspec.structs.replace(result, parts=kept)

    def _images(self) -> int:
        flat = [part for message in self._messages for part in message.parts]
        flat += [inner for part in flat if isinstance(part, ToolResult) for inner in part.parts]
        return sum(isinstance(part, Image) for part in flat)

    def _remind(self, reply: Response, reminder: str) -> bool:
        """Ask once for what is required and not there; False where nothing is, or it has been asked for."""
        held = self._toolbox.modalities() | set(reply.modalities)
        missing = [m for m in self._request.required_modalities if m not in held]
        if self._reminded or not missing:
            return False
        self._reminded = True
        told = fill(reminder, {"missing": templates.named(missing)})
        self._messages.append(Message("user", (Text(told),)))
        self._transcript.trace.append(self._messages[-1])
        self._transcript.note([f"the model was reminded of: {', '.join(missing)}"])
        return True

    def _response(self, stopped: str) -> Response:
        last = self._transcript.last
        said = last.parts if last is not None else ()
        parts = self._document() if self._request.interleaved else [*said, *self._toolbox.media()]
        own = Response(parts=tuple(parts)).modalities
        return self._transcript.response(parts, {*own, *self._toolbox.asked_for()}, stopped)

    def _document(self) -> list[Part]:
        """What the model said and made, turn by turn; each medium where it was called for."""
        turns = [message.parts for message in self._transcript.trace if message.role == "assistant"]
        found: list[Part] = []
        for part in (part for parts in turns for part in parts):
            if isinstance(part, ToolCall):
                found += self._toolbox.made(part.id)
            elif not isinstance(part, Text) or part.text.strip():
                found.append(part)
        return found


def _parsed(arguments: str) -> _Arguments | str:
    """The arguments of a call, or what is wrong with them."""
    try:
        return msgspec.json.decode(arguments, type=_Arguments)
    except msgspec.ValidationError as fault:
        return f"wrong arguments: {fault}"
    except (msgspec.DecodeError, RecursionError) as fault:
        return f"the arguments are not JSON: {fault}"


def _sendable(call: ToolCall) -> ToolCall:
    """`call` as servers take it back: some read the arguments as JSON and refuse the whole conversation."""
    name = call.name if _NAME.fullmatch(call.name) else "unknown_tool"
    try:
        readable = isinstance(msgspec.json.decode(call.arguments), dict)
    except (msgspec.DecodeError, RecursionError):
        readable = False
    return ToolCall(call.id, name, call.arguments if readable else "{}")


def _writable(text: str) -> str:
    """Without lone surrogates, which no file and no server can be sent."""
    return text.encode("utf-8", "replace").decode()
