"""A loaded reward model of a prompt and an image; scores of many pairs, decoding beside the forward pass."""

from __future__ import annotations

import abc
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
import PIL.Image
import torch
from torch import Tensor

from eval_anything.judges.images.pixels import MEAN, STD
from eval_anything.media.convert import as_rgb, load_image

Picture = PIL.Image.Image | Path | str
"""An image, or the file in which it lies."""
_AHEAD = 3
"""Batches that are decoded, or being decoded, while one is with the model."""


class ImageScorer(abc.ABC):
    """Also a reward for training, without any run. `pixels` is for any thread, the rest for one at a time."""

    @abc.abstractmethod
    def pixels(self, image: PIL.Image.Image) -> np.ndarray:
        """What the model is given of an upright RGB image: (side, side, 3), uint8 or float32 of 0 to 1."""

    @abc.abstractmethod
    def run(self, prompts: Sequence[str], pixels: Sequence[np.ndarray]) -> list[float]:
        """One score for each pair, in one batch."""

    def score(
        self,
        prompts: str | Sequence[str],
        images: Sequence[Picture],
        batch_size: int = 16,
        workers: int | None = None,
    ) -> list[float]:
        """One score for each pair of a prompt and an image; one prompt may stand for all images.

        Images are decoded in `workers` threads (None: one for each core) while the model is at work.
        Raises MediaError for a file that cannot be decoded, ValueError where there is not a prompt for each.
        """
        asked = [prompts] * len(images) if isinstance(prompts, str) else list(prompts)
        if len(asked) != len(images):
            raise ValueError(f"{len(asked)} prompts for {len(images)} images")
        scores: list[float] = []
        pool = ThreadPoolExecutor(workers or os.cpu_count(), thread_name_prefix="images")
        try:
            seen = self._ahead(pool, images, _AHEAD * batch_size)
            for start in range(0, len(images), batch_size):
                scores += self.run(asked[start : start + batch_size], list(islice(seen, batch_size)))
        finally:
            pool.shutdown(cancel_futures=True)
        return scores

    def _ahead(self, pool: ThreadPoolExecutor, images: Sequence[Picture], ahead: int) -> Iterator[np.ndarray]:
        """In order; never more than `ahead` of them are held."""
        coming = iter(images)
        waiting: deque[Future[np.ndarray]] = deque(pool.submit(self._seen, i) for i in islice(coming, ahead))
        while waiting:
            seen = waiting.popleft().result()
            waiting.extend(pool.submit(self._seen, i) for i in islice(coming, 1))
            yield seen

    def _seen(self, image: Picture) -> np.ndarray:
        return self.pixels(as_rgb(image) if isinstance(image, PIL.Image.Image) else load_image(Path(image)))


def normalised(pixels: Sequence[np.ndarray], device: str) -> Tensor:
    """(n, 3, side, side) float32 on `device`: less CLIP's mean, over its deviation.

    There, and not where images are decoded: bytes are a quarter of what floats are to carry.
    """
    batch = torch.from_numpy(np.stack(pixels)).to(device)
    if batch.dtype == torch.uint8:
        batch = batch.float() / 255
    mean, std = (torch.from_numpy(constant).to(device) for constant in (MEAN, STD))
    return ((batch - mean) / std).permute(0, 3, 1, 2)
