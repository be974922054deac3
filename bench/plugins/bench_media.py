"""A task that asks for text, an image and a sound, and a generator of large images."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import msgspec

from eval_anything.judge import Case, Rubric
from eval_anything.models.base import Model
from eval_anything.task import Dataset, DataSource, Task
from eval_anything.values import Capabilities, Image, Message, Request, Response, Sample, Text


class BenchMedia(Task):
    name = "bench_media"
    version = "1"
    title = "Numbered requests, answered in media as well"
    summary = "short requests, as many as `count.txt` of the folder says; text, image and audio asked for"
    inputs = ("text",)
    outputs = ("text", "image", "audio")

    def open(self, source: DataSource) -> Dataset:
        assert source.path is not None
        size = int((source.path / "count.txt").read_text())
        return Dataset(kind=source.kind, root=source.path, revision=str(size), size=size, records=size)

    def samples(self, dataset: Dataset) -> Iterator[Sample]:
        for n in range(dataset.size):
            yield Sample(id=str(n), messages=(Message("user", (Text(f"Tell me of thing {n}."),)),))

    def case(self, sample: Sample, response: Response) -> Case:
        return Case(sample=sample, response=response, rubric=Rubric(system="", user="{response}"))


class BenchPicture(BenchMedia):
    name = "bench_picture"
    title = "Numbered pictures"
    summary = "as bench_media, with an image alone asked for"
    outputs = ("image",)
    required = ("image",)


class NoiseOptions(msgspec.Struct, frozen=True):
    side: int = 600
    """Pixels; noise does not compress, so an image of 600 x 600 has 1.1 MB."""


class NoiseModel(Model):
    """Images of noise, another one for each seed."""

    provider = "noise"
    Options = NoiseOptions

    def capabilities(self) -> Capabilities:
        return Capabilities(inputs=("text",), outputs=("image",))

    async def generate(self, request: Request) -> Response:
        return Response(parts=(await asyncio.to_thread(self._make, request.params.seed or 0),))

    def _make(self, seed: int) -> Image:
        import numpy as np
        from PIL import Image as Picture

        from eval_anything.media.convert import write_png

        side = self.options.side
        pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
        return Image(self.context.store.add_bytes(write_png(Picture.fromarray(pixels)), "image"))
