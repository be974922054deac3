"""`synthetic/scene`: draws, sounds or animates what a prompt in the vocabulary of scenes asks for."""

from __future__ import annotations

import asyncio
import hashlib
from random import Random
from typing import Any, Literal

import msgspec

from eval_anything.agents.media.made import answer, keep, prompt_of, seed_of
from eval_anything.errors import (
    BadRequest,
    GarbageReply,
    ModelError,
    RateLimited,
    ServerFault,
    TransportFault,
    UnknownName,
)
from eval_anything.models.base import Model
from eval_anything.models.replied import lineage_of
from eval_anything.suggest import unknown
from eval_anything.synth.parse import mentions, scene_from_prompt
from eval_anything.synth.scene import Scene, scene
from eval_anything.values import Capabilities, MediaPart, Modality, Request, Response, Text

_RAISED: dict[str, type[ModelError]] = {
    kind.kind: kind for kind in (TransportFault, RateLimited, ServerFault, GarbageReply, BadRequest)
}


class SyntheticOptions(msgspec.Struct, frozen=True, kw_only=True):
    delay_s: float = 0.0
    """Seconds that each answer takes."""
    fault: Literal["", "transport", "rate_limit", "server", "garbage", "bad_request", "refused"] = ""
    """What goes wrong: the `kind` of a ModelError, or refused."""
    fault_rate: float = 1.0
    """Share of the requests that it befalls, chosen by a hash of the request."""
    seed: int = 0
    """Other seeds draw otherwise what prompts leave open."""


class SyntheticModel(Model):
    """Draws, sounds or animates what a prompt in the vocabulary of synthetic scenes asks for.

    The scene that was really made is in the lineage's details under "scene"; "understood" says whether the
    prompt named anything that the medium can show. Where it did not, the scene is a random one.
    """

    provider = "synthetic"
    local = True
    Options = SyntheticOptions
    transport_options = ("delay_s",)
    makes = ("image", "audio", "video")

    options: SyntheticOptions

    def __init__(self, name: str, options: SyntheticOptions) -> None:
        """Raises UnknownName unless `name` is scene."""
        super().__init__(name, options)
        if name != "scene":
            raise UnknownName(unknown("synthetic generator", name, ("scene",)))

    def capabilities(self) -> Capabilities:
        return Capabilities(inputs=("text",), outputs=self.makes)

    async def generate(self, request: Request) -> Response:
        prompt, asked = prompt_of(request, self._spec), seed_of(request)
        wanted = [m for m in request.output_modalities if m != "text"]
        if not wanted:
            raise BadRequest(f"{self._spec}: makes image, audio and video, and was asked for text")
        hashed = hashlib.sha256(msgspec.json.encode([self.options.seed, asked, prompt])).digest()
        seed = int.from_bytes(hashed[:7], "big")
        if self.options.delay_s:
            await asyncio.sleep(self.options.delay_s)
        if self.options.fault and Random(seed).random() < self.options.fault_rate:
            return self._fail(request)
        parts = [await asyncio.to_thread(self._make, modality, prompt, seed, request) for modality in wanted]
        return answer(request, *parts)

    @property
    def _spec(self) -> str:
        return f"synthetic/{self.name}"

    def _fail(self, request: Request) -> Response:
        if self.options.fault == "refused":
            refusal = Text("I cannot make that.")
            return Response(parts=(refusal,), state="refused", finish_reason="content_filter")
        raise _RAISED[self.options.fault](f"{self._spec}: {self.options.fault} fault, as asked for")

    def _make(self, modality: Modality, prompt: str, seed: int, request: Request) -> MediaPart:
        made, understood = imagine(prompt, modality, seed)
        details: dict[str, Any] = {"scene": msgspec.to_builtins(made), "understood": understood}
        lineage = lineage_of(request, self._spec, seed, details)
        return keep(self.context.store, render(made, modality), modality, lineage)


def imagine(prompt: str, modality: Modality, seed: int) -> tuple[Scene, bool]:
    """The scene that a medium of `modality` shows for `prompt`, and whether the prompt asked for any of it.

    Pictures and clips hold objects alone, recordings sounds alone.
    """
    video = modality == "video"
    said, made = mentions(prompt), scene_from_prompt(prompt, seed, video=video)
    understood = bool(said.sounds if modality == "audio" else said.objects)
    if not understood:
        made = scene(Random(seed), video=video)
    if modality == "audio":
        return Scene((), made.sounds), understood
    return Scene(made.objects, (), video), understood


def render(made: Scene, modality: Modality) -> bytes:
    """PNG, WAV or MP4 of a scene."""
    # Renderers need media libraries, which listing and describing generators does not.
    if modality == "audio":
        from eval_anything.synth.audio import wav

        return wav(made)
    from eval_anything.synth.image import mp4, png

    return mp4(made) if modality == "video" else png(made)
