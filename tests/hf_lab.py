"""Real media, tiny checkpoints and a way to ask them, for tests of models in process."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import tiny_models

from eval_anything.media.convert import write_mp4, write_png, write_wav
from eval_anything.media.store import ArtifactStore
from eval_anything.models.base import Model, ModelContext
from eval_anything.models.hf.provider import HFModel, HFOptions
from eval_anything.values import Audio, Image, Message, Origin, Params, Part, Request, Text, Video

CPU = HFOptions(dtype="float32", device="cpu")


class Lab:
    """A store with real media files, tiny checkpoints that are built once, and a way to ask them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = ArtifactStore(root / "media")
        self._folders: dict[str, Path] = {}

    def folder(self, builder: str) -> Path:
        if builder not in self._folders:
            folder = self.root / builder
            folder.mkdir()
            self._folders[builder] = getattr(tiny_models, builder)(folder)
        return self._folders[builder]

    def image(self, seed: int, size: tuple[int, int] = (60, 60)) -> Image:
        pixels = np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8)
        return Image(self.store.add_bytes(write_png(PIL.Image.fromarray(pixels)), "image"))

    def audio(self, seed: int, seconds: float = 1.0) -> Audio:
        """A tone, each seed a pitch."""
        time = np.arange(int(16000 * seconds)) / 16000
        samples = (0.5 * np.sin(2 * np.pi * 300 * seed * time)).astype(np.float32)
        return Audio(self.store.add_bytes(write_wav(samples, 16000), "audio"))

    def video(self, seed: int, seconds: int = 4) -> Video:
        shade = np.random.default_rng(seed).integers(0, 255, (seconds * 5, 1, 1, 3), dtype=np.uint8)
        frames = [np.broadcast_to(s, (64, 64, 3)).copy() for s in shade]
        return Video(self.store.add_bytes(write_mp4(frames, 5), "video"))

    def ask(
        self,
        builder: str,
        requests: Sequence[Request],
        options: HFOptions = CPU,
        *,
        together: bool = True,
        errors: bool = False,
    ) -> list[Any]:
        """What the tiny model answers, all requests at once or one after the other.

        `errors`: exceptions are returned in place of responses, not raised.
        """
        model = HFModel(str(self.folder(builder)), options)
        return converse(model, self.store, requests, together=together, errors=errors)


def converse(
    model: Model,
    store: ArtifactStore,
    requests: Sequence[Request],
    *,
    together: bool = True,
    errors: bool = False,
) -> list[Any]:
    async def all_of_them() -> list[Any]:
        await model.start(ModelContext(store=store, concurrency=len(requests) if together else 1))
        try:
            if together:
                asked = (model.generate(each) for each in requests)
                return list(await asyncio.gather(*asked, return_exceptions=errors))
            return [await model.generate(each) for each in requests]
        finally:
            await model.stop()

    return asyncio.run(all_of_them())


def request(*parts: Part | str, sample: str = "s", draw: int = 0, **params: Any) -> Request:
    """One user turn, for 12 tokens at temperature 0 unless told otherwise."""
    content = tuple(Text(p) if isinstance(p, str) else p for p in parts)
    return Request(
        messages=(Message("user", content),),
        params=Params(**{"temperature": 0.0, "max_tokens": 12, **params}),
        draw=draw,
        origin=Origin("t", sample),
    )
