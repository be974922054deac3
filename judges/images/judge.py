"""What judges of images have in common: decoding in worker threads, batches, one load of the model."""

from __future__ import annotations

import abc
import asyncio
import importlib.util
import math
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import msgspec

from eval_anything.errors import EvalAnythingError, MediaError, MissingExtra, UsageError
from eval_anything.judge import Case, Judge
from eval_anything.judges.asked import user_text
from eval_anything.judges.checkpoints import OneFile
from eval_anything.judges.votes import NOT_BY_VOTES, about_choice
from eval_anything.models.hf import load
from eval_anything.models.hf.batch import Batcher
from eval_anything.values import Artifact, Image, Modality, Score, ScoreState

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from eval_anything.judges.images.scorer import ImageScorer


class ImageOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of every judge that scores images."""

    model: str
    """The reward model: the file of its weights, the folder of its checkpoint, or a hub id."""
    revision: str | None = None
    """Branch, tag or commit of a hub id; None: the default branch."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Of weights and activations. Good images score close together, which halves blur; they are faster."""
    device: str = "auto"
    """As torch writes it (cpu, cuda:1); auto: the GPU where there is one."""
    batch_size: Annotated[int, msgspec.Meta(ge=1)] = 16
    """Most images that are scored together."""
    workers: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Threads that decode images while the model is at work; None: one for each core."""


class ImageJudge(Judge):
    """The mean score of the answer's images against the text of the sample's user turns.

    `details["images"]` has the score of each, in order; None for one that cannot be decoded, and
    `details["missing"]` says why. Subclasses say where the checkpoint is and how it is loaded.
    """

    transport_options: ClassVar[tuple[str, ...]] = ("device", "batch_size", "workers")
    packages: ClassVar[tuple[str, ...]] = ()
    """Imported when the model is loaded, and looked for before the run."""

    options: ImageOptions

    def __init__(self, options: Any, endpoint: Any = None) -> None:
        super().__init__(options, endpoint)
        self._scorer: ImageScorer | EvalAnythingError | None = None
        self._loading = threading.Lock()
        workers = options.workers or os.cpu_count() or 1
        self._decoding = ThreadPoolExecutor(workers, thread_name_prefix="images")
        self._batcher: Batcher[tuple[str, np.ndarray], float] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @abc.abstractmethod
    def checkpoint(self) -> OneFile:
        """Where its weights are."""

    @abc.abstractmethod
    def build(self, weights: "Path", device: str) -> "ImageScorer":
        """The model of that file. Raises UsageError where it is not one, or not whole."""

    def check(self, outputs: tuple[Modality, ...]) -> None:
        if "image" not in outputs:
            raise UsageError(
                f"judge {self.name} scores images; the task asks for {', '.join(outputs)}: name another one"
            )
        for package in self.packages:
            if importlib.util.find_spec(package) is None:
                raise MissingExtra(f"judge {self.name} needs {package}: pip install 'eval-anything[reward]'")
        self.checkpoint().check()

    def identity(self) -> dict[str, Any]:
        return dict(self.checkpoint().identity())

    def scorer(self) -> "ImageScorer":
        """The loaded model, for use without a run. Raises UsageError, the same one each time."""
        with self._loading:
            if self._scorer is None:
                try:
                    load.libraries()
                    device = load.resolve_device(self.options.device)
                    self._scorer = self.build(self.checkpoint().fetched(), device)
                except EvalAnythingError as fault:
                    self._scorer = fault
        if isinstance(self._scorer, EvalAnythingError):
            raise self._scorer
        return self._scorer

    async def score(self, case: Case) -> Score:
        if about_choice(case):
            return self._without("judge_error", NOT_BY_VOTES)
        images = [part.artifact for part in case.response.parts if isinstance(part, Image)]
        prompt = user_text(case.sample)
        if not images:
            return self._without("no_response", "no image in the answer")
        if not prompt.strip():
            return self._without(
                "judge_error", "no text in the sample's user turns to hold the image against"
            )
        if case.store is None:
            raise UsageError(f"judge {self.name} looks at images: it needs the run's artifact store")
        found = await asyncio.gather(*(self._one(case, image, prompt) for image in images))
        return self._together(found)

    async def _one(self, case: Case, image: Artifact, prompt: str) -> float | str:
        """The score of one image, or why there is none."""
        loop = asyncio.get_running_loop()
        try:
            pixels = await loop.run_in_executor(self._decoding, self._pixels, case, image)
        except (MediaError, FileNotFoundError) as fault:
            return str(fault)
        score = await self._batching(loop).submit((prompt, pixels), "images")
        return score if math.isfinite(score) else "the reward model's score is no number"

    def _pixels(self, case: Case, image: Artifact) -> "np.ndarray":
        """In a worker thread; the first image waits until the model is loaded."""
        from eval_anything.media.convert import load_image

        assert case.store is not None
        return self.scorer().pixels(load_image(case.store.path(image)))

    def _batching(self, loop: asyncio.AbstractEventLoop) -> "Batcher[tuple[str, np.ndarray], float]":
        if self._batcher is None or self._loop is not loop:
            size = self.options.batch_size
            self._batcher, self._loop = Batcher(self._run, size, concurrency=size), loop
        return self._batcher

    def _run(self, jobs: "Sequence[tuple[str, np.ndarray]]") -> list[float]:
        return self.scorer().run([prompt for prompt, _ in jobs], [pixels for _, pixels in jobs])

    def _together(self, found: Sequence[float | str]) -> Score:
        scores = [one for one in found if isinstance(one, float)]
        details: dict[str, Any] = {"images": [one if isinstance(one, float) else None for one in found]}
        reasons = {str(i): one for i, one in enumerate(found) if isinstance(one, str)}
        if reasons:
            details["missing"] = reasons
        if not scores:
            return self._without("unparsed", "; ".join(dict.fromkeys(reasons.values())), details)
        value = math.fsum(scores) / len(scores)
        return Score(value=value, state="scored", judge=self.label, details=details)

    def _without(self, state: ScoreState, reason: str, details: dict[str, Any] | None = None) -> Score:
        return Score(value=None, state=state, reason=reason, judge=self.label, details=details or {})
