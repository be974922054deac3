"""Media tools: what an agent calls to make an image, a sound, a video. Each is a model behind an endpoint."""

from __future__ import annotations

import msgspec

from eval_anything.run.endpoint import Endpoint
from eval_anything.values import (
    Artifact,
    Audio,
    Image,
    Lineage,
    MediaPart,
    Message,
    Modality,
    Origin,
    Params,
    Request,
    Text,
    Tool,
    Usage,
    Video,
    part_modality,
)

_WHAT = {"image": "a picture", "audio": "a sound or a piece of music", "video": "a short video"}


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What a tool call came to: a medium, or why there is none."""

    part: MediaPart | None = None
    error: str = ""
    usage: Usage = Usage()


class MediaTool:
    """`generate_image`, `generate_audio` or `generate_video`, by whatever model stands behind it."""

    def __init__(self, modality: Modality, endpoint: Endpoint) -> None:
        self.modality = modality
        self.endpoint = endpoint
        self.name = f"generate_{modality}"

    def declaration(self) -> Tool:
        """How it is offered to a model that can call tools."""
        prompt = {"type": "string", "description": "What it is to show or sound like, in at most 40 words."}
        return Tool(
            name=self.name,
            description=f"Makes {_WHAT[self.modality]} from a description.",
            parameters={"type": "object", "properties": {"prompt": prompt}, "required": ["prompt"]},
        )

    async def make(self, prompt: str, *, origin: Origin | None, number: int, seed: int | None) -> Made:
        """One medium. A tool that fails does not raise: the model is told, and the failure is the tool's.

        `number` counts the calls of one answer, so that asking twice for the same draws twice.
        """
        asked = Request(
            messages=(Message("user", (Text(prompt),)),),
            output_modalities=(self.modality,),
            required_modalities=(self.modality,),
            params=Params(seed=seed),
            draw=number,
            origin=origin,
        )
        response = await self.endpoint.ask(asked)
        if response.fault is not None:
            return Made(error=f"{response.fault.kind}: {response.fault.message}", usage=response.usage)
        for part in response.parts:
            if isinstance(part, Image | Audio | Video) and part_modality(part) == self.modality:
                return Made(part=self._traced(part, prompt, seed), usage=response.usage)
        said = response.text[:200] or response.state
        return Made(error=f"no {self.modality} came back: {said}", usage=response.usage)

    def _traced(self, part: MediaPart, prompt: str, seed: int | None) -> MediaPart:
        """`part` with the lineage of this call; what the back end noted of it stays in the details."""
        known = part.artifact.lineage
        lineage = Lineage(
            source="tool",
            name=f"{self.name}:{self.endpoint.label}",
            prompt=prompt,
            seed=known.seed if known is not None and known.seed is not None else seed,
            details=known.details if known is not None else {},
        )
        artifact: Artifact = msgspec.structs.replace(part.artifact, lineage=lineage)
        return msgspec.structs.replace(part, artifact=artifact)
