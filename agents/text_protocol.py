"""`text-protocol`: one reply in the paper's text form says what to make; the tools then make it.

For models that cannot call tools, and for comparison with the published numbers, which were made so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from eval_anything.agent import Agent
from eval_anything.agents import templates
from eval_anything.agents.protocol import MARKERS, Slots, parse_slots
from eval_anything.agents.toolbox import Asked, Toolbox
from eval_anything.agents.transcript import Transcript
from eval_anything.values import Message, Modality, Request, Response, Text, ToolCall

if TYPE_CHECKING:
    from eval_anything.run.endpoint import Endpoint
    from eval_anything.tool import MediaTool

_MOST_CALLS = len(MARKERS)


class TextProtocolOptions(msgspec.Struct, frozen=True, kw_only=True):
    timeout_s: Annotated[float, msgspec.Meta(gt=0)] = 600.0
    """Seconds that a whole answer may take, tools included."""
    max_prompt_chars: Annotated[int, msgspec.Meta(ge=1)] = 2000
    """Longer instructions to a tool are cut, and the cut is noted."""


class TextProtocolAgent(Agent):
    """Reads `[[response]]`, `[[image_instruction]]` and so on from one reply, and has the tools make them."""

    name = "text-protocol"
    summary = "one reply with an instruction for each tool, in the paper's text form"
    Options = TextProtocolOptions

    def __init__(self, options: TextProtocolOptions) -> None:
        super().__init__(options)
        self._prompts = templates.load("protocol_choice", "protocol_required", "protocol_one", "slots")

    def identity(self) -> dict[str, Any]:
        return {"prompts": self._prompts.digest()}

    async def respond(
        self, request: Request, model: "Endpoint", tools: Mapping[Modality, "MediaTool"]
    ) -> Response:
        if all(modality == "text" for modality in request.output_modalities):
            return await model.ask(request)
        toolbox = Toolbox(request, tools, _MOST_CALLS)
        transcript = Transcript(request, toolbox)
        slots, calls, stopped = Slots(), [], ""
        try:
            async with asyncio.timeout(self.options.timeout_s):
                reply = await model.ask(templates.instructed(request, self._system(request)))
                transcript.heard(reply)
                slots = _read(reply, request)
                calls = self._calls(slots, request, transcript)
                transcript.trace.append(Message("assistant", (*reply.parts, *map(_shown, calls))))
                await toolbox.make(calls)
        except TimeoutError:
            stopped = "timeout"
        for call in calls:
            transcript.trace.append(Message("tool", (toolbox.result(call.call_id),)))
        return transcript.response((Text(slots.text),) if slots.text else (), slots.chosen, stopped)

    def _system(self, request: Request) -> str:
        lines = self._prompts["slots"].splitlines()
        asked = [MARKERS[modality] for modality in request.output_modalities]
        slots = "\n".join(line for line in lines if line.startswith(tuple(asked)))
        return templates.instruct(self._prompts, "protocol", request, slots)

    def _calls(self, slots: Slots, request: Request, transcript: Transcript) -> list[Asked]:
        """What the tools are to make. A slot that was not offered is noted: it was not there to be chosen."""
        transcript.note(slots.notes)
        calls, most = [], self.options.max_prompt_chars
        for modality in slots.chosen:
            if modality == "text":
                continue
            if modality not in request.output_modalities:
                transcript.note([f"{MARKERS[modality]} was filled and not offered"])
                continue
            if len(slots[modality]) > most:
                transcript.note([f"{MARKERS[modality]} was cut to {most} characters"])
            calls.append(Asked(f"slot_{modality}", modality, slots[modality][:most]))
        return calls


def _read(reply: Response, request: Request) -> Slots:
    """The slots of a reply. One that is no answer has text alone; one without markers, where nothing but an
    instruction was asked for, is that instruction."""
    if reply.state not in ("ok", "truncated"):
        return Slots(text=reply.text)
    slots = parse_slots(reply.text)
    asked = request.output_modalities
    if not slots.marked and len(asked) == 1:
        return msgspec.structs.replace(slots, **{"text": "", asked[0]: slots.text})
    return slots


def _shown(call: Asked) -> ToolCall:
    """For the trace: a slot as the tool call that it stands for."""
    arguments = msgspec.json.encode({"prompt": call.prompt}).decode()
    return ToolCall(call.call_id, f"generate_{call.modality}", arguments)
