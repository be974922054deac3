"""Models in process, through transformers: `hf/PATH_OR_ID`."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import msgspec

from eval_anything.errors import EvalAnythingError, ModelError
from eval_anything.models.base import Model, ModelContext
from eval_anything.models.hf import checkpoint, load
from eval_anything.models.hf.batch import Batcher
from eval_anything.models.reasoning import OPEN, split_reasoning
from eval_anything.values import Capabilities, Part, Reasoning, Request, Response, Text, Usage

if TYPE_CHECKING:
    from eval_anything.models.hf.generate import Answer
    from eval_anything.models.hf.prompt import Prompt, Prompter


class HFOptions(msgspec.Struct, frozen=True, kw_only=True):
    revision: str | None = None
    """Branch, tag or commit of a hub id; None: the default branch."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    """Of weights and activations; auto: bfloat16 on a GPU, float32 elsewhere."""
    device: str = "auto"
    """As torch writes it (cpu, cuda:1); auto: the GPU where there is one."""
    attention: str | None = None
    """Attention implementation (sdpa, eager, flash_attention_2); None: transformers' choice."""
    batch_size: Annotated[int, msgspec.Meta(ge=1)] = 8
    """Most requests that are generated together."""
    max_frames: Annotated[int, msgspec.Meta(ge=1)] = 16
    """Most frames of one video; longer ones are sampled evenly."""
    fps: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    """Frames per second of video, as far as `max_frames` allows."""
    chat_template: str | None = None
    """A Jinja file in place of the checkpoint's chat template. A checkpoint without one takes plain prompts
    alone."""


class HFModel(Model):
    """A checkpoint, a local folder or a hub id, that generates text in this process.

    At temperature 0, or where none is given, decoding is greedy. Above 0, each request draws from a
    generator of its own, and in float32 its answer does not depend on what shares its batch; in half
    precision, rounding may differ with the shape of the batch.
    """

    local = True
    Options: ClassVar[type[msgspec.Struct]] = HFOptions
    transport_options: ClassVar[tuple[str, ...]] = ("batch_size", "device")

    options: HFOptions

    def folder(self, weights: bool) -> tuple[Path, str]:
        """Where the checkpoint is, and its hub commit. Raises UsageError where it cannot be had."""
        return checkpoint.find(self.name, self.options.revision, weights)

    @functools.cached_property
    def opened(self) -> load.Opened:
        return load.open_checkpoint(self.folder(weights=False)[0], self._template)

    @property
    def _template(self) -> Path | None:
        given = self.options.chat_template
        return None if given is None else Path(given).expanduser()

    def capabilities(self) -> Capabilities:
        return self.opened.capabilities

    def identity(self) -> dict[str, Any]:
        folder, commit = self.folder(weights=False)
        load.libraries()
        dtype = load.resolve_dtype(self.options.dtype, load.resolve_device(self.options.device))
        which = checkpoint.identity(folder, commit)
        given = load.read_template(self._template)
        template = {} if given is None else {"chat_template": hashlib.sha256(given.encode()).hexdigest()}
        return {**which, **template, "dtype": dtype}

    def notes(self) -> tuple[str, ...]:
        return checkpoint.notes(*self.folder(weights=False))

    async def start(self, context: ModelContext) -> None:
        await super().start(context)
        run, self._prompter = await asyncio.to_thread(self._load, context)
        self._batcher: Batcher[Any, Any] = Batcher(run, self.options.batch_size, context.concurrency)

    def _load(self, context: ModelContext) -> tuple[Callable[[list[Any]], list[Any]], "Prompter"]:
        """What answers batches of one kind of job, and what makes prompts."""
        # The modules below need media libraries, which naming and describing a model does not.
        from eval_anything.models.hf.generate import Generator
        from eval_anything.models.hf.likelihood import ScoreJob, Scorer
        from eval_anything.models.hf.prompt import Prompter

        folder = self.folder(weights=True)[0]
        device = load.resolve_device(self.options.device)
        dtype = load.resolve_dtype(self.options.dtype, device)
        opened = dataclasses.replace(self.opened, folder=folder)
        model = load.load_weights(opened, device, dtype, self.options.attention)
        prompter = Prompter(opened, context.store, self.options.max_frames, self.options.fps)
        generator = Generator(opened, model, prompter)
        scorer = Scorer(opened, model, prompter, self.options.batch_size)

        def run(jobs: list[Any]) -> list[Any]:
            return scorer.run(jobs) if isinstance(jobs[0], ScoreJob) else generator.run(jobs)

        return run, prompter

    async def generate(self, request: Request) -> Response:
        from eval_anything.models.hf.generate import Job
        from eval_anything.models.hf.sampling import row_seed

        started = time.monotonic()
        try:
            prompt = await asyncio.to_thread(self._prompter.prompt, request)
            if request.continuation is not None:
                return await self._likelihood(request, prompt, request.continuation)
            job = Job(prompt, request.params, row_seed(request))
            answer = await self._batcher.submit(job, job.batch_key)
        except EvalAnythingError:
            raise
        except (RuntimeError, ValueError, TypeError, IndexError, KeyError, AttributeError) as fault:
            raise ModelError(f"hf/{self.name}: {load.first_line(fault)}") from fault
        return self._response(prompt, answer, time.monotonic() - started)

    async def _likelihood(self, request: Request, prompt: "Prompt", continuation: str) -> Response:
        from eval_anything.models.hf.likelihood import ScoreJob

        job = ScoreJob(prompt, continuation, whole=not request.messages)
        scored = await self._batcher.submit(job, job.batch_key)
        usage = Usage(
            requests=1,
            input_tokens=scored.input_tokens,
            images_in=len(prompt.images),
            audio_s_in=prompt.audio_s,
            video_s_in=prompt.video_s,
        )
        return Response(likelihood=scored.likelihood, usage=usage, notes=tuple(prompt.notes))

    def _response(self, prompt: "Prompt", answer: "Answer", seconds: float) -> Response:
        thought, text = split_reasoning(OPEN + answer.text if prompt.thinking else answer.text)
        parts: list[Part] = [Reasoning(thought)] if thought else []
        parts.append(Text(text))
        usage = Usage(
            requests=1,
            input_tokens=answer.input_tokens,
            output_tokens=answer.output_tokens,
            reasoning_tokens=len(self.opened.tokenizer.encode(thought, add_special_tokens=False))
            if thought
            else 0,
            images_in=len(prompt.images),
            audio_s_in=prompt.audio_s,
            video_s_in=prompt.video_s,
        )
        return Response(
            parts=tuple(parts),
            state="truncated" if answer.truncated else "ok",
            usage=usage,
            finish_reason="length" if answer.truncated else "stop",
            seconds=seconds,
            notes=tuple(prompt.notes),
        )

    async def stop(self) -> None:
        if hasattr(self, "_batcher"):
            await self._batcher.close()
            del self._batcher, self._prompter
