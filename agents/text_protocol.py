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
from eval_anything.agents.protocol import MARKERS, Document, Slot, Slots, parse_document, parse_slots
from eval_anything.agents.toolbox import Asked, Toolbox
from eval_anything.agents.transcript import Transcript
from eval_anything.values import Message, Modality, Part, Request, Response, Text, ToolCall

if TYPE_CHECKING:
    from eval_anything.run.endpoint import Endpoint
    from eval_anything.tool import MediaTool

_PROMPTS = ("protocol_choice", "protocol_required", "protocol_one", "protocol_interleaved", "slots")
_MOST_CALLS = len(MARKERS)
_MOST_OF_DOCUMENT = 16
"""Media of a document of words and media in turn, at most."""


class TextProtocolOptions(msgspec.Struct, frozen=True, kw_only=True):
    timeout_s: Annotated[float, msgspec.Meta(gt=0)] = 600.0
    """Seconds that a whole answer may take, tools included."""
    max_prompt_chars: Annotated[int, msgspec.Meta(ge=1)] = 2000
    """Longer instructions to a tool are cut, and the cut is noted."""


class TextProtocolAgent(Agent):
    """Reads `[[response]]`, `[[image_instruction]]` and so on from one reply, and has the tools make them."""

    name = "text-protocol"
    summary = "one reply with an instruction for each tool, in the paper's text form"
    asks_once = True
    Options = TextProtocolOptions

    def __init__(self, options: TextProtocolOptions) -> None:
        super().__init__(options)
        self._prompts = templates.load(*_PROMPTS)

    def identity(self) -> dict[str, Any]:
        return {"prompts": self._prompts.digest()}

    async def respond(
        self, request: Request, model: "Endpoint", tools: Mapping[Modality, "MediaTool"]
    ) -> Response:
        if all(modality == "text" for modality in request.output_modalities):
            return await model.ask(request)
        toolbox = Toolbox(request, tools, _MOST_OF_DOCUMENT if request.interleaved else _MOST_CALLS)
        transcript = Transcript(request, toolbox, each=request.interleaved)
        pieces: list[Text | Asked] = []
        calls: list[Asked] = []
        stopped = ""
        try:
            async with asyncio.timeout(self.options.timeout_s):
                reply = await model.ask(templates.instructed(request, self.system(request)))
                transcript.heard(reply)
                pieces = self._pieces(reply, request, transcript)
                calls = [piece for piece in pieces if isinstance(piece, Asked)]
                transcript.trace.append(Message("assistant", (*reply.parts, *map(_shown, calls))))
                await toolbox.make(calls)
        except TimeoutError:
            stopped = "timeout"
        for call in calls:
            transcript.trace.append(Message("tool", (toolbox.result(call.call_id),)))
        parts: list[Part] = []
        for piece in pieces:
            parts += toolbox.made(piece.call_id) if isinstance(piece, Asked) else [piece]
        chosen: set[Modality] = {p.modality if isinstance(p, Asked) else "text" for p in pieces}
        return transcript.response(parts, chosen, stopped)

    def system(self, request: Request) -> str:
        """The system prompt for `request`: its form has a slot for each modality that is asked for."""
        lines = self._prompts["slots"].splitlines()
        asked = [MARKERS[modality] for modality in request.output_modalities]
        slots = "\n".join(line for line in lines if line.startswith(tuple(asked)))
        return templates.instruct(self._prompts, "protocol", request, slots)

    def _pieces(self, reply: Response, request: Request, transcript: Transcript) -> list[Text | Asked]:
        """Words, and what the tools are to make, in the order of the answer. A slot that was not offered is
        noted: it was not there to be chosen."""
        document = _document(reply, request)
        transcript.note(document.notes)
        pieces: list[Text | Asked] = []
        most, made = self.options.max_prompt_chars, 0
        for modality, content in ((slot.modality, slot.content) for slot in document.slots):
            if modality == "text":
                pieces.append(Text(content))
            elif modality not in request.output_modalities:
                transcript.note([f"{MARKERS[modality]} was filled and not offered"])
            elif made == _MOST_OF_DOCUMENT:
                transcript.note([f"no more than {_MOST_OF_DOCUMENT} media were made"])
            else:
                if len(content) > most:
                    transcript.note([f"{MARKERS[modality]} was cut to {most} characters"])
                made += 1
                number = f"_{made}" if request.interleaved else ""
                pieces.append(Asked(f"slot_{modality}{number}", modality, content[:most]))
        return pieces


def _document(reply: Response, request: Request) -> Document:
    """What a reply says in its slots: in its own order where words and media take turns, else each slot once,
    words first. One that is no answer has text alone."""
    if reply.state not in ("ok", "truncated"):
        return Document(slots=(Slot("text", reply.text),) if reply.text else ())
    if request.interleaved:
        return parse_document(reply.text)
    slots = _read(reply.text, request)
    return Document(slots=tuple(Slot(m, slots[m]) for m in slots.chosen), notes=slots.notes)


def _read(text: str, request: Request) -> Slots:
    """A reply without markers, where nothing but an instruction was asked for, is that instruction."""
    slots = parse_slots(text)
    asked = request.output_modalities
    if not slots.marked and len(asked) == 1:
        return msgspec.structs.replace(slots, **{"text": "", asked[0]: slots.text})
    return slots


def _shown(call: Asked) -> ToolCall:
    """For the trace: a slot as the tool call that it stands for."""
    arguments = msgspec.json.encode({"prompt": call.prompt}).decode()
    return ToolCall(call.call_id, f"generate_{call.modality}", arguments)
