"""The text form of an agent's answer: `[[response]]: ...`, `[[image_instruction]]: ...` and so on.

The form is that of the paper's agents (Align Anything, arXiv 2412.15838, modality selection). Its published
reader cuts the reply at fixed markers: it loses text after a second colon, takes a closing tag after "None"
for an instruction, turns "None" into "Non" where the last marker is missing, and fails on slots in another
order. This one takes replies as models write them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from eval_anything.models.reasoning import split_reasoning
from eval_anything.values import MODALITIES, Modality

MARKERS: Final[dict[Modality, str]] = {
    "text": "[[response]]:",
    "image": "[[image_instruction]]:",
    "audio": "[[audio_instruction]]:",
    "video": "[[video_instruction]]:",
}

_MODALITY_OF: Final[dict[str, Modality]] = {
    "response": "text",
    "image": "image",
    "audio": "audio",
    "video": "video",
}
_NAME = re.compile(
    r"(\[{1,2})[ \t]*(?:(response)|(image|audio|video)\\?[_ -]?instruction)[ \t]*(\]{0,2})", re.IGNORECASE
)
_TAG = re.compile(r"\[{1,2}[ \t]*(?:/[ \t]*)?output\\?[_ -]?format[ \t]*\]{1,2}", re.IGNORECASE)
_LINE_LEAD = re.compile(r"[ \t]*(?:(?:[-*+>#]{1,6}|\d{1,3}[.)])[ \t]+)?")
"""A list item's, quotation's or heading's sign before a marker."""
_COLON = re.compile(r"[ \t]*[:\uff1a]+")
"""One or more of it, in full width too, as models write it that answer in Chinese or Japanese."""
_EMPHASIS = "*_`"
_LOOK_BACK = 40
"""Characters before a marker that can belong to it."""
_UNUSED = frozenset({"", "none", "n/a", "n.a", "null", "\u65e0", "\u7121"})
"""The last two: "none" in Chinese."""
_AROUND_UNUSED = " \t\n\r\f\v.,;:!*_`\"'()[]<>-\u2013\u2014\u2026\u3002\uff08\uff09"
_FENCE = "```"
_UNMARKED = "no markers in the reply"


class Slots(msgspec.Struct, frozen=True, kw_only=True):
    """What a reply holds for each modality; empty where the slot is not there or says that it is unused."""

    text: str = ""
    image: str = ""
    audio: str = ""
    video: str = ""
    marked: bool = True
    """Whether there was any marker; without one the whole reply is the text."""
    notes: tuple[str, ...] = ()
    """What was read otherwise than it was written."""

    def __getitem__(self, modality: Modality) -> str:
        return str(getattr(self, modality))

    @property
    def chosen(self) -> tuple[Modality, ...]:
        return tuple(m for m in MODALITIES if self[m])


class Slot(msgspec.Struct, frozen=True):
    """One slot of a reply that says something."""

    modality: Modality
    content: str


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """All slots of a reply in order, those that are there again as well."""

    slots: tuple[Slot, ...] = ()
    notes: tuple[str, ...] = ()


class _Marker(msgspec.Struct, frozen=True):
    modality: Modality | None
    """None: a tag of the block, which only ends the slot before it."""
    start: int
    end: int
    emphasis: str = ""
    """Emphasis that began before the marker and was not closed behind it."""
    unclosed: bool = False


def used(text: str) -> bool:
    """Whether the content of a slot says anything but "none"."""
    return text.strip().strip(_AROUND_UNUSED).lower() not in _UNUSED


def parse_slots(text: str) -> Slots:
    """The slots of a reply, whatever its form; never raises. Thinking at its head is not read."""
    document = parse_document(text)
    if _UNMARKED in document.notes:
        whole = document.slots[0].content if document.slots else ""
        return Slots(text=whole, marked=False, notes=document.notes)
    held: dict[Modality, str] = {}
    notes = []
    for slot in document.slots:
        if slot.modality in held:
            notes.append(f"{MARKERS[slot.modality]} was there again; the first one counts")
        else:
            held[slot.modality] = slot.content
    notes += document.notes
    return Slots(
        text=held.get("text", ""),
        image=held.get("image", ""),
        audio=held.get("audio", ""),
        video=held.get("video", ""),
        notes=tuple(dict.fromkeys(notes)),
    )


