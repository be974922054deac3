"""`fake/echo`, `fake/rater`, `fake/constant`: deterministic any-to-any models for tests and demonstrations.

They answer at once, with no network and no weights; the same request always gets the same answer, and
faults can be asked for. `fake/echo` says what it was given, `fake/rater` rates as a judging model would,
`fake/constant` always gives the same reply. Where media are asked for they make real files.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from eval_anything.errors import (
    BadRequest,
    Forbidden,
    GarbageReply,
    MediaError,
    ModelError,
    RateLimited,
    ServerFault,
    TransportFault,
    UnknownName,
)
from eval_anything.models.base import Model
from eval_anything.models.modalities import parse_modalities
from eval_anything.models.tally import count_usage, last_user_text
from eval_anything.suggest import unknown
from eval_anything.values import (
    Audio,
    Capabilities,
    Image,
    Likelihood,
    Lineage,
    Modality,
    Part,
    Request,
    Response,
    State,
    Text,
    ToolResult,
    Usage,
    Video,
)

NAMES = ("echo", "rater", "constant")

FaultName = Literal[
    "transport",
    "rate_limit",
    "server",
    "garbage",
    "bad_request",
    "auth",
    "refused",
    "truncated",
    "empty",
    "garbage_media",
]

_RAISED: dict[str, type[ModelError]] = {
    kind.kind: kind
    for kind in (TransportFault, RateLimited, ServerFault, GarbageReply, BadRequest, Forbidden)
}
_MEDIA_KEPT = 1024
_ENCODER = msgspec.json.Encoder()


class FakeOptions(msgspec.Struct, frozen=True, kw_only=True):
    delay_s: float = 0.0
    """Seconds that each answer takes."""
    jitter_s: float = 0.0
    """Up to this many seconds more, by a hash of the request."""
    fault: FaultName | Literal[""] = ""
    """What goes wrong: the `kind` of a ModelError, or refused, truncated, empty, garbage_media."""
    fault_rate: float = 1.0
    """Share of the requests that it befalls, chosen by a hash of the request."""
    fault_times: int = 0
    """A failing request succeeds after this many attempts; 0: it always fails."""
    inputs: str = "text,image,audio,video"
    """Modalities that it takes."""
    outputs: str = "text,image,audio,video"
    """Modalities that it gives."""
    reply: str = "yes"
    """What fake/constant answers."""
    seed: int = 0
    """Other seeds, other hashes: ratings, media and the requests that fail."""


class FakeModel(Model):
    """Deterministic test models, any modality in and out: fake/echo, fake/rater, fake/constant."""

    provider = "fake"
    local = True
    Options = FakeOptions
    transport_options = ("delay_s", "jitter_s")

    def __init__(self, name: str, options: FakeOptions) -> None:
        """Raises UnknownName unless `name` is echo, rater or constant."""
        super().__init__(name, options)
        if name not in NAMES:
            raise UnknownName(unknown("fake model", name, NAMES))
        self._inputs = parse_modalities(options.inputs, f"model fake/{name}, option inputs")
        self._outputs = parse_modalities(options.outputs, f"model fake/{name}, option outputs")
        self._salt = str(options.seed).encode()
        self._attempts: dict[bytes, int] = {}
        self._media: OrderedDict[tuple[Modality, bytes], Part] = OrderedDict()

    def capabilities(self) -> Capabilities:
        return Capabilities(inputs=self._inputs, outputs=self._outputs, plain=True, likelihood="all")

    async def generate(self, request: Request) -> Response:
        options: FakeOptions = self.options
        prompt = hashlib.sha256(self._salt + _ENCODER.encode(_shown(request))).digest()
        asked = _ENCODER.encode((request.draw, request.output_modalities, request.params))
        digest = hashlib.sha256(prompt + asked).digest()
        if options.delay_s or options.jitter_s:
            await asyncio.sleep(options.delay_s + options.jitter_s * _share(digest[8:14]))
        fault = self._fault(digest)
        if fault in _RAISED:
            raise _RAISED[fault](f"fake/{self.name}: {fault} fault, as asked for")
        if request.continuation is not None:
            return self._likelihood(request, prompt, request.continuation)
        parts: list[Part] = []
        if "text" in request.output_modalities and fault != "empty":
            parts.append(Text(self._text(request, prompt)))
        for modality in request.output_modalities:
            if modality != "text" and fault != "empty":
                parts.append(await self._medium(modality, digest, request))
        if fault == "garbage_media":
            await asyncio.to_thread(self._store_garbage)
        return _finish(request, parts, fault)

    def _fault(self, digest: bytes) -> str:
        """The fault that befalls this attempt at the request; empty for none."""
        options: FakeOptions = self.options
        if not options.fault or _share(digest[:6]) >= options.fault_rate:
            return ""
        if options.fault_times:
            attempt = self._attempts.get(digest, 0) + 1
            self._attempts[digest] = attempt
            if attempt > options.fault_times:
                return ""
        return options.fault

    def _text(self, request: Request, prompt: bytes) -> str:
        if self.name == "constant":
            return str(self.options.reply)
        if self.name == "rater":
            rating = 1 + int.from_bytes(prompt[:8], "big") % 10
            # Read by rubrics of either form, `[[n]]` and `<Score>: [[n]]`.
            return f"The rating follows from a hash of the prompt.\n<Score>: [[{rating}]]"
        said = last_user_text(request)
        lines = [f"You said: {said}"] if said else []
        if given := _given(request):
            lines.append(f"You gave: {', '.join(given)}")
        if request.draw:
            lines.append(f"(answer {request.draw + 1})")
        return "\n".join(lines) or "You said nothing."

    def _likelihood(self, request: Request, prompt: bytes, text: str) -> Response:
        """Each character is a token; what the model would say itself is likely, all else by a hash is not."""
        greedy = self._text(request, prompt).startswith(text.strip())
        share = _share(hashlib.sha256(prompt + text.encode()).digest()[:6])
        each = -0.01 if greedy else -1.0 - share
        found = Likelihood(logprob=each * len(text), greedy=greedy, tokens=len(text))
        read = len(last_user_text(request) + text) // 4
        return Response(likelihood=found, usage=Usage(requests=1, input_tokens=read), model="fake")

    async def _medium(self, modality: Modality, digest: bytes, request: Request) -> Part:
        key = (modality, digest)
        if key in self._media:
            self._media.move_to_end(key)
            return self._media[key]
        part = await asyncio.to_thread(self._make, modality, digest, last_user_text(request))
        self._media[key] = part
        if len(self._media) > _MEDIA_KEPT:
            self._media.popitem(last=False)
        return part

    def _make(self, modality: Modality, digest: bytes, prompt: str) -> Part:
        lineage = Lineage(
            source="model",
            name=f"fake/{self.name}",
            prompt=prompt,
            seed=self.options.seed,
            details={"from": digest.hex()},
        )
        store = self.context.store
        part: Part = store.part(store.add_bytes(_DRAWN[modality](digest), modality, lineage=lineage))
        return part

    def _store_garbage(self) -> None:
        try:
            self.context.store.add_bytes(b"<html>502 Bad Gateway</html>", "image", name="reply")
        except MediaError as fault:
            raise GarbageReply(f"fake/{self.name}: broken image in the reply: {fault}") from None


def _share(digest: bytes) -> float:
    """At most 52 bits of a hash as a number in [0, 1)."""
    return int.from_bytes(digest, "big") / float(1 << 8 * len(digest))


def _shown(request: Request) -> list[Any]:
    """What the model sees of the messages: media by their hash, wherever the files came from."""
    return [(m.role, [_plain(part) for part in m.parts]) for m in request.messages]


def _plain(part: Part) -> Any:
    if isinstance(part, Text):
        return part.text
    if isinstance(part, Image | Audio | Video):
        return part.artifact.sha256, type(part).__name__
    if isinstance(part, ToolResult):
        return part.call_id, [_plain(inner) for inner in part.parts], part.error
    return part


def _given(request: Request) -> list[str]:
    """Modality and hash prefix of the media, in order, those of tool results included."""
    given: list[str] = []
    for message in request.messages:
        for part in message.parts:
            inner = part.parts if isinstance(part, ToolResult) else (part,)
            for medium in inner:
                if isinstance(medium, Image | Audio | Video):
                    given.append(f"{type(medium).__name__.lower()} {medium.artifact.sha256[:8]}")
    return given


def _finish(request: Request, parts: list[Part], fault: str) -> Response:
    state: State = "ok"
    finish_reason = "stop"
    if fault == "refused":
        state, finish_reason, parts = "refused", "content_filter", [Text("I cannot help with that.")]
    elif fault == "truncated":
        state, finish_reason = "truncated", "length"
        parts = [Text(p.text[: len(p.text) // 2]) if isinstance(p, Text) else p for p in parts]
    words = sum([len(p.text) for p in parts if isinstance(p, Text)]) // 4
    usage = count_usage(request, parts, input_tokens=len(last_user_text(request)) // 4, output_tokens=words)
    return Response(parts=tuple(parts), state=state, usage=usage, finish_reason=finish_reason, model="fake")


def _image(digest: bytes) -> bytes:
    from PIL import Image as PILImage

    from eval_anything.media.convert import write_png

    # Six colours in a 3 x 2 grid: enough to tell two requests apart by eye.
    small = PILImage.frombytes("RGB", (3, 2), digest[:18])
    return write_png(small.resize((96, 64), PILImage.Resampling.NEAREST))


def _audio(digest: bytes) -> bytes:
    import numpy as np

    from eval_anything.media.convert import write_wav

    rate = 16_000
    times = np.arange(rate // 10) / rate
    notes = [np.sin(2 * np.pi * (220 + 4 * pitch) * times) for pitch in digest[:4]]
    return write_wav((0.5 * np.concatenate(notes)).astype(np.float32), rate)


def _video(digest: bytes) -> bytes:
    import numpy as np

    from eval_anything.media.convert import write_mp4

    frames = []
    for step in range(8):
        frame = np.empty((64, 64, 3), dtype=np.uint8)
        frame[:] = list(digest[:3])
        frame[24:40, 6 * step : 6 * step + 16] = list(digest[3:6])
        frames.append(frame)
    return write_mp4(frames, 4)


_DRAWN: dict[str, Callable[[bytes], bytes]] = {"image": _image, "audio": _audio, "video": _video}