def parse_document(text: str) -> Document:
    """Every slot of a reply in its order; never raises. A reply without markers is text."""
    answer = split_reasoning(text)[1].replace("\r\n", "\n")
    markers = list(_markers(answer))
    if all(marker.modality is None for marker in markers):
        whole = _TAG.sub("", answer).strip()
        return Document(slots=(Slot("text", whole),) if used(whole) else (), notes=(_UNMARKED,))
    lead = answer[: markers[0].start]
    ends = [marker.start for marker in markers[1:]] + [len(answer)]
    slots = [
        Slot(marker.modality, _content(answer[marker.end : end], marker, fenced=_open_fence(lead)))
        for marker, end in zip(markers, ends, strict=True)
        if marker.modality is not None
    ]
    said_before = any(used(line) for line in lead.splitlines() if not line.lstrip().startswith(_FENCE))
    return Document(
        slots=tuple(slot for slot in slots if used(slot.content)),
        notes=("words before the first marker were left out",) if said_before else (),
    )


def _markers(text: str) -> Iterator[_Marker]:
    """Markers and tags of the block, in order."""
    found = [_Marker(None, tag.start(), tag.end()) for tag in _TAG.finditer(text)]
    found += [marker for name in _NAME.finditer(text) if (marker := _marker(text, name)) is not None]
    yield from sorted(found, key=lambda marker: marker.start)


def _marker(text: str, name: re.Match[str]) -> _Marker | None:
    """The marker around `name` with the colon and the Markdown that belong to it, if it is one.

    In double brackets (on one side at least) and with a colon it is one anywhere; with single brackets or
    without the colon, only where a line begins: elsewhere they may be the answer's own words.
    """
    opened, closed = len(name[1]), len(name[4])
    modality = _MODALITY_OF[(name[2] or name[3]).lower()]
    start, emphasis, begins_line = _before(text, name.start())
    end = name.end()
    if emphasis and text.startswith(emphasis, end):
        end += len(emphasis)
        emphasis = ""
    colon = _COLON.match(text, end)
    if colon is not None:
        end = colon.end()
        if emphasis and text.startswith(emphasis, end):
            end += len(emphasis)
            emphasis = ""
    double = opened == 2 or closed == 2
    if double and colon is not None:
        return _Marker(modality, start, end, emphasis, unclosed=closed == 0)
    if begins_line and closed and (colon is not None or opened == closed == 2):
        return _Marker(modality, start, end, emphasis)
    return None


def _before(text: str, place: int) -> tuple[int, str, bool]:
    """Where a marker at `place` begins with what Markdown has before it; its emphasis; whether it begins its
    line."""
    since = max(0, place - _LOOK_BACK)
    line = text.rfind("\n", since, place) + 1 or (0 if since == 0 else -1)
    near = text[max(line, since) : place]
    emphasis = near[len(near.rstrip(_EMPHASIS)) :]
    start = place - len(emphasis)
    begins_line = line >= 0 and _LINE_LEAD.fullmatch(text, line, start) is not None
    return (line if begins_line else start), emphasis, begins_line


def _content(raw: str, marker: _Marker, *, fenced: bool) -> str:
    text = raw.strip()
    if fenced:
        text = _until_fence(text)
    if marker.emphasis:
        text = text.removesuffix(marker.emphasis).rstrip()
    if marker.unclosed:
        text = text.removesuffix("]").removesuffix("]").rstrip()
    return text


def _open_fence(lead: str) -> bool:
    """Whether the words before the first marker open a code fence that the slots then lie in."""
    return sum(line.lstrip().startswith(_FENCE) for line in lead.splitlines()) % 2 == 1


def _until_fence(text: str) -> str:
    """`text` up to the line that closes the fence around it; fences inside of it are its own."""
    depth, kept = 1, []
    for line in text.splitlines(keepends=True):
        if line.lstrip().startswith(_FENCE):
            depth += -1 if line.strip() == _FENCE else 1
            if depth == 0:
                break
        kept.append(line)
    return "".join(kept).rstrip()
